"""Materialize after Kafka has lost messages or the topic has been created again, and the remedy."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from consumers.database import sessions
from consumers.materialize import kafka_source
from consumers.materialize import process as materialize
from consumers.materialize.batch import Progress
from consumers.materialize.facts_store import FactsStore
from consumers.materialize.kafka_source import OffsetLostError
from deploy.cli import app
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_person
from tests.support.pipeline import row_of
from tests.support.waiting import until


class Materializing:
    """A topic with one partition, and a materializer that the test starts and ends."""

    def __init__(self, state_dsn: str, kafka: str, topic: str) -> None:
        self.settings = Settings.model_validate({
            "state_dsn": state_dsn,
            "kafka_bootstrap_servers": kafka,
            "kafka_topic": topic,
            "kafka_group": f"group-of-{topic}",
            "kafka_partitions": 1,
        })
        self.connection = sessions.connect(state_dsn, "test")
        self.admin = KafkaAdminClient(bootstrap_servers=kafka)
        self.create_topic()
        self._running: tuple[Stop, threading.Thread] | None = None
        self.error: BaseException | None = None

    def create_topic(self) -> None:
        # A client of the test may have created it already, by asking for it.
        with contextlib.suppress(TopicAlreadyExistsError):
            self.admin.create_topics([NewTopic(self.settings.kafka_topic, num_partitions=1, replication_factor=1)])

    def delete_topic(self) -> None:
        self.admin.delete_topics([self.settings.kafka_topic])
        until(lambda: self.settings.kafka_topic not in self.admin.list_topics(), what="the topic is gone")

    def send(self, *values: bytes) -> None:
        producer = KafkaProducer(bootstrap_servers=self.settings.bootstrap_servers, acks="all")
        for value in values:
            producer.send(self.settings.kafka_topic, value, key=b"key", partition=0).get(timeout=30)
        producer.close()

    def start(self) -> None:
        stop, metrics = Stop(), MaterializeMetrics(CollectorRegistry(), 1, self.settings.kafka_topic)

        def run() -> None:
            try:
                materialize.run(self.settings, stop, metrics, lambda _ready: None)
            except BaseException as error:  # noqa: BLE001 - the tests check it
                self.error = error

        self.error, self.metrics = None, metrics
        self._running = stop, threading.Thread(target=run)
        self._running[1].start()

    def end(self) -> None:
        if self._running is not None:
            self._running[0].set()
            self._running[1].join(60)
            assert not self._running[1].is_alive()

    def refusal(self) -> str:
        """Wait until materialize refuses to continue, and return its error."""
        until(lambda: self.error is not None, what="materialize refuses")
        assert isinstance(self.error, OffsetLostError)
        return str(self.error)

    def persons(self) -> set[int]:
        assert self.error is None
        return {id_ for (id_,) in self.connection.execute("select id from imsfeed.person").fetchall()}

    def next_offset(self) -> int | None:
        (row,) = self.connection.execute("select next_offset from imsfeed.topic_partition").fetchall()
        return row[0]  # type: ignore[no-any-return]


@pytest.fixture
def materializing(state_dsn: str, kafka: str, topic: str) -> Iterator[Materializing]:
    materializing = Materializing(state_dsn, kafka, topic)
    yield materializing
    materializing.end()
    materializing.connection.close()
    materializing.admin.close()


def an_event(lsn: int, person: int, *, op: str = "c", epoch: int = 1, **columns: Any) -> bytes:
    return encode(
        Envelope(
            source=Source(schema="public", table="person", epoch=epoch),
            op=op,
            after={**row_of(a_person(person)), **columns},
            transaction=Transaction(f"7:{lsn}", 1, 1, last=True),
        )
    )


def reset_offsets(materializing: Materializing, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run `imsfeed setup state --reset-offsets`, and return its output."""
    settings = materializing.settings
    monkeypatch.setenv("STATE_DSN", settings.state())
    monkeypatch.setenv("KAFKA_TOPIC", settings.kafka_topic)
    done = CliRunner().invoke(app, ["setup", "state", "--reset-offsets"])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_recreated_topic_is_refused_until_the_offsets_are_reset(
    materializing: Materializing, monkeypatch: pytest.MonkeyPatch
) -> None:
    materializing.send(an_event(1, 1), an_event(2, 2))
    materializing.start()
    until(lambda: materializing.persons() == {1, 2}, what="the first persons are applied")
    materializing.end()

    materializing.delete_topic()
    materializing.create_topic()
    materializing.send(an_event(2, 2, given_name="Repeated"), an_event(4, 4), an_event(5, 5), an_event(6, 6))
    materializing.start()
    assert "was deleted and created again" in materializing.refusal()
    assert materializing.next_offset() == 2, "nothing of the new topic was applied"

    assert "imsfeed resync all" in reset_offsets(materializing, monkeypatch)
    materializing.start()
    until(lambda: materializing.persons() == {1, 2, 4, 5, 6}, what="the new topic is read from its beginning")
    duplicates = materializing.metrics.events_duplicate._value
    # Duplicates are counted after the commit.
    until(lambda: duplicates.get() == 1, what="the message that was applied before is recognised")

    # A resync sends all current rows, in a new epoch.
    materializing.send(an_event(10, 3, op="r", epoch=2))
    until(lambda: materializing.persons() == {3}, what="the state database equals the source")


def test_a_topic_recreated_while_materialize_runs_is_refused(
    materializing: Materializing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialize, "_REPORT_SECONDS", 0.1)
    monkeypatch.setattr(kafka_source, "_METADATA_MS", 500)
    materializing.start()
    materializing.send(an_event(1, 1))
    until(lambda: materializing.persons() == {1}, what="the first person is applied")
    materializing.delete_topic()
    materializing.create_topic()
    materializing.send(an_event(1, 1), an_event(2, 2), an_event(3, 3))
    assert "created again" in materializing.refusal()


def test_the_topic_id_is_stored_before_the_first_message(
    materializing: Materializing, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = FactsStore.begin

    def begin_slowly(store: FactsStore, partition: int, next_offset: int) -> Progress:
        time.sleep(0.5)
        return begin(store, partition, next_offset)

    monkeypatch.setattr(FactsStore, "begin", begin_slowly)
    monkeypatch.setattr(kafka_source, "_METADATA_MS", 100)
    materializing.send(an_event(1, 1))
    materializing.start()
    until(lambda: materializing.persons() == {1}, what="the first person is applied")
    (row,) = materializing.connection.execute("select topic_id from imsfeed.topic_partition").fetchall()
    assert row[0] is not None


def test_lost_messages_are_refused_until_the_offsets_are_reset(
    materializing: Materializing, monkeypatch: pytest.MonkeyPatch
) -> None:
    materializing.send(an_event(1, 1))
    materializing.start()
    until(lambda: materializing.persons() == {1}, what="the first person is applied")
    materializing.end()
    materializing.connection.execute("update imsfeed.topic_partition set next_offset = 40")
    materializing.start()
    assert "offset 40 is outside 0..1" in materializing.refusal()
    reset_offsets(materializing, monkeypatch)
    materializing.start()
    materializing.send(an_event(2, 2))
    until(lambda: materializing.persons() == {1, 2}, what="materialize continues")


def test_a_running_materialize_begins_again_after_an_offset_reset(
    materializing: Materializing, monkeypatch: pytest.MonkeyPatch
) -> None:
    materializing.send(an_event(1, 1))
    materializing.start()
    until(lambda: materializing.persons() == {1}, what="the first person is applied")
    reset_offsets(materializing, monkeypatch)
    assert materializing.next_offset() is None
    materializing.send(an_event(2, 2))
    until(lambda: materializing.persons() == {1, 2}, what="materialize continues")
    assert materializing.next_offset() == 2
