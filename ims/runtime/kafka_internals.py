"""Reach the parts of kafka-python that are not its public interface; no other module does.

pyproject.toml pins kafka-python's minor version because of them, and the tests of this module fail when one of them is
not what is expected here. Nothing is imported from kafka-python: its objects are handed in.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID


def checksum_is_compiled(record_util: Any) -> bool:  # noqa: ANN401 - kafka-python is untyped
    """Return whether kafka-python uses the compiled checksum of the package ``crc32c`` and not its own in Python.

    Args:
        record_util: the module ``kafka.record.util``.
    """
    return record_util._crc32c is not record_util.crc32c_py


def append_to_open_batch(
    producer: Any,  # noqa: ANN401 - the same
    place: Any,  # noqa: ANN401 - the same
    message: tuple[bytes, bytes],
    shared_future: Callable[[Any, Any], Any],
) -> Any | None:  # noqa: ANN401 - the same
    """Put a message into the batch that a producer has open for a partition.

    Args:
        producer: a ``kafka.KafkaProducer``.
        place: the topic and partition, a ``kafka.TopicPartition``.
        message: key and value.
        shared_future: called with the future of the batch's newest message and with the batch's own future; returns
            that of this message, on which kafka-python calls ``rebind(future, index)`` should it divide the batch.

    Returns:
        The message's future, or ``None``: no batch is open, or the message does not fit into it.
    """
    accumulator = producer._accumulator
    with accumulator._tp_lock(place):
        batches = accumulator._batches[place]
        if accumulator._closed or not batches:
            return None
        batch = batches[-1]
        if batch.records.append(None, *message) is None:
            return None
        # One entry for each message: by its number in the batch it is found when the batch must be divided.
        futures = batch._record_futures
        future = shared_future(futures[-1], batch.produce_future)
        futures.append(future)
        return future


def give_up_unsent(producer: Any) -> None:  # noqa: ANN401 - the same
    """Let a producer fail every message that Kafka has not acknowledged, and take no more; may be called in any thread.

    ``close()`` would first wait for those very messages, and cannot be called in the client's own thread.
    """
    producer._sender.force_close()


def needs_to_join(consumer: Any) -> bool:  # noqa: ANN401 - the same
    """Return whether a consumer is to join its group, for the first time or again; its next ``poll()`` does that."""
    return bool(consumer._coordinator.need_rejoin())


def request_rejoin(consumer: Any) -> None:  # noqa: ANN401 - the same
    """Let a consumer's next ``poll()`` go on with a join that has begun, or begin one.

    A join is begun when the topic's partitions have changed, and counts as done as soon as they are assigned. If
    ``poll()`` returns before the assignment has arrived, the next one does not wait for it, and the consumer remains in
    the rebalance, without heartbeats, for ever.
    """
    consumer._coordinator.request_rejoin()


def sleep(consumer: Any, seconds: float) -> Awaitable[None]:  # noqa: ANN401 - the same
    """Return what a rebalance listener awaits in order to let the consumer's other tasks go on for so long."""
    waiting: Awaitable[None] = consumer._net.sleep(seconds)
    return waiting


def topic_id(consumer: Any, topic: str) -> UUID | None:  # noqa: ANN401 - the same
    """Return Kafka's id of *topic* as of a consumer's last metadata; all zeros for a topic that is not there."""
    found: UUID | None = consumer._cluster.topic_id(topic)
    return found
