"""When messages arrive in a topic, by the broker's offsets or by reading the topic."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

_SILENCE_SECONDS: Final = 90
"""Time without a new message after which waiting ends with an error."""
_FIRST_POLL_SECONDS: Final = 0.01
_POLL_SECONDS: Final = 0.05


class BenchTopic:
    """A topic of our own, with a consumer.

    Args:
        kafka: bootstrap servers.
        name: the topic's name.
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
        """Return how many messages are in each partition."""
        return {at.partition: end for at, end in self._consumer.end_offsets(self._all).items()}

    def skip(self) -> None:
        """Seek to the topic's end."""
        self._consumer.assign(self._all)
        for at, end in self._consumer.end_offsets(self._all).items():
            self._consumer.seek(at, end)

    def read(self) -> list[bytes]:
        """Return the keys of the messages that have arrived since; wait for a moment if there are none."""
        polled = self._consumer.poll(timeout_ms=500)
        return [record.key for records in polled.values() for record in records]

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


@contextlib.contextmanager
def topic(kafka: str, name: str, partitions: int) -> Iterator[BenchTopic]:
    """Yield a topic that is deleted after the block, with all others whose names contain its name."""
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
        rows: messages of the backlog.
        first_at: when the first message was there.
        half_at: when half of them were there.
        half_rows: how many were there then.
        last_at: when all were there.
    """

    rows: int
    first_at: float
    half_at: float
    half_rows: int
    last_at: float

    @property
    def cold(self) -> float:
        """Messages per second, from the start of the process."""
        return self.rows / self.last_at

    @property
    def warm(self) -> float:
        """Messages per second, in the second half."""
        return (self.rows - self.half_rows) / (self.last_at - self.half_at)


def await_backlog(
    arriving: BenchTopic, expected: Mapping[int, int], process: subprocess.Popen[bytes], began: float
) -> Arrivals:
    """Watch a process deliver a backlog, until every partition has all its messages.

    Args:
        arriving: a topic that was empty when the process was started.
        expected: messages of the backlog by partition; later messages there do not belong to it.
        process: the process that delivers them.
        began: when it was started, by ``time.monotonic()``.

    Raises:
        TimeoutError: no message has arrived for a long time.
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
            # A tiny backlog may arrive between two polls.
            return Arrivals(rows, first, half, min(half_rows, rows - 1), max(now - began, half + _FIRST_POLL_SECONDS))
        if process.poll() is not None:
            raise ChildProcessError(f"it ended with exit code {process.returncode} after {known} of {rows} messages")
        if now - changed > _SILENCE_SECONDS:
            raise TimeoutError(f"no message arrived for {_SILENCE_SECONDS} s, after {known} of {rows} messages")
        time.sleep(_FIRST_POLL_SECONDS if first is None else _POLL_SECONDS)
