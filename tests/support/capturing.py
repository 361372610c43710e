"""A capture that runs in a thread, its source and its topic: for the tests of capture as a whole."""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.future import Future
from prometheus_client import CollectorRegistry
from psycopg import sql

from consumers.materialize.batch import Message, read_batch
from consumers.replay.memory_store import MemoryFacts
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from ims.source.events import Change, decode
from ims.source.facts import Table
from ims.source.mapping import REFERENCE_MAPPING, SourceMapping
from producers.capture import process as capture
from producers.events import publisher
from producers.source import sessions, source_setup
from producers.source.catalog import Connection
from tests.support.waiting import until

PARTITIONS = 3


def settings_of(source_dsn: str, kafka: str, topic: str) -> Settings:
    """Return settings of a capture with a slot of its own."""
    return Settings(
        source_dsn=source_dsn,
        source_slot=f"test_{uuid.uuid4().hex[:12]}",
        kafka_bootstrap_servers=kafka,
        kafka_topic=topic,
        kafka_partitions=PARTITIONS,
        heartbeat_seconds=0.2,
    )


@contextlib.contextmanager
def prepared(settings: Settings) -> Iterator[Connection]:
    """Yield a connection to the source, set up, with two owners."""
    with sessions.connect(settings.source(), "test") as connection:
        connection.execute("insert into owner values (1, null, 'Fjordvik'), (2, null, 'Ås')")
        source_setup.apply(connection, settings)
        yield connection


def add_persons(source: Connection, *ids: int, owner: int = 1) -> None:
    with source.transaction():
        for number in ids:
            source.execute(
                "insert into person (owner_id, id, given_name, family_name) values (%s, %s, 'Ada', 'Testesen')",
                [owner, number],
            )


class Captured:
    """A capture that runs in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.stop = Stop()
        self.registry = CollectorRegistry()
        self.readiness: list[bool] = []
        self.error: BaseException | None = None
        self._settings = settings
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            capture.run(self._settings, self.stop, CaptureMetrics(self.registry), self.readiness.append)
        except BaseException as error:  # noqa: BLE001 - raised in the test, not in this thread, where it would be lost
            self.error = error

    def is_ready(self) -> bool:
        assert self.error is None
        return self.readiness[-1:] == [True]

    def value(self, metric: str) -> float:
        return self.registry.get_sample_value(f"imsfeed_{metric}") or 0

    def end(self) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        assert self.error is None
        assert not self.readiness[-1]


@contextlib.contextmanager
def capturing(settings: Settings) -> Iterator[Captured]:
    running = Captured(settings)
    try:
        until(running.is_ready, within=60, what="capture streams")
        yield running
    finally:
        running.end()


class Topic:
    """The messages that a consumer finds in the topic, by partition; it connects at its first read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: Any = None
        self.changes: list[tuple[int, Change]] = []
        self.messages: list[tuple[int, Message]] = []

    def read(self) -> list[tuple[int, Change]]:
        """Return all changes so far except heartbeats, each with its partition."""
        if self._consumer is None:
            self._connect()
        for at, records in self._consumer.poll(timeout_ms=100).items():
            self.changes += [(at.partition, change) for record in records if (change := decode(record.value))]
            self.messages += [(at.partition, Message(record.offset, record.key, record.value)) for record in records]
        return [(partition, change) for partition, change in self.changes if change.table != "heartbeat"]

    def persons(self) -> list[Change]:
        """Return all changes of persons so far, in the order of their positions."""
        persons = [change for _, change in self.read() if change.table == "person"]
        return sorted(persons, key=lambda change: change.position)

    def rows(self) -> list[tuple[int, str, int]]:
        """Return partition, operation and id of the changes of persons."""
        return [
            (partition, change.op, (change.after or change.before or {})["id"])
            for partition, change in self.read()
            if change.table == "person"
        ]

    def facts(self, mapping: SourceMapping = REFERENCE_MAPPING) -> MemoryFacts:
        """Return the facts that materialize makes of all messages so far."""
        self.read()
        facts = MemoryFacts()
        for partition, message in self.messages:
            apply(facts, partition, message, mapping)
        return facts

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def _connect(self) -> None:
        settings = self._settings
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
        )
        partitions = range(settings.kafka_partitions)
        self._consumer.assign([TopicPartition(settings.kafka_topic, partition) for partition in partitions])


def apply(facts: MemoryFacts, partition: int, message: Message, mapping: SourceMapping = REFERENCE_MAPPING) -> None:
    """Apply one message as materialize does."""
    progress = facts.progress(partition) or facts.begin(partition, message.offset)
    facts.apply(partition, progress.next_offset, read_batch(progress, [message], mapping, 0))


def persons_of(source: Connection, mapping: SourceMapping = REFERENCE_MAPPING) -> dict[tuple[int, int], str]:
    """Return the family names of the source's persons by owner and running number."""
    columns = [mapping.columns(Table.PERSON)[name] for name in ("owner_id", "id", "family_name")]
    rows = source.execute(sql.SQL("select {} from person").format(sql.SQL(", ").join(map(sql.Identifier, columns))))
    return {(owner, number): name for owner, number, name in rows}


def persons_in(facts: MemoryFacts) -> dict[tuple[int, int], str]:
    """Return the family names of the persons in the facts by owner and running number."""
    return {(key.owner_id, key.id): row["family_name"] for key, row in facts.rows(Table.PERSON).items()}


class SilentKafka:
    """A producer whose messages are acknowledged only when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[Any, Any]] = []
        self.give_up_unsent = self.partitions_for = self.flush = self.close = lambda *_, **__: None
        monkeypatch.setattr(publisher, "connect", lambda _settings: self)

    def send(self, _topic: str, *, value: bytes, **_: Any) -> Any:
        self.sent.append((decode(value), Future()))
        return self.sent[-1][1]

    def acknowledged(self) -> bool:
        """Acknowledge all messages sent so far; return True if there are any."""
        for _, future in list(self.sent):
            if not future.is_done:
                future.success(None)
        return bool(self.sent)

    def persons(self) -> list[Change]:
        return [change for change, _ in self.sent if change is not None and change.table == "person"]
