"""The private parts of kafka-python that imsfeed uses: a test fails if one of them changes."""

import ast
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import kafka
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.future import Future
from kafka.producer.future import FutureRecordMetadata
from kafka.record import util as record_util

from ims.runtime import kafka_internals
from ims.runtime.kafka_internals import append_to_open_batch
from tests.support.paths import ROOT
from tests.support.waiting import until

PLACE = TopicPartition("changes", 0)
NOWHERE: dict[str, Any] = {"bootstrap_servers": "127.0.0.1:1", "api_version": (4, 1)}
"""An address without a broker; with the API version given, a client can be made without a connection."""


@pytest.fixture
def producer() -> Iterator[Any]:
    producer = KafkaProducer(**NOWHERE)
    yield producer
    kafka_internals.give_up_unsent(producer)
    producer.close(timeout=5)


@pytest.fixture
def consumer() -> Iterator[Any]:
    consumer = KafkaConsumer(**NOWHERE, group_id="group")
    yield consumer
    consumer.close()


def open_batch(producer: Any) -> Any:
    """Open a batch with a first message, as the producer does, and return the message's future."""
    arguments = inspect.signature(producer._accumulator.append).parameters
    assert list(arguments)[:5] == ["tp", "timestamp_ms", "key", "value", "headers"]
    future, *_ = producer._accumulator.append(PLACE, 0, b"first", b"value", [])
    assert isinstance(future, FutureRecordMetadata)
    return future


def shared(_newest: Future, _produced: Future) -> Future:
    return Future()


def test_the_minor_version_of_kafka_python_is_the_checked_one() -> None:
    checked_version = "3.0."
    assert kafka.__version__.startswith(checked_version), (
        f"kafka-python is {kafka.__version__}: check that ims/runtime/kafka_internals.py is right for it, and what"
        " consumers/materialize/consumer_group.py says about its consumer"
    )


def test_no_other_module_uses_private_parts_of_kafka_python() -> None:
    modules = [path for name in ("ims", "producers", "consumers", "deploy") for path in (ROOT / name).rglob("*.py")]
    assert len(modules) > 100
    reaching = {
        path.relative_to(ROOT).as_posix(): line
        for path in modules
        for line in private_parts(path)
        if path.name != "kafka_internals.py"
    }
    assert reaching == {}


def private_parts(path: Path) -> list[str]:
    """Return the private attributes of other objects than self that a module uses, if it imports kafka-python."""
    tree = ast.parse(path.read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    if not any(name.partition(".")[0] == "kafka" for name in imported):
        return []
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) not in {"self", "self._member"}
    ]


def test_a_message_joins_the_open_batch(producer: Any) -> None:
    first = open_batch(producer)
    seen: list[Future] = []

    def shares(newest: Future, produced: Future) -> Future:
        seen.extend([newest, produced])
        return Future()

    future = append_to_open_batch(producer, PLACE, (b"key", b"value"), shares)
    (batch,) = producer._accumulator._batches[PLACE]
    assert seen == [first, batch.produce_future]
    assert batch._record_futures == [first, future]
    assert batch.record_count == 2


def test_a_message_joins_no_batch_if_none_is_open(producer: Any) -> None:
    assert append_to_open_batch(producer, PLACE, (b"key", b"value"), shared) is None


def test_a_message_does_not_join_a_full_batch(producer: Any) -> None:
    open_batch(producer)
    assert append_to_open_batch(producer, PLACE, (b"key", b"x" * 20_000), shared) is None


def test_no_message_joins_after_giving_up(producer: Any) -> None:
    first = open_batch(producer)
    kafka_internals.give_up_unsent(producer)
    until(first.failed, what="the unsent message has failed")
    assert append_to_open_batch(producer, PLACE, (b"key", b"value"), shared) is None


def test_futures_can_be_rebound_when_a_batch_is_split() -> None:
    assert list(inspect.signature(FutureRecordMetadata.rebind).parameters) == [
        "self",
        "new_produce_future",
        "new_batch_index",
    ]


def test_the_compiled_checksum_is_distinguished_from_the_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kafka_internals.checksum_is_compiled(record_util)
    monkeypatch.setattr(record_util, "_crc32c", record_util.crc32c_py)
    assert not kafka_internals.checksum_is_compiled(record_util)


def test_the_id_of_a_topic_is_found(consumer: Any) -> None:
    assert kafka_internals.topic_id(consumer, "changes") is None
    consumer._cluster._topic_ids["changes"] = UUID(int=7)
    assert kafka_internals.topic_id(consumer, "changes") == UUID(int=7)


def test_a_consumer_needs_to_join_once_it_has_subscribed(consumer: Any) -> None:
    assert not kafka_internals.needs_to_join(consumer)
    consumer.subscribe(["changes"])
    assert kafka_internals.needs_to_join(consumer)


def test_a_consumer_joins_again_on_request(consumer: Any) -> None:
    consumer.subscribe(["changes"])
    coordinator = consumer._coordinator
    coordinator.rejoin_needed, coordinator._joined_subscription = False, {"changes"}  # as after a join
    assert not kafka_internals.needs_to_join(consumer)
    kafka_internals.request_rejoin(consumer)
    assert kafka_internals.needs_to_join(consumer)


def test_a_sleeping_listener_does_not_block_the_client(consumer: Any) -> None:
    continued = threading.Event()

    async def listener() -> bool:
        consumer._net.call_soon(continued.set)
        while not continued.is_set():
            await kafka_internals.sleep(consumer, 0.01)
        return True

    assert consumer._net.run(listener)
