"""Several materializers in one consumer group: they share its partitions, hand them over, and replace one another.

Where no process is killed or paused, the group's session lasts a minute: a hand-over does not wait for its end.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata
from prometheus_client import CollectorRegistry

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.materialize import process as materialize
from consumers.materialize.batch import Outcome, Refused
from consumers.materialize.facts_store import FactsStore
from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_person
from tests.support.pipeline import row_of
from tests.support.waiting import until

PARTITIONS = 4
LONG_SESSION, SHORT_SESSION = 60, 2
"""Seconds; the short one is for tests that wait for the end of the session."""


class Materializing:
    """A materializer in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = MaterializeMetrics(CollectorRegistry(), PARTITIONS, settings.kafka_topic)
        self.ready = False
        self.error: BaseException | None = None
        self.stop = Stop()
        self._settings = settings
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            materialize.run(self._settings, self.stop, self.metrics, self._set_ready)
        except Exception as error:  # noqa: BLE001 - has() and the tests check it
            self.error = error

    def _set_ready(self, ready: bool) -> None:
        self.ready = ready

    def has(self, count: int) -> bool:
        assert self.error is None
        return bool(self.metrics.partitions_assigned._value.get() == count)

    @property
    def received(self) -> float:
        return float(self.metrics.events_received._value.get())

    @property
    def fenced(self) -> float:
        return float(self.metrics.fencing_rejections._value.get())

    def end(self) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def admin(kafka: str) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    yield admin
    admin.close()


@pytest.fixture
def settings(state_dsn: str, kafka: str, topic: str, admin: Any) -> Settings:
    admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    return Settings.model_validate({
        "state_dsn": state_dsn,
        "kafka_bootstrap_servers": kafka,
        "kafka_topic": topic,
        "kafka_group": f"group-of-{topic}",
        "kafka_partitions": PARTITIONS,
        "kafka_session_seconds": LONG_SESSION,
    })


@pytest.fixture
def state(settings: Settings) -> Iterator[Connection]:
    with sessions.connect(settings.state(), "test") as connection:
        yield connection


Start = Callable[..., Materializing]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Return a function that starts a materializer with changed settings; it is ended after the test."""
    running: list[Materializing] = []

    def start(**changes: Any) -> Materializing:
        running.append(Materializing(settings.model_copy(update=changes)))
        return running[-1]

    yield start
    for one in running:
        one.end()


def send(settings: Settings, lsn: int, *partitions: int) -> None:
    """Send one more person to every partition, or to *partitions* only."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all")
    for partition in partitions or range(PARTITIONS):
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


@contextmanager
def a_process(settings: Settings, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run materialize as a process, and kill it at the end."""
    variables = {
        "STATE_DSN": settings.state(),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "KAFKA_TOPIC": settings.kafka_topic,
        "KAFKA_GROUP": settings.kafka_group,
        "KAFKA_PARTITIONS": str(settings.kafka_partitions),
        "KAFKA_SESSION_SECONDS": str(settings.kafka_session_seconds),
        "METRICS_HOST": "127.0.0.1",
        "METRICS_PORT": "0",
    }
    with (folder / "materialize.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.stack.launch", "materialize"],
            env={**os.environ, **variables, **environment},
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def log_of(folder: Path) -> str:
    return (folder / "materialize.log").read_text()


def pauses(process: subprocess.Popen[bytes]) -> bool:
    number, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
    assert not number or os.WIFSTOPPED(status), "the process has ended instead of pausing"
    return bool(number)


def test_two_materializers_share_and_one_takes_over_at_a_stop(
    settings: Settings, state: Connection, start: Start
) -> None:
    first = start()
    until(lambda: first.has(4), what="the first has all partitions")
    send(settings, 1)
    until(lambda: persons(state) == 4, what="all messages are applied")
    second = start()
    until(lambda: first.has(2) and second.has(2), what="each has half of them")
    until(lambda: first.ready and second.ready, what="both are ready")
    send(settings, 2)
    until(lambda: persons(state) == 8, what="the two apply all messages")
    until(lambda: (first.received, second.received) == (6, 2), what="each message is read by one")
    first.end()
    until(lambda: second.has(4), what="the remaining one has all partitions")
    send(settings, 3)
    until(lambda: persons(state) == 12, what="the remaining one applies all messages")
    assert second.received == 6
    assert first.fenced == second.fenced == 0


def test_a_materializer_without_partitions_is_not_ready(start: Start) -> None:
    running = [start() for _ in range(PARTITIONS + 1)]
    until(
        lambda: sorted(one.has(1) for one in running) == [False, True, True, True, True],
        what="four have one partition each",
    )
    (idle,) = (one for one in running if one.has(0))
    assert not idle.ready


def test_a_batch_is_applied_before_its_partition_is_handed_over(
    settings: Settings, state: Connection, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, may_continue, is_applying = FactsStore.apply, threading.Event(), threading.Event()

    def slowly(store: FactsStore, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        is_applying.set()
        assert may_continue.wait(30)
        return apply(store, partition, start, outcome)

    monkeypatch.setattr(FactsStore, "apply", slowly)
    first = start()
    until(lambda: first.has(4), what="the first has all partitions")
    send(settings, 1)
    until(is_applying.is_set, what="the first applies a batch")
    second = start()
    until(lambda: second.metrics.batches_attempted._value.get() == 0 and joined(settings, 2), what="the second joins")
    assert second.has(0)
    may_continue.set()
    until(lambda: first.has(2) and second.has(2), what="each has half of them")
    send(settings, 2)
    until(lambda: persons(state) == 8, what="all messages are applied")
    assert first.fenced == second.fenced == 0


def joined(settings: Settings, members: int) -> bool:
    return len(described(settings)["members"]) == members


def described(settings: Settings) -> dict[str, Any]:
    """Return Kafka's description of the group, as kafka-consumer-groups --describe --members --verbose shows it."""
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        return dict(admin.describe_groups([settings.kafka_group])[settings.kafka_group])
    finally:
        admin.close()


def test_a_third_process_takes_over_from_a_killed_one(
    settings: Settings, state: Connection, start: Start, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"kafka_session_seconds": SHORT_SESSION})
    first = start(kafka_session_seconds=SHORT_SESSION)
    with a_process(settings, tmp_path) as second:
        until(
            lambda: sorted(map(len, assignments(settings, "member_id").values())) == [2, 2],
            what="the two share the partitions",
        )
        second.send_signal(signal.SIGKILL)
        second.wait()
        third = start(kafka_session_seconds=SHORT_SESSION)
        until(lambda: first.has(2) and third.has(2), what="the third has the killed one's partitions")
    send(settings, 1)
    until(lambda: persons(state) == 4, what="all messages are applied")
    until(lambda: first.received + third.received == 4, what="each message is read by one")


def test_a_killed_static_member_gets_its_partitions_again(
    settings: Settings, state: Connection, start: Start, tmp_path: Path
) -> None:
    first = start()
    with a_process(settings, tmp_path, KAFKA_INSTANCE="one") as second:
        until(lambda: sorted(map(len, assignments(settings).values())) == [2, 2], what="the two share the partitions")
        before = assignments(settings)
        second.kill()
        second.wait()
    send(settings, 1)
    until(lambda: persons(state) == 2, what="the other member continues meanwhile")
    with a_process(settings, tmp_path, KAFKA_INSTANCE="one"):
        until(lambda: persons(state) == 4, what="it continues, long before the session is over")
        assert assignments(settings) == before
    assert first.fenced == 0


def assignments(settings: Settings, key: str = "group_instance_id") -> dict[str | None, list[int]]:
    """Return the partitions of each member, by KAFKA_INSTANCE or by another field of the member."""
    return {
        member[key]: [
            number
            for topic in (member["member_assignment"] or {"assigned_partitions": []})["assigned_partitions"]
            for number in topic["partitions"]
        ]
        for member in described(settings)["members"]
    }


def test_a_stopped_static_member_keeps_its_partitions(settings: Settings, start: Start) -> None:
    first, second = start(), start(kafka_instance="one")
    until(lambda: first.has(2) and second.has(2), what="the two share the partitions")
    second.end()
    assert sorted(map(len, assignments(settings).values())) == [2, 2]
    third = start(kafka_instance="one")
    until(lambda: third.has(2), what="the third has the second's partitions")
    assert first.has(2)


def test_a_second_process_of_an_instance_ends_the_first(start: Start) -> None:
    first = start(kafka_instance="one")
    until(lambda: first.has(4), what="the first has all partitions")
    second = start(kafka_instance="one")
    until(lambda: first.error is not None, what="the first ends")
    assert isinstance(first.error, InvalidSettingsError)
    assert "another process is in the group" in str(first.error)
    assert "KAFKA_INSTANCE one" in str(first.error)
    until(lambda: second.has(4), what="the second has all partitions")


def test_a_session_shorter_than_kafka_allows_is_refused(start: Start) -> None:
    refused = start(kafka_session_seconds=0.5)
    until(lambda: refused.error is not None, what="the setting is refused")
    assert isinstance(refused.error, InvalidSettingsError)
    assert "Kafka refuses KAFKA_SESSION_SECONDS 0.5" in str(refused.error)


def test_a_paused_process_is_fenced_when_it_wakes(
    settings: Settings, state: Connection, start: Start, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"kafka_session_seconds": SHORT_SESSION})
    send(settings, 1, 0)
    send(settings, 2, 0)
    send(settings, 3, 0)
    pausing = {"PAUSE_AT": "materialize.committed", "BATCH_LIMIT": "1"}  # after it has read the next message
    with a_process(settings, tmp_path, **pausing) as paused:
        until(lambda: pauses(paused), what="the process pauses after the first message")
        assert persons(state) == 1
        other = start(kafka_session_seconds=SHORT_SESSION)
        until(lambda: persons(state) == 3, what="another process has taken over")
        assert other.fenced == 0
        paused.send_signal(signal.SIGCONT)
        until(lambda: '"fenced"' in log_of(tmp_path), what="the paused process is fenced")
        until(lambda: other.has(2), what="it is a member again with half of the partitions")
        send(settings, 4)
        until(lambda: persons(state) == 7, what="all messages are applied")
    assert sorted(id_ for (id_,) in state.execute("select id from imsfeed.person where owner_id = 0")) == [1, 2, 3, 4]


def test_offsets_come_from_the_state_database_and_not_from_kafka(
    settings: Settings, state: Connection, start: Start, admin: Any
) -> None:
    send(settings, 1)
    send(settings, 2)
    store = FactsStore(state, settings.kafka_topic, PARTITIONS)
    store.begin(0, 1)  # Kafka has offset 2 of partitions 0 and 1, and none of 2 and 3
    admin.alter_group_offsets(
        settings.kafka_group,
        {TopicPartition(settings.kafka_topic, number): OffsetAndMetadata(2, "", -1) for number in (0, 1)},
    )
    materializing = start()
    until(lambda: persons(state) == 7, what="all messages after the stored offset are applied")
    assert materializing.received == 7


def test_kafkas_tools_see_members_their_partitions_and_the_lag(
    settings: Settings, state: Connection, start: Start, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialize, "_REPORT_SECONDS", 0.1)
    first, second = start(), start(kafka_instance="one")
    until(lambda: first.has(2) and second.has(2), what="the two share the partitions")
    until(lambda: described(settings)["group_state"] == "Stable", what="the rebalance is over")
    group = described(settings)
    assert group["protocol_data"] == "cooperative-sticky"
    assert {member["client_id"] for member in group["members"]} == {"imsfeed-materialize"}
    assert sorted(chain.from_iterable(assignments(settings).values())) == list(range(PARTITIONS))
    assert len(assignments(settings)["one"]) == 2
    send(settings, 1)
    until(lambda: persons(state) == 4, what="all messages are applied")
    until(lambda: committed(admin, settings) == [1] * PARTITIONS, what="the applied offsets are committed to Kafka")
    first.end()
    second.end()
    send(settings, 2)
    assert committed(admin, settings) == [1] * PARTITIONS, "one message of each partition is not applied"


def committed(admin: Any, settings: Settings) -> list[int]:
    offsets = admin.list_group_offsets({settings.kafka_group: None})[settings.kafka_group]
    return [offset.offset for _, offset in sorted(offsets.items())]


def test_kept_partitions_are_read_during_a_rebalance(settings: Settings, state: Connection, start: Start) -> None:
    first = start()
    until(lambda: first.has(4), what="the first has all partitions")
    silent = a_member_that_does_not_poll(settings)
    try:
        until(lambda: first.has(2), what="the two share the partitions")
        kept = assignments(settings, "client_id")["imsfeed-materialize"]
        start()
        until(
            lambda: described(settings)["group_state"] == "PreparingRebalance",
            what="the group waits for the silent member",
        )
        send(settings, 1, *kept)
        until(lambda: persons(state) == 2, what="the first applies the messages of its partitions")
        assert described(settings)["group_state"] == "PreparingRebalance"
    finally:
        silent.close()


def a_member_that_does_not_poll(settings: Settings) -> Any:
    """Return another member of the group, which gets half of the partitions and then sends heartbeats only."""
    silent = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.kafka_group,
        client_id="silent",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=(CooperativeStickyAssignor,),
        heartbeat_interval_ms=500,
    )
    silent.subscribe([settings.kafka_topic])

    def has_its_share() -> bool:
        silent.poll(timeout_ms=100)
        return len(silent.assignment()) == PARTITIONS // 2

    until(has_its_share, what="the silent member has its share")
    return silent
