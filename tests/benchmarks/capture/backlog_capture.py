"""The real `imsfeed capture` as a process on the same backlog, as often as needed, each time into a new topic."""

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, TopicPartition

from tests.benchmarks.capture import backlog
from tests.benchmarks.capture.backlog import Backlog
from tests.support.installation import Installation, installed
from tests.support.waiting import until

PARTITIONS: Final = 8
_ENVIRONMENT: Final = {"KAFKA_PARTITIONS": str(PARTITIONS), "HEARTBEAT_SECONDS": "1"}
_BASE: Final = "_base"
_LONGEST_SECONDS: Final = 600
_POLL_SECONDS: Final = 0.02


class CaughtUp(msgspec.Struct, frozen=True):
    """How long capture took from the start of its stream until Kafka had everything.

    Attributes:
        topic: the topic that has everything now.
        seconds: wall-clock time.
        cpu_seconds: CPU time of its process meanwhile.
    """

    topic: str
    seconds: float
    cpu_seconds: float


class BacklogCapture:
    """A source with a backlog, whose beginning is kept by a slot that no process reads.

    Args:
        installation: its source must be empty.
        rows: the size of the backlog.
    """

    def __init__(self, installation: Installation, rows: Backlog) -> None:
        self._installation = installation
        self._slot = installation.environment["SOURCE_SLOT"]
        self._kafka = installation.environment["KAFKA_BOOTSTRAP_SERVERS"]
        source = self._source = installation.source
        backlog.prepare(source)
        installation.imsfeed("setup", "source")
        self._load()
        source.execute("select pg_copy_logical_replication_slot(%s, %s)", [self._slot, self._slot + _BASE])
        source.execute("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", [self._slot + _BASE])
        backlog.commit(source, rows)
        self._end = self._one("select pg_current_wal_lsn()")
        self.expected = backlog.events_by_partition(source, PARTITIONS)
        """The backlog's events by partition."""

    def catch_up(self, topic: str) -> CaughtUp:
        """Let capture read the backlog from its beginning into a topic that does not exist yet.

        The time ends when the topic has everything. Then it is asserted that capture counts every event as acknowledged
        and that the source's slot is confirmed beyond the backlog.
        """
        installation = self._installation
        self._rewind()
        log = installation.log("capture")
        log.unlink()
        installation.start("capture", KAFKA_TOPIC=topic)
        until(lambda: _streaming_since(log), within=60, what=f"capture streams; {installation.last_lines()}")
        cpu = installation.metric("capture", "process_cpu_seconds_total")
        with topic_ends(self._kafka, topic) as ends:
            arrived = _await(ends, self.expected)
        cpu = installation.metric("capture", "process_cpu_seconds_total") - cpu
        until(self._is_confirmed, what="the slot is confirmed beyond the backlog")
        assert self._published() == sum(self.expected.values())
        installation.stop("capture")
        return CaughtUp(topic, arrived - _streaming_since(log), cpu)

    def another_slot(self) -> str:
        """Return a new slot for another reader, as if capture had confirmed all up to the backlog's beginning."""
        name = f"{self._slot}_{uuid.uuid4().hex[:8]}"
        self._copy_base(name)
        return name

    def _load(self) -> None:
        installation = self._installation
        installation.start("capture")
        log = installation.log("capture")
        until(lambda: _streaming_since(log), within=60, what=f"capture streams; {installation.last_lines()}")
        installation.stop("capture")

    def _rewind(self) -> None:
        self._source.execute("select pg_drop_replication_slot(%s)", [self._slot])
        self._copy_base(self._slot)

    def _copy_base(self, slot: str) -> None:
        self._source.execute("select pg_copy_logical_replication_slot(%s, %s)", [self._slot + _BASE, slot])
        # The slot was confirmed by hand; without this row capture would refuse to go on from there.
        self._source.execute(
            "insert into imsfeed.capture (slot_name, epoch, loaded_at, loaded_lsn, loaded_rows, confirmable_lsn)"
            " select s.slot_name, c.epoch, c.loaded_at, c.loaded_lsn, c.loaded_rows, s.confirmed_flush_lsn"
            " from imsfeed.capture c, pg_replication_slots s where c.slot_name = %s and s.slot_name = %s"
            " on conflict (slot_name) do update set confirmable_lsn = excluded.confirmable_lsn",
            [self._slot, slot],
        )

    def _is_confirmed(self) -> bool:
        return bool(
            self._one(
                "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s",
                self._end,
                self._slot,
            )
        )

    def _published(self) -> float:
        """Return how many events capture counts as acknowledged, without heartbeats."""
        lines = self._installation.get("capture")[1].splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("imsfeed_events_published_total{") and "heartbeat" not in line
        )

    def _one(self, query: str, *parameters: Any) -> Any:
        row = self._source.execute(query.encode(), parameters).fetchone()
        return None if row is None else row[0]


@contextlib.contextmanager
def backlog_capture(source_dsn: str, kafka: str, topic: str, folder: Path, rows: Backlog) -> Iterator[BacklogCapture]:
    """Yield a backlog in that source; *topic* is for the rows before it. Every process ends with the block."""
    with installed(source_dsn, "", kafka, topic, folder) as installation:
        installation.environment |= _ENVIRONMENT
        yield BacklogCapture(installation, rows)


@contextlib.contextmanager
def topic_ends(kafka: str, topic: str) -> Iterator[Any]:
    """Yield a function that returns the number of messages in each partition of a topic."""
    consumer: Any = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    at = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    try:
        yield lambda: {one.partition: end for one, end in consumer.end_offsets(at).items()}
    finally:
        consumer.close()


def messages_of(kafka: str, topic: str, expected: Mapping[int, int]) -> list[tuple[int, bytes, bytes]]:
    """Return partition, key and value of the expected messages of each partition, in the order they were made."""
    consumer: Any = KafkaConsumer(
        bootstrap_servers=kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=5_000,
        max_partition_fetch_bytes=8_000_000,
    )
    consumer.assign([TopicPartition(topic, partition) for partition in expected])
    found: list[tuple[int, int, bytes, bytes]] = []
    try:
        while len(found) < sum(expected.values()):
            for at, records in consumer.poll(timeout_ms=1_000).items():
                found += [
                    (record.timestamp, at.partition, record.key, record.value)
                    for record in records
                    if record.offset < expected[at.partition]
                ]
    finally:
        consumer.close()
    found.sort(key=lambda message: message[0])  # stable: within a partition the order of the offsets stays
    return [message[1:] for message in found]


def _await(ends: Any, expected: Mapping[int, int]) -> float:
    """Return when every partition had all its messages, in seconds since 1970."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while any(ends().get(partition, 0) < count for partition, count in expected.items()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not everything has arrived within {_LONGEST_SECONDS} s")
        time.sleep(_POLL_SECONDS)
    return time.time()


def _streaming_since(log: Path) -> float:
    """Return when capture's stream began, in seconds since 1970; 0 if it has not yet."""
    for line in log.read_bytes().splitlines():
        event = msgspec.json.decode(line, type=dict[str, Any])
        if event["event"] == "streaming":
            return datetime.fromisoformat(event["timestamp"]).timestamp()
    return 0
