"""Materialize: read change events from Kafka and apply them to the state database's facts.

One transaction holds a batch's facts, the partition's progress, the pending changes for compact and the quarantined
messages. After an interruption, messages are read again from the stored offset, and none is applied twice. While a
second thread applies one batch in the database session, the first thread reads the next.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing

from consumers.database import sessions
from consumers.database.mapping_record import note_mapping
from consumers.materialize import kafka_source
from consumers.materialize.apply import Batch, read, write
from consumers.materialize.batch import Message, Outcome, Progress, Refused
from consumers.materialize.consumer_group import ConsumerGroup
from consumers.materialize.facts_store import FactsStore, FencedError
from consumers.materialize.kafka_source import REMEDY, KafkaSource, OffsetLostError
from consumers.materialize.unresolved_references import UnresolvedCount
from ims.errors import ImsfeedError, InvalidSettingsError
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.mapping_file import read_mapping
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.retries import retrying
from ims.runtime.settings import Settings
from ims.source.mapping import SourceMapping

log = get_logger(__name__)

_POLL_SECONDS = 0.5
_REPORT_SECONDS = 5.0
"""Time between two checks of the topic's id and the lag, with which the metrics are updated."""
_STALL_SECONDS = 30.0
"""How long a partition may make no progress while Kafka has messages for it; bugs of kafka-python have caused that."""


def run(settings: Settings, stop: Stop, metrics: MaterializeMetrics, ready: Callable[[bool], None]) -> None:
    """Materialize until *stop*, and start again after every outage of Kafka or the state database.

    Raises:
        InvalidSettingsError: the mapping file is wrong.
        OffsetLostError: Kafka removed messages before they were applied, or the topic is another one.
    """
    mapping = read_mapping(settings)

    def on_retry(error: BaseException, wait: float) -> None:
        ready(False)
        log.warning("starting again", error=error, wait_seconds=round(wait, 1))

    for attempt in retrying(_is_transient, stop=stop, on_retry=on_retry):
        with attempt:
            _Session(settings, metrics, mapping, ready).run(stop)


class ConsumerStalledError(ImsfeedError):
    """Kafka has messages for a partition and the client does not deliver them; a new client does."""


class _Session:
    """A session on the state database with its clients of Kafka, used until one of them fails."""

    def __init__(
        self, settings: Settings, metrics: MaterializeMetrics, mapping: SourceMapping, ready: Callable[[bool], None]
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._mapping = mapping
        self._ready = ready
        self._progress: dict[int, Progress] = {}
        # The progress of partitions once the batch that is being applied is committed; others are in _progress only.
        self._read_ahead: dict[int, Progress] = {}
        self._applying: Future[list[int]] | None = None
        self._last_moved: dict[int, tuple[int, float]] = {}
        self._unresolved = UnresolvedCount(settings, metrics)
        self._reported_at = float("-inf")
        self._note_mapping: Callable[[Iterable[int]], None] = lambda _partitions: None

    def run(self, stop: Stop) -> None:
        settings = self._settings
        with (
            sessions.connect(settings.state(), "materialize", applying=True) as connection,
            ThreadPoolExecutor(1, "apply") as thread,
            closing(self._unresolved),
            closing(KafkaSource(settings)) as source,
            closing(ConsumerGroup(settings)) as group,
        ):
            self._note_mapping = lambda partitions: note_mapping(
                connection, settings.kafka_topic, partitions, self._mapping.digest
            )
            store = FactsStore(connection, settings.kafka_topic, settings.kafka_partitions)
            try:
                while not stop and not source.partitions():
                    self._metrics.alive(time.time())
                    stop.wait(_POLL_SECONDS)
                while not stop:
                    group.join()
                    self._step(store, source, group, thread)
                    self._metrics.alive(time.time())
                self._await_applied(source, [])
                group.commit_offsets(self._offsets())
            finally:
                if self._applying is not None:
                    wait([self._applying])  # Kafka must not assign its partitions to another member before

    def _step(self, store: FactsStore, source: KafkaSource, group: ConsumerGroup, thread: ThreadPoolExecutor) -> None:
        """Read the next batches while the previous ones are applied; follow the assignment and report when due."""
        now = time.monotonic()
        if group.assigned() != self._progress.keys():
            self._await_applied(source, [])
            self._follow_assignment(store, source, group)
        if now - self._reported_at >= _REPORT_SECONDS:
            self._await_applied(source, [])
            self._report(store, source, group, now)
            self._reported_at = now
        if not self._progress:
            group.wait(_POLL_SECONDS)
        polled = source.poll(_POLL_SECONDS) if self._progress else {}
        batches = self._await_applied(source, [self._read(*of) for of in polled.items()])
        if batches:
            self._applying = thread.submit(self._apply_all, store, batches)

    def _read(self, partition: int, messages: list[Message]) -> Batch:
        """Read *messages* as the continuation of the partition's previous batch, which may still be running."""
        progress = self._read_ahead.get(partition, self._progress[partition])
        return read(partition, messages, progress, self._mapping, self._settings.source_epoch)

    def _await_applied(self, source: KafkaSource, behind: list[Batch]) -> list[Batch]:
        """Wait for the batches that are being applied, and return those of *behind* that may be applied next.

        A fenced partition is read again from its stored progress.

        Args:
            source: the reader of the partitions.
            behind: the batches that were read meanwhile.
        """
        applying, self._applying = self._applying, None
        fenced = applying.result() if applying is not None else []
        for partition in fenced:
            source.seek(partition, self._progress[partition].next_offset)
        batches = [batch for batch in behind if batch.partition not in fenced]
        self._read_ahead = {batch.partition: batch.outcome.progress for batch in batches}
        return batches

    def _apply_all(self, store: FactsStore, batches: list[Batch]) -> list[int]:
        """Apply a batch of each partition, and return the partitions that were fenced."""
        return [batch.partition for batch in batches if not self._apply(store, batch)]

    def _apply(self, store: FactsStore, batch: Batch) -> bool:
        """Apply a batch; return False if another process has applied messages of the partition meanwhile."""
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
                raise  # the operator reset the offsets: a new session begins at Kafka's first offset
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

    def _report(self, store: FactsStore, source: KafkaSource, group: ConsumerGroup, now: float) -> None:
        """Check the topic and each partition's progress, commit the offsets to Kafka and update the metrics."""
        self._check_topic(store, source)
        group.commit_offsets(self._offsets())
        for partition, lag in source.lag(self._offsets()).items():
            self._metrics.consumer_lag_records.labels(self._settings.kafka_topic, str(partition)).set(lag)
            self._check_progress(partition, lag, now)
        self._metrics.quarantine_size.set(store.quarantine_size())
        self._unresolved.look(now)

    def _follow_assignment(self, store: FactsStore, source: KafkaSource, group: ConsumerGroup) -> None:
        """Release the revoked partitions and begin the newly assigned ones; no batch may be running."""
        # Before the assignment is read: Kafka could otherwise reassign a partition that this session is about to begin.
        group.set_in_use(group.assigned() | self._progress.keys())
        assigned = group.assigned()
        revoked, new = sorted(self._progress.keys() - assigned), sorted(assigned - self._progress.keys())
        group.commit_offsets(self._offsets())
        for partition in revoked:
            del self._progress[partition]
            self._last_moved.pop(partition, None)
            self._metrics.consumer_lag_records.labels(self._settings.kafka_topic, str(partition)).set(0)
        for partition in new:
            self._progress[partition] = store.progress(partition) or store.begin(
                partition, source.first_offset(partition)
            )
        self._check_topic(store, source)
        self._note_mapping(self._progress)
        source.assign(self._offsets())
        group.set_in_use(self._progress)
        self._metrics.partitions_assigned.set(len(self._progress))
        self._ready(bool(self._progress))
        log.info("partitions assigned", given=new, taken=revoked, offsets=self._offsets())

    def _check_topic(self, store: FactsStore, source: KafkaSource) -> None:
        """Check that the topic is the one to which the stored offsets belong, and has as many partitions as we know.

        Raises:
            InvalidSettingsError: it has another number of partitions, so that owners may have moved between them.
            OffsetLostError: the stored offsets belong to a former topic of the same name.
        """
        partitions = len(source.partitions())
        if partitions not in {0, self._settings.kafka_partitions}:
            raise InvalidSettingsError(
                f"topic {self._settings.kafka_topic} has {partitions} partitions and KAFKA_PARTITIONS is"
                f" {self._settings.kafka_partitions}; set it to {partitions} for every process, then run"
                " `imsfeed resync all`"
            )
        topic_id = source.topic_id()
        others = store.belong_to(topic_id, self._progress) if topic_id is not None else []
        if others:
            raise OffsetLostError(
                f"{self._settings.kafka_topic} was deleted and created again: the offsets of partitions"
                f" {', '.join(map(str, sorted(others)))} are those of the former topic; {REMEDY}"
            )

    def _check_progress(self, partition: int, lag: int, now: float) -> None:
        """Raise ConsumerStalledError if a partition with messages has made no progress for too long."""
        offset = self._progress[partition].next_offset
        last_offset, since = self._last_moved.get(partition, (None, now))
        if lag == 0 or offset != last_offset:
            self._last_moved[partition] = (offset, now)
        elif now - since >= _STALL_SECONDS:
            self._metrics.consumer_stalls.inc()
            raise ConsumerStalledError(f"partition {partition} stands at {offset} with {lag} messages after it")

    def _offsets(self) -> dict[int, int]:
        return {partition: progress.next_offset for partition, progress in self._progress.items()}


def _is_transient(error: BaseException) -> bool:
    ends_session = isinstance(error, ConsumerStalledError | FencedError)
    return ends_session or sessions.is_transient(error) or kafka_source.is_transient(error)
