"""kafka-python's producer, with a short way for a message that belongs into a batch which is open already.

For every message its own ``send`` looks at the topic, the serializers, the partitioner, the headers and the size, and
makes a future that the client's thread completes for it alone: most of what sending costs. Here it is called only to
open a batch. What fits into an open one was looked at with its first message: it has the same topic and partition, and
is smaller than a batch. Those that came the short way share one future, as a batch is acknowledged or refused whole.
"""

from collections.abc import Callable
from typing import Any

import kafka
from kafka.future import Future
from kafka.structs import TopicPartition

from ims.runtime import kafka_internals


class KafkaProducer(kafka.KafkaProducer):  # type: ignore[misc]  # kafka-python is untyped
    """A ``kafka.KafkaProducer`` whose messages have a key, a value and a partition, and nothing else.

    Args:
        settings: those of ``kafka.KafkaProducer``, but without serializers and transactions.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - kafka-python is untyped
        super().__init__(**settings)
        self._places: dict[tuple[str, int], TopicPartition] = {}

    def send(self, topic: str, *, value: bytes, key: bytes, partition: int) -> Any:  # noqa: ANN401 - the same
        """Hand a message over; raises what kafka-python's ``send`` raises.

        Returns:
            The future of the message, or one that it shares with others of its batch: a :class:`BatchFuture`.
        """
        place = self._places.get((topic, partition))
        if place is not None:
            future = kafka_internals.append_to_open_batch(self, place, (key, value), _shared_future)
            if future is not None:
                return future
        future = super().send(topic, value=value, key=key, partition=partition)
        self._places[topic, partition] = TopicPartition(topic, partition)
        return future

    def give_up_unsent(self) -> None:
        """Fail every message that Kafka has not acknowledged and take no more; may be called in any thread."""
        kafka_internals.give_up_unsent(self)


class BatchFuture(Future):  # type: ignore[misc]  # kafka-python is untyped
    """Done when Kafka has every message that shares it, or when one of them has failed.

    Args:
        produced: kafka-python's future of the batch that they are in.

    Attributes:
        messages: how many share it.
        produced: the same, as long as the batch is whole.
    """

    __slots__ = ("messages", "produced")

    def __init__(self, produced: Future) -> None:
        super().__init__()
        self.messages = 0
        self.produced: Future | None = produced
        produced.add_callback(self._answered)
        produced.add_errback(self._failed)

    def rebind(self, produced: Future, _index: int) -> None:
        """A broker found the batch too large: one of the messages is in a smaller one now, with that future.

        Called by kafka-python for each message, also when that one is divided in its turn. The future of a batch that
        was divided is never done.
        """
        self.produced = None
        produced.add_callback(self._answered)
        produced.add_errback(self._failed)

    def _answered(self, result: tuple[int, int, Callable[[int], BaseException] | None]) -> None:
        """Kafka has answered: for all messages, or for one of them if the batch was divided."""
        errors = result[2]
        if errors is not None:
            self._failed(errors(0))
            return
        self.messages -= self.messages if self.produced is not None else 1
        if not self.messages and not self.is_done:
            self.success(None)

    def _failed(self, exception: BaseException) -> None:
        if not self.is_done:
            self.failure(exception)


def _shared_future(newest: Future, produced: Future) -> BatchFuture:
    """Return the future that a further message of a batch shares with the newest one in it, or begin to share one."""
    sharing = isinstance(newest, BatchFuture) and newest.produced is produced
    shared: BatchFuture = newest if sharing else BatchFuture(produced)
    shared.messages += 1
    return shared
