"""When messages arrive in a topic, as anybody sees it who asks the broker or reads the topic."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

_STANDSTILL_SECONDS: Final = 90
"""Time without a new message after which nobody waits any longer."""
_START_TURN: Final = 0.01
_TURN: Final = 0.05


class BenchTopic:
    """A topic of our own.

    Args:
        kafka: bootstrap servers.
        name: of the topic.
    """

    def __init__(self, kafka: str, name: str, partitions: int) -> None:
        self.kafka = kafka
        self.name = name
        self.partitions = partitions
        self._consumer: Any = KafkaConsumer(
            bootstrap_servers=kafka, enable_auto_commit=False, fetch_max_wait_ms=100, max_poll_records=10_000
        )
        self._all = [TopicPartition(name, partition) for partition in range(partitions)]

    def counts(self) -> dict[int, int]:
        """How many messages are in each partition."""
        return {at.partition: end for at, end in self._consumer.end_offsets(self._all).items()}

    def skip(self) -> None:
        """Go to the topic's end."""
        self._consumer.assign(self._all)
        for at, end in self._consumer.end_offsets(self._all).items():
            self._consumer.seek(at, end)

    def read(self) -> list[bytes]:
        """The keys of what has arrived since; waits for a moment if nothing has."""
        polled = self._consumer.poll(timeout_ms=500)
        return [record.key for records in polled.values() for record in records]

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()


@contextlib.contextmanager
def topic(kafka: str, name: str, partitions: int) -> Iterator[BenchTopic]:
    """A topic that is gone after the block, with all others whose names contain its name."""
    admin: Any = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})
        admin.wait_for_topics([name])
        found = BenchTopic(kafka, name, partitions)
        try:
            yield found
        finally:
            found.close()
            admin.delete_topics([one for one in admin.list_topics() if name in one])
    finally:
        admin.close()


class Arrivals(msgspec.Struct, frozen=True):
    """How a backlog has arrived; times are seconds since the process was started.

    Attributes:
        rows: of the backlog.
        first_at: when there was a message.
        half_at: when there was half of them.
        half_rows: how many there were then.
        last_at: when there were all.
    """

    rows: int
    first_at: float
    half_at: float
    half_rows: int
    last_at: float

    @property
    def cold(self) -> float:
        """Messages a second, from the start of the process on."""
        return self.rows / self.last_at

    @property
    def warm(self) -> float:
        """Messages a second, in the second half."""
        return (self.rows - self.half_rows) / (self.last_at - self.half_at)


def await_backlog(
    arriving: BenchTopic, expected: Mapping[int, int], process: subprocess.Popen[bytes], began: float
) -> Arrivals:
    """Watch a process bring a backlog, until every partition has all that belongs there.

    Args:
        arriving: an empty topic when the process was started.
        expected: messages of the backlog by partition; what comes after them there is not of it.
        process: who brings them.
        began: when it was started, of ``time.monotonic()``.

    Raises:
        TimeoutError: no message has come for long.
        ChildProcessError: the process has ended.
    """
    rows = sum(expected.values())
    first = half = None
    half_rows = known = 0
    changed = time.monotonic()
    while True:
        counts, now = arriving.counts(), time.monotonic()
        count = sum(min(counts[partition], most) for partition, most in expected.items())
        if count > known:
            known, changed = count, now
        if count and first is None:
            first = now - began
        if count >= rows / 2 and half is None:
            half, half_rows = now - began, count
        if count == rows and first is not None and half is not None:
            # A tiny backlog may arrive between two looks.
            return Arrivals(rows, first, half, min(half_rows, rows - 1), max(now - began, half + _START_TURN))
        if process.poll() is not None:
            raise ChildProcessError(f"it ended with exit code {process.returncode} after {known} of {rows} messages")
        if now - changed > _STANDSTILL_SECONDS:
            raise TimeoutError(f"nothing came for {_STANDSTILL_SECONDS} s, after {known} of {rows} messages")
        time.sleep(_START_TURN if first is None else _TURN)
