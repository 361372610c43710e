"""All access to private parts of kafka-python; no other module uses them.

pyproject.toml therefore pins kafka-python's minor version, and the tests of this module fail if a private part differs
from what the module expects. The module does not import kafka-python: callers pass in its objects.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID


def checksum_is_compiled(record_util: Any) -> bool:  # noqa: ANN401 - kafka-python is untyped
    """Return whether kafka-python uses the compiled checksum of the package ``crc32c``, not its own one in Python.

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
    """Append a message to the batch that a producer has open for a partition.

    Args:
        producer: a ``kafka.KafkaProducer``.
        place: the topic and partition, a ``kafka.TopicPartition``.
        message: key and value.
        shared_future: called with the future of the batch's last message and the future of the batch; returns the
            future of this message. kafka-python calls its ``rebind(future, index)`` if it splits the batch.

    Returns:
        The message's future, or ``None`` if no batch is open or the message does not fit into it.
    """
    accumulator = producer._accumulator
    with accumulator._tp_lock(place):
        batches = accumulator._batches[place]
        if accumulator._closed or not batches:
            return None
        batch = batches[-1]
        if batch.records.append(None, *message) is None:
            return None
        # One entry for each message: if kafka-python splits the batch, it finds a future by its message's index.
        futures = batch._record_futures
        future = shared_future(futures[-1], batch.produce_future)
        futures.append(future)
        return future


def give_up_unsent(producer: Any) -> None:  # noqa: ANN401 - the same
    """Make a producer fail every message that Kafka has not acknowledged, and accept no more.

    May be called in any thread. ``close()`` would first wait for those messages, and cannot be called in the client's
    own thread.
    """
    producer._sender.force_close()


def needs_to_join(consumer: Any) -> bool:  # noqa: ANN401 - the same
    """Return whether a consumer's next ``poll()`` joins its group, for the first time or again."""
    return bool(consumer._coordinator.need_rejoin())


def request_rejoin(consumer: Any) -> None:  # noqa: ANN401 - the same
    """Make a consumer's next ``poll()`` continue a join that has begun, or begin one.

    If ``poll()`` returns before a join has brought the assignment, kafka-python may already count the join as done. The
    next ``poll()`` then does not wait for the assignment, and the consumer stays in the rebalance for ever, without
    heartbeats.
    """
    consumer._coordinator.request_rejoin()


def sleep(consumer: Any, seconds: float) -> Awaitable[None]:  # noqa: ANN401 - the same
    """Return an awaitable that ends after *seconds*; a rebalance listener awaits it to let the client's tasks run."""
    waiting: Awaitable[None] = consumer._net.sleep(seconds)
    return waiting


def topic_id(consumer: Any, topic: str) -> UUID | None:  # noqa: ANN401 - the same
    """Return Kafka's id of *topic* from a consumer's latest metadata.

    It is all zeros for a topic that does not exist, and ``None`` if the metadata do not contain the topic.
    """
    found: UUID | None = consumer._cluster.topic_id(topic)
    return found
