"""Capture from end to end: a source, a broker, and what a consumer finds in the topic."""

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.future import Future
from prometheus_client import CollectorRegistry

from ims.errors import InvalidSettingsError
from ims.events import Change, decode
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers import capture, initial_load, publisher, sessions, source_setup
from producers.catalog import Connection
from tests.waiting import until

PARTITIONS = 3


@pytest.fixture
def settings(source_dsn: str, kafka: str, topic: str) -> Settings:
    return Settings(
        source_dsn=source_dsn,
        source_slot=f"test_{uuid.uuid4().hex[:12]}",
        kafka_bootstrap_servers=kafka,
        kafka_topic=topic,
        kafka_partitions=PARTITIONS,
        heartbeat_seconds=0.2,
    )


@pytest.fixture
def source(source_dsn: str, settings: Settings) -> Iterator[Connection]:
    """The source, set up, with two owners."""
    with sessions.connect(source_dsn, "test") as connection:
        connection.execute("insert into owner values (1, null, 'Fjordvik'), (2, null, 'Ås')")
        source_setup.apply(connection, settings)
        yield connection


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
        except BaseException as error:  # noqa: BLE001 - shown by the test, and not in a thread nobody looks at
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
    """What a consumer finds in the topic, partition by partition."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            group_id=None,
        )
        self._at = [TopicPartition(settings.kafka_topic, number) for number in range(settings.kafka_partitions)]
        self._consumer.assign(self._at)
        self._consumer.seek_to_beginning()
        self.changes: list[tuple[int, Change]] = []

    def read(self) -> list[tuple[int, Change]]:
        """All changes so far but heartbeats, each with its partition."""
        for at, records in self._consumer.poll(timeout_ms=100).items():
            self.changes += [(at.partition, change) for record in records if (change := decode(record.value))]
        return [(partition, change) for partition, change in self.changes if change.table != "heartbeat"]

    def rows(self, table: str = "person") -> list[tuple[int, str, int]]:
        """Partition, operation and id of the changes of a table."""
        return [
            (partition, change.op, (change.after or change.before or {})["id"])
            for partition, change in self.read()
            if change.table == table
        ]

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def topic_of(settings: Settings) -> Iterator[Callable[[], Topic]]:
    with contextlib.ExitStack() as closing:

        def opened() -> Topic:
            topic = Topic(settings)
            closing.callback(topic.close)
            return topic

        yield opened


def add_persons(source: Connection, *ids: int, owner: int = 1) -> None:
    with source.transaction():
        for number in ids:
            source.execute(
                "insert into person (owner_id, id, given_name, family_name) values (%s, %s, 'Ada', 'Testesen')",
                [owner, number],
            )


def test_rows_that_were_there_are_loaded_and_what_comes_after_is_streamed(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    add_persons(source, 1, 2)
    with capturing(settings):
        topic = topic_of()
        add_persons(source, 3)
        until(lambda: (1, "c", 3) in topic.rows(), what="the new person is told")
    assert topic.rows() == [(1, "r", 1), (1, "r", 2), (1, "c", 3)]
    loaded = [(partition, change) for partition, change in topic.changes if change.loading]
    assert {(partition, change.table) for partition, change in loaded if change.ends_transaction} == {
        (partition, "heartbeat") for partition in range(PARTITIONS)
    }
    assert {change.position.epoch for _, change in topic.changes} == {1}
    row = source.execute("select epoch, loaded_at is not null, loaded_lsn is not null from imsfeed.capture").fetchone()
    assert row == (1, True, True)


def test_a_loaded_row_looks_like_a_streamed_one(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    add_persons(source, 1)
    source.execute("update person set birth_date = '1990-01-08', protected = true")
    with capturing(settings):
        topic = topic_of()
        source.execute("update person set email = null")
        until(lambda: len(topic.rows()) == 2, what="the change is told")
    (_, loaded), (_, streamed) = [item for item in topic.read() if item[1].table == "person"]
    assert loaded.after is not None
    assert loaded.after["birth_date"] == "1990-01-08"
    assert loaded.after == streamed.after
    assert list(loaded.after) == list(streamed.after or ())


def test_a_person_who_moves_to_another_owner_leaves_one_partition_and_joins_the_other(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    add_persons(source, 7)
    with capturing(settings):
        topic = topic_of()
        source.execute("update person set owner_id = 2")
        until(lambda: len(topic.rows()) == 3, what="the move is told")
    assert sorted(topic.rows()) == [(1, "d", 7), (1, "r", 7), (2, "c", 7)]


def test_a_transaction_over_two_owners_ends_in_both_partitions(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    with capturing(settings):
        topic = topic_of()
        with source.transaction():
            add_persons(source, 1, 2, owner=1)
            add_persons(source, 3, 4, owner=2)
        until(lambda: len(topic.rows()) == 4, what="all four are told")
    persons = [(partition, change) for partition, change in topic.read() if change.table == "person"]
    assert {(partition, change.position.ordinal) for partition, change in persons if change.ends_transaction} == {
        (1, 2),
        (2, 4),
    }


def test_nothing_is_lost_or_repeated_over_a_stop(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    with capturing(settings):
        add_persons(source, *range(200))
    add_persons(source, *range(200, 300))
    with capturing(settings):
        topic = topic_of()
        until(lambda: len(topic.rows()) >= 300, what="all 300 are told")
    assert sorted(topic.rows()) == [(1, "c", number) for number in range(300)]
    for partition in range(PARTITIONS):
        positions = [change.position for number, change in topic.changes if number == partition]
        assert all(one < other for one, other in itertools.pairwise(positions))


def test_a_cut_connection_loses_nothing(source: Connection, settings: Settings, topic_of: Callable[[], Topic]) -> None:
    with capturing(settings) as running:
        for start in range(0, 100, 20):
            add_persons(source, *range(start, start + 20))
            source.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots"
                " where slot_name = %s and active_pid is not null",
                [settings.source_slot],
            )
        topic = topic_of()
        until(lambda: {row for _, _, row in topic.rows()} == set(range(100)), what="all 100 are told")
        assert running.value("replication_reconnects_total") >= 1


class SilentKafka:
    """A producer whose messages are acknowledged only when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[Any, Any]] = []
        self._sender = self
        self.force_close = self.partitions_for = self.flush = self.close = lambda *_, **__: None
        monkeypatch.setattr(publisher, "connect", lambda _settings: self)

    def send(self, _topic: str, *, value: bytes, **_: Any) -> Any:
        self.sent.append((decode(value), Future()))
        return self.sent[-1][1]

    def acknowledge(self) -> None:
        for _, future in list(self.sent):
            if not future.is_done:
                future.success(None)

    def persons(self) -> list[Change]:
        return [change for change, _ in self.sent if change is not None and change.table == "person"]


def confirmed(source: Connection, settings: Settings) -> int:
    query = "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots where slot_name = %s"
    (lsn,) = source.execute(query, [settings.source_slot]).fetchone() or (0,)
    return int(lsn)


def reports(source: Connection, settings: Settings) -> Any:
    """When capture last reported to the source."""
    query = (
        "select reply_time from pg_stat_replication join pg_replication_slots on pid = active_pid where slot_name = %s"
    )
    return (source.execute(query, [settings.source_slot]).fetchone() or (None,))[0]


def test_the_slot_moves_only_when_kafka_has_acknowledged(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(settings):
        pass
    silent = SilentKafka(monkeypatch)
    with capturing(settings.model_copy(update={"heartbeat_seconds": 1000})):
        add_persons(source, 1)
        until(silent.persons, what="the person is sent")
        commit = silent.persons()[0].position.lsn
        for _ in range(3):
            former = reports(source, settings)
            until(lambda: reports(source, settings) > former, what="capture reports")  # noqa: B023 - called at once
        assert confirmed(source, settings) <= commit
        silent.acknowledge()
        until(lambda: confirmed(source, settings) > commit, what="the slot moves")


def test_what_kafka_never_acknowledged_is_sent_again_as_it_was(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    with capturing(settings):
        pass
    with pytest.MonkeyPatch.context() as monkeypatch:
        silent = SilentKafka(monkeypatch)
        with capturing(settings):
            add_persons(source, 1, 2)
            add_persons(source, 3, owner=2)
            until(lambda: len(silent.persons()) == 3, what="the persons are sent")
    with capturing(settings):
        topic = topic_of()
        until(lambda: len(topic.rows()) == 3, what="the persons are told")
    told = [change for _, change in topic.read() if change.table == "person"]
    assert sorted(told, key=lambda change: change.position) == silent.persons()


def test_an_idle_source_is_confirmed_all_the_same(source: Connection, settings: Settings) -> None:
    with capturing(settings.model_copy(update={"heartbeat_seconds": 1000})) as running:
        source.execute("create table elsewhere as select generate_series(1, 1000)")
        (end,) = source.execute("select (pg_current_wal_lsn() - '0/0')::bigint").fetchone() or (0,)
        until(lambda: confirmed(source, settings) >= end, what="what is not published is confirmed too")
        assert running.value("source_lag_seconds") == 0


def test_capture_stops_reading_while_too_much_is_outstanding(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(settings):
        pass
    monkeypatch.setattr(capture, "_READ_LIMIT", 10)
    silent = SilentKafka(monkeypatch)
    with capturing(settings.model_copy(update={"inflight_limit": 20})) as running:
        add_persons(source, *range(200))
        until(lambda: len(silent.sent) >= 20, what="the limit is reached")
        alive = running.value("last_progress_timestamp_seconds")
        until(lambda: running.value("last_progress_timestamp_seconds") > alive + 2, what="the loop went on")
        assert len(silent.sent) < 40
        until(lambda: silent.acknowledge() or len(silent.persons()) == 200, what="all are sent")


def test_an_interrupted_load_begins_anew_with_a_higher_epoch(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_persons(source, *range(50))
    monkeypatch.setattr(initial_load, "_FETCH_ROWS", 10)
    with monkeypatch.context() as context:
        silent = SilentKafka(context)
        running = Captured(settings.model_copy(update={"inflight_limit": 20}))
        until(lambda: len(silent.sent) > 20, what="the load waits for Kafka")
        running.stop.set()
        running.thread.join(60)
        assert (running.error, True in running.readiness) == (None, False)
    with capturing(settings):
        topic = topic_of()
        until(lambda: len(topic.rows()) == 50, what="all are told")
    assert {change.position.epoch for _, change in topic.changes} == {2}


def test_a_reload_begins_while_capture_runs(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    add_persons(source, 1)
    with capturing(settings):
        topic = topic_of()
        source_setup.apply(source, settings, reload=True)
        until(lambda: len(topic.rows()) == 2, what="the person is loaded again")
    assert [change.position.epoch for _, change in topic.read() if change.table == "person"] == [1, 2]


def test_a_second_capture_stands_by_and_takes_over(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    with capturing(settings):
        second = Captured(settings)
        try:
            until(lambda: second.value("replication_reconnects_total") > 0, what="the second one has tried")
        except BaseException:
            second.end()
            raise
    try:
        add_persons(source, 1)
        topic = topic_of()
        until(lambda: topic.rows() == [(1, "c", 1)], within=90, what="the second one has taken over")
    finally:
        second.end()


def test_a_lost_slot_ends_capture_with_the_remedy(source: Connection, settings: Settings) -> None:
    with capturing(settings):
        pass
    source.execute("select pg_drop_replication_slot(%s)", [settings.source_slot])
    with pytest.raises(InvalidSettingsError, match="--reload"):
        capture.run(settings, Stop(), CaptureMetrics(CollectorRegistry()), lambda _ready: None)


def test_another_number_of_partitions_than_the_topics_is_refused(source: Connection, settings: Settings) -> None:
    with capturing(settings):
        assert source
    more = settings.model_copy(update={"kafka_partitions": PARTITIONS + 1})
    with pytest.raises(InvalidSettingsError, match=rf"has {PARTITIONS} partitions and KAFKA_PARTITIONS is 4"):
        publisher.ensure_topic(more)


def test_the_heartbeat_goes_through_to_every_partition(
    source: Connection, settings: Settings, topic_of: Callable[[], Topic]
) -> None:
    started = time.time()
    with capturing(settings) as running:
        topic = topic_of()

        def beaten() -> set[int]:
            topic.read()
            return {partition for partition, change in topic.changes if (change.table, change.op) == ("heartbeat", "u")}

        until(lambda: beaten() == set(range(PARTITIONS)), what="a beat has come through each partition")
        assert running.value("heartbeat_written_timestamp_seconds") >= started
        assert running.value("slot_active") == 1
    assert source
