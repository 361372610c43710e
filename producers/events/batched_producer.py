"""kafka-python's producer, with a short path for a message that fits into a batch which is open already.

For every message, kafka-python's own ``send`` checks the topic, the serializers, the partitioner, the headers and the
size, and creates a future that the client's thread completes for that message alone: most of what sending costs. Here
its ``send`` is called only to open a batch. A message that fits into an open batch needs none of those checks: its
topic and partition are those of the batch's first message, and it is smaller than a batch. Messages on the short path
share one future, since a batch is acknowledged or refused as a whole.
"""

from collections.abc import Callable
from typing import Any

import kafka
from kafka.future import Future
from kafka.structs import TopicPartition

from ims.runtime import kafka_internals


class KafkaProducer(kafka.KafkaProducer):  # type: ignore[misc]  # kafka-python is untyped
    """A ``kafka.KafkaProducer`` for messages that have a key, a value and a partition, and nothing else.

    Args:
        settings: those of ``kafka.KafkaProducer``, without serializers and transactions.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - kafka-python is untyped
        super().__init__(**settings)
        self._places: dict[tuple[str, int], TopicPartition] = {}

    def send(self, topic: str, *, value: bytes, key: bytes, partition: int) -> Any:  # noqa: ANN401 - the same
        """Hand a message to the client; raises what kafka-python's ``send`` raises.

        Returns:
            The future of the message, or a :class:`BatchFuture` that it shares with other messages of its batch.
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
    """A future that is done when Kafka has every message that shares it, or when one of them has failed.

    Args:
        produced: kafka-python's future of the messages' batch.

    Attributes:
        messages: how many messages share it and are not acknowledged yet.
        produced: the batch's future, until the batch is split.
    """

    __slots__ = ("messages", "produced")

    def __init__(self, produced: Future) -> None:
        super().__init__()
        self.messages = 0
        self.produced: Future | None = produced
        produced.add_callback(self._answered)
        produced.add_errback(self._failed)

    def rebind(self, produced: Future, _index: int) -> None:
        """Wait for a smaller batch instead, into which one of the messages was moved.

        kafka-python calls this for each message of a batch that a broker found too large, and again if the smaller
        batch is split in its turn. The future of the batch that was split is never done.
        """
        self.produced = None
        produced.add_callback(self._answered)
        produced.add_errback(self._failed)

    def _answered(self, result: tuple[int, int, Callable[[int], BaseException] | None]) -> None:
        """Count the messages that Kafka's answer is about: all of them, or one if the batch was split."""
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
