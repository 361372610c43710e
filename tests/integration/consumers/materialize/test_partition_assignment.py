"""Several materializes on one topic: they share its partitions, hand them over, and leave them to whoever is left."""

import threading
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from prometheus_client import CollectorRegistry

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.materialize import process as materialize
from consumers.materialize.leases import Leases, lessees
from consumers.operations.status_report import report
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_person
from tests.support.pipeline import row_of
from tests.support.waiting import until

PARTITIONS = 4


class Materializing:
    """A materialize in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = MaterializeMetrics(CollectorRegistry(), PARTITIONS, settings.kafka_topic)
        self.ready = False
        self.stop = Stop()
        self._thread = threading.Thread(target=materialize.run, args=(settings, self.stop, self.metrics, self._tell))
        self._thread.start()

    def _tell(self, ready: bool) -> None:
        self.ready = ready

    def has(self, count: int) -> bool:
        return bool(self.metrics.partitions_leased._value.get() == count)

    def end(self) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def settings(state_dsn: str, kafka: str, topic: str) -> Settings:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    admin.close()
    return Settings.model_validate({
        "state_dsn": state_dsn,
        "kafka_bootstrap_servers": kafka,
        "kafka_topic": topic,
        "kafka_partitions": PARTITIONS,
    })


@pytest.fixture
def state(settings: Settings) -> Iterator[Connection]:
    with sessions.connect(settings.state(), "test") as connection:
        yield connection


@pytest.fixture
def materializes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Materializing]]:
    monkeypatch.setattr(materialize, "_LOOK_ROUND_SECONDS", 0.1)
    monkeypatch.setattr(materialize, "_LOOK_FOR_SHARE_SECONDS", 0.1)
    running = [Materializing(settings)]
    yield running
    for one in running:
        one.end()


def send(settings: Settings, lsn: int) -> None:
    """One more person in every partition."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all")
    for partition in range(PARTITIONS):
        envelope = Envelope(
            source=Source(schema="public", table="person", epoch=1),
            op="c",
            after=row_of(a_person(lsn, owner_id=partition)),
            transaction=Transaction(f"7:{lsn}", 1, 1, last=True),
        )
        producer.send(settings.kafka_topic, encode(envelope), partition=partition).get(timeout=30)
    producer.close()


def persons(state: Connection) -> int:
    (row,) = state.execute("select count(*) from imsfeed.person").fetchall()
    return int(row[0])


def received(materializes: list[Materializing]) -> list[float]:
    return [one.metrics.events_received._value.get() for one in materializes]


def test_a_second_materialize_is_given_half_and_what_one_leaves_the_other_takes(
    settings: Settings, state: Connection, materializes: list[Materializing]
) -> None:
    until(lambda: materializes[0].has(4), what="the first has all partitions")
    send(settings, 1)
    until(lambda: persons(state) == 4, what="all is applied")
    materializes.append(Materializing(settings))
    until(lambda: [one.has(2) for one in materializes] == [True, True], what="each has half of them")
    until(lambda: all(one.ready for one in materializes), what="both are ready")
    assert len(set(lessees(state, settings.kafka_topic).values())) == 2
    send(settings, 2)
    until(lambda: persons(state) == 8, what="all is applied by the two")
    assert received(materializes) == [6, 2], "each message is read by one"
    materializes.pop(0).end()
    until(lambda: materializes[0].has(4), what="the one that is left has all of them")
    send(settings, 3)
    until(lambda: persons(state) == 12, what="all is applied by the one that is left")
    assert received(materializes) == [6]
    assert materializes[0].metrics.fencing_rejections._value.get() == 0


def test_status_says_who_has_which_partition(state: Connection, materializes: list[Materializing]) -> None:
    until(lambda: materializes[0].has(4), what="it has all partitions")
    assert len({one.leased_by for one in report(state).partitions}) == 1
    assert all((one.leased_by or "").startswith("session ") for one in report(state).partitions)
    materializes.pop().end()
    assert [one.leased_by for one in report(state).partitions] == [None] * PARTITIONS


def test_leases_of_two_sessions_know_of_each_other_and_not_of_another_topic(settings: Settings) -> None:
    dsn = settings.state()
    with (
        sessions.connect(dsn, "one", leasing=True) as one,
        sessions.connect(dsn, "two", leasing=True) as two,
        sessions.connect(dsn, "three", leasing=True) as three,
    ):
        first, second, elsewhere = Leases(one, "a"), Leases(two, "a"), Leases(three, "b")
        assert elsewhere.look().living == 1
        assert first.look().living == 1
        assert (second.look().living, first.look().living) == (2, 2)
        assert {first.look().rank, second.look().rank} == {0, 1}
        assert first.take(3)
        assert not second.take(3)
        assert elsewhere.take(3)
        assert first.look().leased == second.look().leased == {3}
        first.give_back(3)
        assert second.take(3)
        two.close()
        until(lambda: first.look().living == 1, what="the session that ended is not counted")
        assert first.look().leased == frozenset()
