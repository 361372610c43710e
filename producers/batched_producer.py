"""kafka-python's producer, with a short way for a message that belongs into a batch which is open already.

For every message its own ``send`` looks at the topic, the serializers, the partitioner, the headers and the size, which
takes half of the time that it needs for one; and while batches wait it wakes its thread for every message. Here it is
called only to open a batch. What fits into an open one was looked at with its first message: it has the same topic and
partition, and is smaller than a batch.
"""

from typing import Any

import kafka
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
        """Hand a message over; what is returned and raised is what kafka-python's ``send`` returns and raises."""
        place = self._places.get((topic, partition))
        if place is not None:
            # Appends nothing, and returns no future, when it would have to open a batch.
            future = self._accumulator.append(place, None, key, value, [], abort_on_new_batch=True)[0]
            if future is not None:
                return future
        future = super().send(topic, value=value, key=key, partition=partition)
        self._places[topic, partition] = TopicPartition(topic, partition)
        return future
