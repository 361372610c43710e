"""The short path into an open batch changes neither what arrives nor what is refused."""

from collections.abc import Iterator
from typing import Any

import kafka as kafka_python
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import IllegalStateError, KafkaError, MessageSizeTooLargeError

from ims.runtime.settings import Settings
from producers.events import publisher
from producers.events.batched_producer import KafkaProducer
from producers.events.oversized_rows import LARGEST_MESSAGE
from producers.events.topic import ensure_topic
from tests.support.waiting import until

PARTITIONS = 2
BATCH = 1_000
LEAST = 700
"""Largest batch of a topic for small batches, in bytes: three messages at most."""


@pytest.fixture
def settings(kafka: str, topic: str) -> Settings:
    settings = Settings(kafka_bootstrap_servers=kafka, kafka_topic=topic, kafka_partitions=PARTITIONS)
    ensure_topic(settings)
    return settings


@pytest.fixture
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    producer = a_producer(settings, batch_size=BATCH, linger_ms=60_000)
    yield producer
    producer.give_up_unsent()
    producer.close(timeout=5)


def a_producer(settings: Settings, **changes: Any) -> KafkaProducer:
    return KafkaProducer(**publisher.producer_options(settings) | changes)


def arrived(settings: Settings, count: int) -> list[tuple[int, bytes, bytes]]:
    """Wait for so many messages, and return partition, key and value of each."""
    consumer: Any = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    consumer.assign([TopicPartition(settings.kafka_topic, partition) for partition in range(PARTITIONS)])
    found: list[tuple[int, bytes, bytes]] = []
    try:
        while len(found) < count:
            for at, records in consumer.poll(timeout_ms=100).items():
                found += [(at.partition, record.key, record.value) for record in records]
    finally:
        consumer.close()
    return found


def in_order(messages: list[tuple[int, bytes, bytes]]) -> list[list[tuple[int, bytes, bytes]]]:
    """Return the messages of each partition."""
    return [[one for one in messages if one[0] == partition] for partition in range(PARTITIONS)]


def a_topic_of_small_batches(settings: Settings, most: int) -> None:
    """Create a topic that refuses batches of more than *most* bytes."""
    admin: Any = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    admin.create_topics({
        settings.kafka_topic: {"num_partitions": PARTITIONS, "configs": {"max.message.bytes": str(most)}}
    })
    admin.wait_for_topics([settings.kafka_topic])
    admin.close()


def test_messages_of_many_batches_arrive_once_and_in_order(settings: Settings, producer: KafkaProducer) -> None:
    sent = [(number % PARTITIONS, b"%d" % number, b"x" * (number % 400)) for number in range(500)]
    futures = [
        producer.send(settings.kafka_topic, value=value, key=key, partition=partition) for partition, key, value in sent
    ]
    producer.flush(timeout=30)
    assert all(future.succeeded() for future in futures)
    assert in_order(arrived(settings, len(sent))) == in_order(sent)


def test_a_batch_too_large_for_the_broker_arrives_in_parts(kafka: str, topic: str) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka, kafka_topic=topic, kafka_partitions=PARTITIONS)
    a_topic_of_small_batches(settings, LEAST)
    producer = a_producer(settings, batch_size=20 * LEAST, linger_ms=100, compression_type=None)
    sent = [(number % PARTITIONS, b"%d" % number, b"x" * (number % 200)) for number in range(200)]
    try:
        futures = [producer.send(topic, value=value, key=key, partition=partition) for partition, key, value in sent]
        assert len({id(future) for future in futures}) < len(sent) / 4
        until(lambda: all(future.succeeded() for future in futures), what="everything is acknowledged")
        producer.send(topic, value=b"more", key=b"more", partition=0)
        producer.flush(timeout=30)
    finally:
        producer.close(timeout=5)
    assert in_order(arrived(settings, len(sent) + 1)) == in_order([*sent, (0, b"more", b"more")])


def test_a_message_larger_than_a_batch_gets_its_own(settings: Settings, producer: KafkaProducer) -> None:
    values = [b"a", b"b" * 3 * BATCH, b"c"]
    for value in values:
        producer.send(settings.kafka_topic, value=value, key=b"k", partition=0)
    producer.flush(timeout=30)
    assert [value for _, _, value in arrived(settings, 3)] == values


def test_an_oversized_message_is_refused_while_a_batch_is_open(settings: Settings, producer: KafkaProducer) -> None:
    producer.send(settings.kafka_topic, value=b"a", key=b"k", partition=0)
    with pytest.raises(MessageSizeTooLargeError):
        producer.send(settings.kafka_topic, value=b"b" * LARGEST_MESSAGE, key=b"k", partition=0)


def test_an_unknown_partition_is_refused(settings: Settings, producer: KafkaProducer) -> None:
    producer.send(settings.kafka_topic, value=b"a", key=b"k", partition=0)
    with pytest.raises(ValueError, match="partition"):
        producer.send(settings.kafka_topic, value=b"a", key=b"k", partition=PARTITIONS)


def test_no_message_is_accepted_after_a_forced_close(settings: Settings, producer: KafkaProducer) -> None:
    future = producer.send(settings.kafka_topic, value=b"a", key=b"k", partition=0)
    producer.give_up_unsent()
    with pytest.raises(IllegalStateError):
        producer.send(settings.kafka_topic, value=b"b", key=b"k", partition=0)
    with pytest.raises(KafkaError):
        future.get(timeout=30)


def test_most_messages_take_the_short_path(
    settings: Settings, producer: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    real = kafka_python.KafkaProducer.send

    def send(self: Any, topic: str, **message: Any) -> Any:
        opened.append(message["key"])
        return real(self, topic, **message)

    monkeypatch.setattr(kafka_python.KafkaProducer, "send", send)
    for number in range(100):
        producer.send(settings.kafka_topic, value=b"x" * 10, key=b"%d" % number, partition=0)
    assert opened[0] == b"0"
    assert len(opened) <= 4
