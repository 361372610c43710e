"""Materialize: read change events from Kafka, make the state database's facts what they say.

A batch's facts, the partition's progress, the marks for compact and the messages that cannot be applied are one
transaction. Whatever is interrupted is read again from the stored offset, and what was applied is not applied twice.
While one batch is being written, by a thread that has the session for so long, the next one is read.
"""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from consumers.database import sessions
from consumers.materialize import kafka_source
from consumers.materialize.apply import Batch, read, write
from consumers.materialize.batch import Message, Outcome, Progress, Refused
from consumers.materialize.facts_store import FactsStore, FencedError
from consumers.materialize.kafka_source import REMEDY, KafkaSource, OffsetLostError
from consumers.materialize.leases import Leases
from consumers.materialize.partition_assignment import missing, share_of, surplus
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
"""Time between two looks at what is not in the messages: who shares the partitions, lag, the quarantine's size."""
_LOOK_FOR_SHARE_SECONDS = 0.5
"""The same while partitions are lacking that another one is about to give up."""
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
            _Session(settings, metrics, mapping).run(stop, ready)


class ConsumerStalledError(ImsfeedError):
    """Kafka has messages for a partition and the client does not deliver them; another client will."""


class _Session:
    """One life of the consumer: a session on the state database and a connection to Kafka, until either fails."""

    def __init__(self, settings: Settings, metrics: MaterializeMetrics, mapping: SourceMapping) -> None:
        self._settings = settings
        self._metrics = metrics
        self._mapping = mapping
        self._progress: dict[int, Progress] = {}
        # Where partitions stand once what was read of them is applied; of those not here, that is their progress.
        self._ahead: dict[int, Progress] = {}
        self._applying: Future[list[int]] | None = None
        self._moved: dict[int, tuple[int, float]] = {}
        self._had_too_many = False
        self._lacks = False
        self._unresolved = UnresolvedCount(settings, metrics)
        self._looked_round = float("-inf")

    def run(self, stop: Stop, ready: Callable[[bool], None]) -> None:
        settings = self._settings
        with (
            sessions.connect(settings.state(), "materialize", leasing=True) as connection,
            ThreadPoolExecutor(1, "apply") as thread,
        ):
            store = FactsStore(connection, settings.kafka_topic, settings.kafka_partitions)
            leases = Leases(connection, settings.kafka_topic)
            source = KafkaSource(settings)
            try:
                while not stop:
                    now = time.monotonic()
                    every = _LOOK_FOR_SHARE_SECONDS if self._lacks else _LOOK_ROUND_SECONDS
                    if now - self._looked_round >= every:
                        self._await_applied(source, [])
                        self._look_round(store, leases, source, now)
                        self._looked_round = now
                        ready(bool(self._progress))
                    if not self._progress:
                        stop.wait(_POLL_SECONDS)
                    polled = source.poll(_POLL_SECONDS) if self._progress else {}
                    batches = self._await_applied(source, [self._read(*of) for of in polled.items()])
                    if batches:
                        self._applying = thread.submit(self._apply_all, store, batches)
                    self._metrics.alive(time.time())
                self._await_applied(source, [])
                source.show_offsets(self._offsets())
            finally:
                source.close()
                self._unresolved.close()

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

    def _look_round(self, store: FactsStore, leases: Leases, source: KafkaSource, now: float) -> None:
        taken = self._share_partitions(store, leases, source)
        self._see_that_the_topic_is_the_same(store, source)
        if taken:
            source.assign(self._offsets())
            log.info("partitions taken", partitions=taken, offsets=self._offsets())
        if self._progress:
            source.show_offsets(self._offsets())
        for partition, lag in source.lag(self._offsets()).items():
            self._metrics.consumer_lag_records.labels(self._settings.kafka_topic, str(partition)).set(lag)
            self._see_that_it_moves(partition, lag, now)
        self._metrics.quarantine_size.set(store.quarantine_size())
        self._unresolved.look(now)

    def _share_partitions(self, store: FactsStore, leases: Leases, source: KafkaSource) -> list[int]:
        """Give up what is more than our share, or take what is missing from it, and tell what was taken.

        The first happens one look after it is seen: who is about to be stopped counts as living for a moment.
        """
        partitions = source.partitions()
        if not partitions:
            return []
        standing = leases.look()
        share = share_of(len(partitions), standing)
        too_many = surplus(self._progress, share)
        if too_many and self._had_too_many:
            self._give_up(leases, source, too_many)
        self._had_too_many = bool(too_many)
        found = [p for p in missing(partitions, self._progress, share, standing) if leases.take(p)]
        for partition in found:
            self._progress[partition] = store.progress(partition) or store.begin(
                partition, source.first_offset(partition)
            )
        self._lacks = len(self._progress) < share
        self._metrics.partitions_leased.set(len(self._progress))
        self._metrics.partitions_share.set(share)
        return found

    def _give_up(self, leases: Leases, source: KafkaSource, partitions: list[int]) -> None:
        """Read these partitions no longer, and only then let others have them; all that was read of them is applied."""
        source.show_offsets(self._offsets())
        for partition in partitions:
            del self._progress[partition]
            self._moved.pop(partition, None)
            self._metrics.consumer_lag_records.labels(self._settings.kafka_topic, str(partition)).set(0)
        source.assign(self._offsets())
        for partition in partitions:
            leases.give_back(partition)
        log.info("partitions given up", partitions=partitions, offsets=self._offsets())

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
