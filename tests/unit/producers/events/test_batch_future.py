"""The future that messages of a batch share: done when Kafka has all of them, even if the batch is split."""

from typing import Any

from kafka.errors import KafkaError
from kafka.producer.future import FutureProduceResult
from kafka.structs import TopicPartition

from producers.events.batched_producer import BatchFuture

PLACE = TopicPartition("changes", 0)
DONE = (0, -1, None)


def failed(error: BaseException) -> tuple[int, int, Any]:
    return (-1, -1, lambda _: error)


def shared_by(messages: int) -> tuple[BatchFuture, FutureProduceResult]:
    """Return the future that so many messages share, and the future of their batch."""
    batch = FutureProduceResult(PLACE)
    future = BatchFuture(batch)
    future.messages = messages
    return future, batch


def split(future: BatchFuture, *parts: int) -> list[FutureProduceResult]:
    """Split the batch as kafka-python does: rebind the future once for each message."""
    batches = [FutureProduceResult(PLACE) for _ in parts]
    for batch, messages in zip(batches, parts, strict=True):
        for index in range(messages):
            future.rebind(batch, index)
    return batches


def test_a_shared_future_is_done_when_its_batch_is() -> None:
    future, batch = shared_by(7)
    assert not future.is_done
    batch.success(DONE)
    assert future.succeeded()


def test_a_shared_future_fails_immediately_with_its_batch() -> None:
    future, batch = shared_by(7)
    published: list[BaseException] = []
    future.add_errback(published.append)
    error = KafkaError("refused")
    batch.success(failed(error))
    assert future.exception is error
    assert published == [error]


def test_an_errback_added_after_the_failure_is_called() -> None:
    future, batch = shared_by(1)
    error = KafkaError("refused")
    batch.success(failed(error))
    published: list[BaseException] = []
    future.add_errback(published.append)
    assert published == [error]


def test_a_split_batch_is_done_when_every_part_is() -> None:
    future, _ = shared_by(5)
    first, second = split(future, 2, 3)
    first.success(DONE)
    assert not future.is_done
    second.success(DONE)
    assert future.succeeded()


def test_a_part_of_a_batch_may_be_split_again() -> None:
    future, _ = shared_by(5)
    _, second = split(future, 2, 3)
    third, fourth = split(future, 1, 1)
    second.success(DONE)
    third.success(DONE)
    assert not future.is_done
    fourth.success(DONE)
    assert future.succeeded()


def test_one_failed_part_fails_the_future_once() -> None:
    future, _ = shared_by(4)
    published: list[BaseException] = []
    future.add_errback(published.append)
    first, second = split(future, 2, 2)
    errors = [KafkaError("first"), KafkaError("second")]
    first.success(failed(errors[0]))
    second.success(failed(errors[1]))
    assert future.exception is errors[0]
    assert published == errors[:1]


def test_a_part_that_succeeds_after_a_failure_changes_nothing() -> None:
    future, _ = shared_by(2)
    first, second = split(future, 1, 1)
    error = KafkaError("refused")
    first.success(failed(error))
    second.success(DONE)
    assert future.exception is error
