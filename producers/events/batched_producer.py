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
            future = self._append(place, key, value)
            if future is not None:
                return future
        future = super().send(topic, value=value, key=key, partition=partition)
        self._places[topic, partition] = TopicPartition(topic, partition)
        return future

    def _append(self, place: TopicPartition, key: bytes, value: bytes) -> "BatchFuture | None":
        """Put the message into the batch that is open there; ``None``: there is none, or it is full."""
        accumulator = self._accumulator
        with accumulator._tp_lock(place):  # noqa: SLF001 - the client has no other way in
            batches = accumulator._batches[place]  # noqa: SLF001 - the same
            if accumulator._closed or not batches:  # noqa: SLF001 - the same
                return None
            batch = batches[-1]
            if batch.records.append(None, key, value) is None:
                return None
            # One entry for each message: by its number in the batch it is found when the batch must be divided.
            futures: list[Future] = batch._record_futures  # noqa: SLF001 - the same
            shared = futures[-1]
            if not (isinstance(shared, BatchFuture) and shared.produced is batch.produce_future):
                shared = BatchFuture(batch.produce_future)
            shared.messages += 1
            futures.append(shared)
            return shared


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
        produced._add_cb_eb(self._answered, self._failed)  # noqa: SLF001 - as kafka-python's own futures do

    def rebind(self, produced: Future, _index: int) -> None:
        """A broker found the batch too large: one of the messages is in a smaller one now, with that future.

        Called by kafka-python for each message, also when that one is divided in its turn. The future of a batch that
        was divided is never done.
        """
        self.produced = None
        produced._add_cb_eb(self._answered, self._failed)  # noqa: SLF001 - the same

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
