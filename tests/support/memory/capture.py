"""Kafka's partitions in memory; tests/contract compares them with the real ones."""

from consumers.materialize.batch import Message
from consumers.materialize.kafka_source import OffsetLostError
from consumers.replay.memory_store import MemoryFacts

__all__ = ["MemoryFacts", "MemoryTopic"]


class MemoryTopic:
    """A topic with :meth:`append`, and the methods of :class:`~consumers.materialize.kafka_source.KafkaSource`.

    Args:
        partitions: how many it has.
        limit: most messages of one poll.
    """

    def __init__(self, partitions: int, limit: int = 500) -> None:
        self._log: dict[int, list[Message]] = {number: [] for number in range(partitions)}
        self._limit = limit
        self._next: dict[int, int] = {}

    def append(self, partition: int, value: bytes | None, key: bytes | None = None) -> None:
        """Append a producer's message."""
        self._log[partition].append(Message(len(self._log[partition]), key, value))

    def partitions(self) -> set[int]:
        return set(self._log)

    def first_offset(self, partition: int) -> int:
        assert partition in self._log
        return 0

    def assign(self, offsets: dict[int, int]) -> None:
        for partition, offset in offsets.items():
            if not 0 <= offset <= len(self._log[partition]):
                raise OffsetLostError(f"offset {offset} is outside 0..{len(self._log[partition])}")
        self._next = dict(offsets)

    def poll(self, _seconds: float) -> dict[int, list[Message]]:
        polled = {}
        for partition, offset in self._next.items():
            if messages := self._log[partition][offset : offset + self._limit]:
                polled[partition] = messages
                self._next[partition] += len(messages)
        return polled

    def seek(self, partition: int, offset: int) -> None:
        self._next[partition] = offset

    def position(self, partition: int) -> int:
        return self._next[partition]

    def lag(self, offsets: dict[int, int]) -> dict[int, int]:
        return {partition: len(self._log[partition]) - offset for partition, offset in offsets.items()}

    def close(self) -> None:
        self._next = {}
