"""Kafka in a schedule: partitions, and producers whose messages arrive late, twice, or never.

A producer's messages to one partition arrive in order; messages that it has sent may still arrive after it has died.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from kafka.errors import KafkaError, KafkaTimeoutError

from consumers.materialize.batch import Message


class _Source(msgspec.Struct):
    epoch: int


class _Transaction(msgspec.Struct):
    id: str
    total_order: int


class Seen(msgspec.Struct):
    """A message's position, read without the code under test."""

    op: str
    source: _Source
    transaction: _Transaction

    @property
    def position(self) -> tuple[int, int, int]:
        return self.source.epoch, int(self.transaction.id.rpartition(":")[2]), self.transaction.total_order


_SEEN = msgspec.json.Decoder(Seen)


def seen_in(value: bytes | None) -> Seen:
    """Return the position of the event in a message."""
    return _SEEN.decode(value or b"")


class Future:
    """A producer's promise for a message: acknowledged, failed, or neither yet."""

    def __init__(self) -> None:
        self.is_done = False
        self.exception: Exception | None = None
        self._errbacks: list[Callable[[Exception], None]] = []

    def add_errback(self, errback: Callable[[Exception], None]) -> None:
        self._errbacks.append(errback)

    def failed(self) -> bool:
        return self.exception is not None

    def succeed(self) -> None:
        self.is_done = True

    def fail(self, error: Exception) -> None:
        self.is_done, self.exception = True, error
        for errback in self._errbacks:
            errback(error)


class Sent(NamedTuple):
    """A message on its way."""

    future: Future
    key: bytes
    value: bytes


class Producer:
    """A double of ``KafkaProducer``, with what :class:`producers.events.publisher.Publisher` needs of it.

    Attributes:
        waiting: messages that have not arrived, by partition.
        arrived: messages that have arrived and are not acknowledged, by partition.
        alive: whether its process runs, so that acknowledgements reach it.
    """

    def __init__(self, partitions: int) -> None:
        self.waiting: list[deque[Sent]] = [deque() for _ in range(partitions)]
        self.arrived: list[deque[Sent]] = [deque() for _ in range(partitions)]
        self.alive = True
        self.patient = True
        self.closed = False

    def send(self, _topic: str, *, value: bytes, key: bytes, partition: int) -> Future:
        future = Future()
        if not self.closed:
            self.waiting[partition].append(Sent(future, key, value))
        return future

    def give_up_unsent(self) -> None:
        """Stop sending; messages on their way are never acknowledged."""
        self.closed = True
        for queue in (*self.waiting, *self.arrived):
            given_up = list(queue)
            queue.clear()
            for sent in given_up:
                sent.future.fail(KafkaError("given up"))

    def flush(self, timeout: float) -> None:
        if not self.patient:
            raise KafkaTimeoutError(f"not acknowledged within {timeout:g} seconds")

    def close(self, timeout: float) -> None:
        assert timeout >= 0
        self.alive = False

    def busy(self) -> list[int]:
        """Return the partitions with a message or an acknowledgement on its way."""
        both = zip(self.waiting, self.arrived, strict=True)
        return [number for number, (waiting, arrived) in enumerate(both) if waiting or arrived]


class Broker:
    """The topic, and the positions that each partition has."""

    def __init__(self, partitions: int) -> None:
        self.log: list[list[Message]] = [[] for _ in range(partitions)]
        self.positions: list[set[tuple[int, int, int]]] = [set() for _ in range(partitions)]
        self.truncates = 0
        self._of_commit: dict[tuple[int, int], int] = {}

    def take(self, producer: Producer, partition: int, count: int) -> int:
        """Let the next messages arrive, and return how many there were."""
        waiting, taken = producer.waiting[partition], 0
        while waiting and taken < count:
            sent = waiting.popleft()
            self._append(partition, sent)
            producer.arrived[partition].append(sent)
            taken += 1
        return taken

    def repeat(self, producer: Producer, partition: int) -> None:
        """Lose the acknowledgement, so that the producer sends its batch again."""
        for sent in producer.arrived[partition]:
            self._append(partition, sent)

    def acknowledge(self, producer: Producer, partition: int) -> None:
        """Acknowledge the messages that have arrived, if the producer still runs."""
        while producer.arrived[partition]:
            sent = producer.arrived[partition].popleft()
            if producer.alive:
                sent.future.succeed()

    def refuse(self, producer: Producer, partition: int) -> None:
        """Make the producer give up its next batch, and all messages that it has not sent."""
        producer.waiting[partition].popleft().future.fail(KafkaError("given up"))

    def events(self, epoch: int, commit_lsn: int) -> int:
        """Return how many different events of a transaction have arrived."""
        return self._of_commit.get((epoch, commit_lsn), 0)

    def _append(self, partition: int, sent: Sent) -> None:
        log = self.log[partition]
        log.append(Message(len(log), sent.key, sent.value))
        seen = seen_in(sent.value)
        position = seen.position
        if position not in self.positions[partition]:
            self.positions[partition].add(position)
            commit = position[:2]
            self._of_commit[commit] = self._of_commit.get(commit, 0) + 1
        if seen.op == "t":
            self.truncates += 1
