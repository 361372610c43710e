"""Materialize: read change events from Kafka, make the state database's facts what they say.

A batch's facts, the partition's progress, the marks for compact and the messages that cannot be applied are one
transaction. Whatever is interrupted is read again from the stored offset, and what was applied is not applied twice.
While one batch is being written, by a thread that has the session for so long, the next one is read.
"""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing

from consumers.database import sessions
from consumers.materialize import kafka_source
from consumers.materialize.apply import Batch, read, write
from consumers.materialize.batch import Message, Outcome, Progress, Refused
from consumers.materialize.consumer_group import ConsumerGroup
from consumers.materialize.facts_store import FactsStore, FencedError
from consumers.materialize.kafka_source import REMEDY, KafkaSource, OffsetLostError
from consumers.materialize.unresolved_references import UnresolvedCount
from ims.errors import ImsfeedError
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.mapping_file import read_mapping
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.retries import retrying
from ims.runtime.settings import Settings
from ims.source.mapping import SourceMapping

log = get_logger(__name__)

_POLL_SECONDS = 0.5
_LOOK_ROUND_SECONDS = 5.0
"""Time between two looks at what is not in the messages: the topic's id, lag, the quarantine's size."""
_STALL_SECONDS = 30.0
"""How long a partition may lie still while Kafka has messages for it; kafka-python has had bugs in which it did."""


def run(settings: Settings, stop: Stop, metrics: MaterializeMetrics, ready: Callable[[bool], None]) -> None:
    """Materialize until *stop*, through every outage of Kafka or the state database.

    Raises:
        InvalidSettingsError: the mapping file is wrong.
        OffsetLostError: messages were lost between Kafka and the state database, or the topic is another one.
    """
    mapping = read_mapping(settings)

    def again(error: BaseException, wait: float) -> None:
        ready(False)
        log.warning("starting again", error=error, wait_seconds=round(wait, 1))

    for attempt in retrying(_is_transient, stop=stop, on_retry=again):
        with attempt:
            _Session(settings, metrics, mapping, ready).run(stop)


class ConsumerStalledError(ImsfeedError):
    """Kafka has messages for a partition and the client does not deliver them; another client will."""


class _Session:
    """One life of the consumer: a session on the state database and a connection to Kafka, until either fails."""

    def __init__(
        self, settings: Settings, metrics: MaterializeMetrics, mapping: SourceMapping, ready: Callable[[bool], None]
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._mapping = mapping
        self._ready = ready
        self._progress: dict[int, Progress] = {}
        # Where partitions stand once what was read of them is applied; of those not here, that is their progress.
        self._ahead: dict[int, Progress] = {}
        self._applying: Future[list[int]] | None = None
        self._moved: dict[int, tuple[int, float]] = {}
        self._unresolved = UnresolvedCount(settings, metrics)
        self._looked_round = float("-inf")

    def run(self, stop: Stop) -> None:
        settings = self._settings
        with (
            sessions.connect(settings.state(), "materialize", applying=True) as connection,
            ThreadPoolExecutor(1, "apply") as thread,
            closing(self._unresolved),
            closing(KafkaSource(settings)) as source,
            closing(ConsumerGroup(settings)) as group,
        ):
            store = FactsStore(connection, settings.kafka_topic, settings.kafka_partitions)
            try:
                while not stop and not source.partitions():
                    self._metrics.alive(time.time())
                    stop.wait(_POLL_SECONDS)
                while not stop:
                    group.join()
                    self._turn(store, source, group, thread)
                    self._metrics.alive(time.time())
                self._await_applied(source, [])
                group.show(self._offsets())
            finally:
                if self._applying is not None:
                    wait([self._applying])  # before another member gets its partitions

    def _turn(self, store: FactsStore, source: KafkaSource, group: ConsumerGroup, thread: ThreadPoolExecutor) -> None:
        """Read the next batches while those before them are being applied, and look round now and then."""
        now = time.monotonic()
        if group.assigned() != self._progress.keys():
            self._await_applied(source, [])
            self._follow(store, source, group)
        if now - self._looked_round >= _LOOK_ROUND_SECONDS:
            self._await_applied(source, [])
            self._look_round(store, source, group, now)
            self._looked_round = now
        if not self._progress:
            group.wait(_POLL_SECONDS)
        polled = source.poll(_POLL_SECONDS) if self._progress else {}
        batches = self._await_applied(source, [self._read(*of) for of in polled.items()])
        if batches:
            self._applying = thread.submit(self._apply_all, store, batches)

    def _read(self, partition: int, messages: list[Message]) -> Batch:
        """Read what comes after the batch that is being applied, or was."""
        progress = self._ahead.get(partition, self._progress[partition])
        return read(partition, messages, progress, self._mapping, self._settings.source_epoch)

    def _await_applied(self, source: KafkaSource, behind: list[Batch]) -> list[Batch]:
        """Wait for the batches that are being applied, and return which of those *behind* them may be applied next.

        Partitions that were fenced are read again from where they stand.
        """
        applying, self._applying = self._applying, None
        fenced = applying.result() if applying is not None else []
        for partition in fenced:
            source.seek(partition, self._progress[partition].next_offset)
        batches = [batch for batch in behind if batch.partition not in fenced]
        self._ahead = {batch.partition: batch.outcome.progress for batch in batches}
        return batches

    def _apply_all(self, store: FactsStore, batches: list[Batch]) -> list[int]:
        """Apply a batch of each partition, and return those that were fenced."""
        return [batch.partition for batch in batches if not self._apply(store, batch)]

    def _apply(self, store: FactsStore, batch: Batch) -> bool:
        metrics, partition = self._metrics, batch.partition
        metrics.events_received.inc(len(batch.messages))
        metrics.batches_attempted.inc()
        try:
            outcome, refused = write(store, batch, self._mapping, self._settings.source_epoch)
        except FencedError:
            metrics.fencing_rejections.inc()
            log.warning("fenced", partition=partition, offset=self._progress[partition].next_offset)
            progress = store.progress(partition)
            if progress is None:
                raise  # its offset was forgotten on purpose: a new session begins where Kafka does
            self._progress[partition] = progress
            return False
        self._note_applied(partition, outcome, refused)
        return True

    def _note_applied(self, partition: int, outcome: Outcome, refused: list[Refused]) -> None:
        metrics = self._metrics
        self._progress[partition] = outcome.progress
        metrics.batches_committed.inc()
        metrics.events_duplicate.inc(outcome.duplicates)
        for table, rows in Counter(table for table, _ in outcome.rows).items():
            metrics.events_applied.labels(table.value).inc(rows)
        for message in refused:
            metrics.events_quarantined.labels(message.reason).inc()
            log.error("quarantined", partition=partition, offset=message.message.offset, reason=message.reason)
        if outcome.progress.heartbeat_at is not None:
            metrics.heartbeat_timestamp_seconds.labels(str(partition)).set(outcome.progress.heartbeat_at.timestamp())

    def _look_round(self, store: FactsStore, source: KafkaSource, group: ConsumerGroup, now: float) -> None:
        self._see_that_the_topic_is_the_same(store, source)
        group.show(self._offsets())
        for partition, lag in source.lag(self._offsets()).items():
            self._metrics.consumer_lag_records.labels(self._settings.kafka_topic, str(partition)).set(lag)
            self._see_that_it_moves(partition, lag, now)
        self._metrics.quarantine_size.set(store.quarantine_size())
        self._unresolved.look(now)

    def _follow(self, store: FactsStore, source: KafkaSource, group: ConsumerGroup) -> None:
        """Let go of the partitions that Kafka has taken, and begin those it has given; nothing is being applied."""
        group.hold(group.assigned() | self._progress.keys())  # first, or one could be taken before we hold it
        assigned = group.assigned()
        gone, given = sorted(self._progress.keys() - assigned), sorted(assigned - self._progress.keys())
        group.show(self._offsets())
        for partition in gone:
            del self._progress[partition]
            self._moved.pop(partition, None)
            self._metrics.consumer_lag_records.labels(self._settings.kafka_topic, str(partition)).set(0)
        for partition in given:
            self._progress[partition] = store.progress(partition) or store.begin(
                partition, source.first_offset(partition)
            )
        self._see_that_the_topic_is_the_same(store, source)
        source.assign(self._offsets())
        group.hold(self._progress)
        self._metrics.partitions_assigned.set(len(self._progress))
        self._ready(bool(self._progress))
        log.info("partitions assigned", given=given, taken=gone, offsets=self._offsets())

    def _see_that_the_topic_is_the_same(self, store: FactsStore, source: KafkaSource) -> None:
        topic_id = source.topic_id()
        others = store.belong_to(topic_id, self._progress) if topic_id is not None else []
        if others:
            raise OffsetLostError(
                f"{self._settings.kafka_topic} was deleted and created anew: the offsets of partitions"
                f" {', '.join(map(str, sorted(others)))} are those of the former topic; {REMEDY}"
            )

    def _see_that_it_moves(self, partition: int, lag: int, now: float) -> None:
        offset = self._progress[partition].next_offset
        stood_at, since = self._moved.get(partition, (None, now))
        if lag == 0 or offset != stood_at:
            self._moved[partition] = (offset, now)
        elif now - since >= _STALL_SECONDS:
            self._metrics.consumer_stalls.inc()
            raise ConsumerStalledError(f"partition {partition} stands at {offset} with {lag} messages after it")

    def _offsets(self) -> dict[int, int]:
        return {partition: progress.next_offset for partition, progress in self._progress.items()}


def _is_transient(error: BaseException) -> bool:
    passing = isinstance(error, ConsumerStalledError | FencedError)
    return passing or sessions.is_transient(error) or kafka_source.is_transient(error)
