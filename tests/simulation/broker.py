"""Kafka in a schedule: partitions, and producers whose messages arrive late, twice, or never.

A producer's messages of one partition arrive in order; what it had sent may still arrive after it has died.
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
    """A message's position, read by other means than those under test."""

    op: str
    source: _Source
    transaction: _Transaction

    @property
    def position(self) -> tuple[int, int, int]:
        return self.source.epoch, int(self.transaction.id.rpartition(":")[2]), self.transaction.total_order


_SEEN = msgspec.json.Decoder(Seen)


def seen_in(value: bytes | None) -> Seen:
    """Return which event a message is."""
    return _SEEN.decode(value or b"")


class Future:
    """What a producer returns for a message: whether Kafka has acknowledged it."""

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
    """Stands in for ``KafkaProducer``: what :class:`producers.events.publisher.Publisher` needs of it.

    Attributes:
        waiting: by partition, what has not arrived.
        arrived: by partition, what has arrived and is not acknowledged.
        alive: whether its process runs, so that acknowledgements reach it.
    """

    def __init__(self, partitions: int) -> None:
        self.waiting: list[deque[Sent]] = [deque() for _ in range(partitions)]
        self.arrived: list[deque[Sent]] = [deque() for _ in range(partitions)]
        self.alive = True
        self.patient = True
        self.closed = False
        self._sender = self

    def send(self, _topic: str, *, value: bytes, key: bytes, partition: int) -> Future:
        future = Future()
        if not self.closed:
            self.waiting[partition].append(Sent(future, key, value))
        return future

    def force_close(self) -> None:
        """Send nothing more, and acknowledge nothing of what is on its way."""
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
        """Return the partitions to which a message is on its way, or from which an acknowledgement is."""
        both = zip(self.waiting, self.arrived, strict=True)
        return [number for number, (waiting, arrived) in enumerate(both) if waiting or arrived]


class Broker:
    """The topic, and which positions each partition has."""

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
        """Acknowledge to the producer, if it runs, what has arrived."""
        while producer.arrived[partition]:
            sent = producer.arrived[partition].popleft()
            if producer.alive:
                sent.future.succeed()

    def refuse(self, producer: Producer, partition: int) -> None:
        """Let the producer give up its next batch, and with it all that it has not sent."""
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
