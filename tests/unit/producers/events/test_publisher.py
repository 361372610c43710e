from typing import Any

import msgspec
import pytest
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.future import Future
from prometheus_client import CollectorRegistry

from ims.errors import InvalidSettingsError
from ims.runtime import kafka_internals
from ims.runtime.metrics import CaptureMetrics
from producers.events import publisher
from producers.events.ordered_events import KafkaMessage
from producers.events.publisher import Publisher, refuse_slow_crc

MESSAGE = KafkaMessage(2, b"key", b"value", "person", "c", 1_000)


class Producer:
    """A double of KafkaProducer; the test acknowledges its messages."""

    def __init__(self) -> None:
        self.futures: list[Any] = []
        self.sent: list[dict[str, Any]] = []
        self.forced = False

    def send(self, topic: str, **message: Any) -> Any:
        self.sent.append({"topic": topic, **message})
        self.futures.append(Future())
        return self.futures[-1]

    def give_up_unsent(self) -> None:
        self.forced = True

    def close(self, timeout: float) -> None:
        assert timeout > 0
        assert self.forced


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def sender(producer: Producer, registry: CollectorRegistry) -> Publisher:
    return Publisher(producer, "changes", CaptureMetrics(registry))


def test_a_message_goes_to_its_partition_without_headers(sender: Publisher, producer: Producer) -> None:
    sender.send(MESSAGE)
    assert producer.sent == [{"topic": "changes", "key": b"key", "value": b"value", "partition": 2}]


def test_a_commit_is_acknowledged_when_all_earlier_messages_are(sender: Publisher, producer: Producer) -> None:
    sender.send(MESSAGE)
    sender.send(MESSAGE)
    sender.commit_point(100)
    sender.send(MESSAGE)
    sender.commit_point(200)
    producer.futures[1].success(None)
    producer.futures[2].success(None)
    assert (sender.acknowledged(), sender.inflight) == (None, 3)
    producer.futures[0].success(None)
    assert (sender.acknowledged(), sender.inflight) == (200, 0)


def test_messages_that_share_a_future_are_counted_separately(
    sender: Publisher, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Future()
    watched: list[Any] = []
    add = Future.add_errback

    def add_errback(future: Future, published: Any) -> None:
        watched.append(future)
        add(future, published)

    monkeypatch.setattr(Future, "add_errback", add_errback)
    monkeypatch.setattr(producer, "send", lambda *_, **__: shared)
    for _ in range(3):
        sender.send(MESSAGE)
    sender.commit_point(100)
    assert (sender.acknowledged(), sender.inflight) == (None, 3)
    assert watched == [shared]
    shared.success(None)
    assert (sender.acknowledged(), sender.inflight) == (100, 0)


def test_an_unfinished_transaction_is_not_acknowledged(sender: Publisher, producer: Producer) -> None:
    sender.commit_point(100)
    sender.send(MESSAGE)
    producer.futures[0].success(None)
    assert sender.acknowledged() == 100


def test_a_failed_message_stops_the_client_and_is_raised(sender: Publisher, producer: Producer) -> None:
    sender.send(MESSAGE)
    sender.commit_point(100)
    producer.futures[0].failure(KafkaTimeoutError("expired"))
    assert producer.forced
    with pytest.raises(KafkaTimeoutError):
        sender.acknowledged()


def test_a_long_silence_is_an_error(sender: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    sender.send(MESSAGE)
    sender.acknowledged()
    monkeypatch.setattr(publisher, "_STALL_SECONDS", -1)
    with pytest.raises(KafkaError, match="no acknowledgement"):
        sender.acknowledged()


def test_silence_is_no_error_when_nothing_is_in_flight(sender: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "_STALL_SECONDS", -1)
    sender.commit_point(100)
    assert sender.acknowledged() == 100


def test_the_age_of_the_oldest_message_in_flight_is_known(sender: Publisher, producer: Producer) -> None:
    assert sender.oldest_committed_ms() is None
    sender.send(MESSAGE)
    sender.send(msgspec.structs.replace(MESSAGE, committed_ms=2_000))
    assert sender.oldest_committed_ms() == 1_000
    producer.futures[0].success(None)
    sender.acknowledged()
    assert (sender.oldest_committed_ms(), sender.committed_ms) == (2_000, 1_000)


def test_attempts_are_counted_when_sent_and_events_when_acknowledged(
    sender: Publisher, producer: Producer, registry: CollectorRegistry
) -> None:
    published = {"table": "person", "op": "c"}
    sender.send(MESSAGE)
    sender.acknowledged()
    assert registry.get_sample_value("imsfeed_publish_attempts_total") == 1
    assert registry.get_sample_value("imsfeed_events_published_total", published) == 0
    producer.futures[0].success(None)
    sender.acknowledged()
    assert registry.get_sample_value("imsfeed_events_published_total", published) == 1


def test_closing_does_not_wait_for_messages_in_flight(sender: Publisher, producer: Producer) -> None:
    sender.send(MESSAGE)
    sender.close()
    assert producer.forced


def test_the_slow_checksum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_slow_crc()
    monkeypatch.setattr(kafka_internals, "checksum_is_compiled", lambda _record_util: False)
    with pytest.raises(InvalidSettingsError, match="crc32c"):
        refuse_slow_crc()
