"""The same tests over Kafka and its double."""

from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from consumers.materialize.batch import Message
from consumers.materialize.kafka_source import KafkaSource, OffsetLostError
from ims.runtime.settings import Settings
from tests.support.memory.capture import MemoryTopic
from tests.support.waiting import until

Topic = KafkaSource | MemoryTopic
Append = Callable[[int, bytes | None], None]


@pytest.fixture(params=["double", "kafka"])
def topic_and_append(request: pytest.FixtureRequest) -> Iterator[tuple[Topic, Append]]:
    if request.param == "double":
        double = MemoryTopic(2)
        yield double, lambda partition, value: double.append(partition, value, b"key")
        return
    servers, name = request.getfixturevalue("kafka"), request.getfixturevalue("topic")
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    source = KafkaSource(Settings.model_validate({"kafka_bootstrap_servers": servers, "kafka_topic": name}))

    def append(partition: int, value: bytes | None) -> None:
        producer.send(name, value, key=b"key", partition=partition).get(timeout=30)

    yield source, append
    source.close()
    producer.close()


@pytest.fixture
def source(topic_and_append: tuple[Topic, Append]) -> Topic:
    return topic_and_append[0]


@pytest.fixture
def append(topic_and_append: tuple[Topic, Append]) -> Append:
    return topic_and_append[1]


def polled(source: Topic, count: int) -> dict[int, list[Message]]:
    """Poll until there are *count* messages, and return them."""
    found: dict[int, list[Message]] = {}

    def enough() -> bool:
        for partition, messages in source.poll(0.2).items():
            found.setdefault(partition, []).extend(messages)
        return sum(map(len, found.values())) >= count

    until(enough, what=f"{count} messages")
    return found


def test_the_partitions_are_known(source: Topic) -> None:
    assert until(source.partitions, what="the topic's partitions") == {0, 1}


def test_messages_come_in_order_from_the_offset_asked_for(source: Topic, append: Append) -> None:
    for value in (b"a", b"b", b"c"):
        append(0, value)
    append(1, None)
    source.assign({0: 1, 1: 0})
    assert polled(source, 3) == {0: [Message(1, b"key", b"b"), Message(2, b"key", b"c")], 1: [Message(0, b"key", None)]}


def test_only_assigned_partitions_are_read(source: Topic, append: Append) -> None:
    append(0, b"a")
    append(1, b"b")
    source.assign({1: 0})
    assert polled(source, 1).keys() == {1}


def test_after_a_seek_the_same_messages_come_again(source: Topic, append: Append) -> None:
    append(0, b"a")
    source.assign({0: 0})
    assert polled(source, 1) == {0: [Message(0, b"key", b"a")]}
    source.seek(0, 0)
    assert polled(source, 1) == {0: [Message(0, b"key", b"a")]}


def test_the_position_is_after_what_was_polled(source: Topic, append: Append) -> None:
    append(0, b"a")
    append(0, b"b")
    source.assign({0: 1})
    assert source.position(0) == 1
    polled(source, 1)
    assert source.position(0) == 2


def test_the_lag_counts_what_was_not_applied(source: Topic, append: Append) -> None:
    append(0, b"a")
    append(0, b"b")
    assert source.lag({0: 1, 1: 0}) == {0: 1, 1: 0}
    assert source.first_offset(0) == 0


def test_a_missing_offset_is_an_error_and_no_silent_reset(source: Topic) -> None:
    with pytest.raises(OffsetLostError):
        source.assign({0: 5})
