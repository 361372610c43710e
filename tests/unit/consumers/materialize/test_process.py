"""Materialize with refused values, stalls, fenced batches and changes of the partition assignment."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from consumers.materialize.apply import materialize_once
from consumers.materialize.batch import Message, Outcome, Progress, Refused, read_batch
from consumers.materialize.process import ConsumerStalledError, _Session
from ims.errors import InvalidSettingsError
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings
from ims.source.events import Envelope, Source, Transaction, encode
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, REFERENCE_MAPPING
from tests.support.memory.capture import MemoryFacts, MemoryTopic


class RefusingFacts(MemoryFacts):
    """A state database that refuses the name "bad", as PostgreSQL may refuse a value that passes our own checks."""

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        if any((row.values or {}).get("name") == "bad" for row in outcome.rows.values()):
            raise psycopg.DataError
        return super().apply(partition, start, outcome)


def a_school(lsn: int, name: str) -> bytes:
    return encode(
        Envelope(
            source=Source(schema="public", table="school", epoch=1),
            op="c",
            after={"owner_id": 1, "id": lsn, "school_no": None, "orgnr": None, "name": name},
            transaction=Transaction(f"7:{lsn}", 1, 1, last=True),
        )
    )


def school_messages(names: Iterable[str]) -> list[Message]:
    return [Message(n, None, a_school(n + 1, name)) for n, name in enumerate(names)]


def deliver(store: MemoryFacts, names: Iterable[str]) -> tuple[Outcome, list[Refused]]:
    return materialize_once(store, 0, school_messages(names), store.begin(0, 0), REFERENCE_MAPPING, 0)


@pytest.mark.parametrize("place", range(7))
def test_a_value_refused_by_postgresql_quarantines_only_its_message(place: int) -> None:
    names = ["good"] * 7
    names[place] = "bad"
    store = RefusingFacts()
    outcome, refused = deliver(store, names)
    assert [(one.message.offset, one.reason) for one in refused] == [(place, "impossible_value")]
    assert outcome.progress.next_offset == 7
    whole = read_batch(Progress(0), school_messages(names), REFERENCE_MAPPING, 0)
    assert outcome.progress == whole.progress, "it equals the progress from which the next batch was read"
    assert len(store.rows(Table.SCHOOL)) == 6
    assert store.quarantine_size() == 1


def test_a_person_refused_by_postgresql_is_protected_all_the_same() -> None:
    class Refusing(MemoryFacts):
        def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
            if any((row.values or {}).get("given_name") == "bad" for row in outcome.rows.values()):
                raise psycopg.DataError
            return super().apply(partition, start, outcome)

    store, person = Refusing(), dict.fromkeys(COLUMNS[Table.PERSON]) | {"owner_id": 1, "id": 5, "family_name": "Moen"}
    for offset, (name, protected) in enumerate([("Ada", False), ("bad", True)]):
        event = Envelope(
            source=Source(schema="public", table="person", epoch=1),
            op="u",
            after={**person, "given_name": name, "protected": protected},
            transaction=Transaction(f"7:{offset + 1}", 1, 1, last=True),
        )
        message = Message(offset, None, encode(event))
        materialize_once(store, 0, [message], store.begin(0, 0), REFERENCE_MAPPING, 0)
    assert [(row["given_name"], row["protected"]) for row in store.rows(Table.PERSON).values()] == [("Ada", True)]


def a_session(ready: Callable[[bool], None] = lambda _ready: None) -> _Session:
    metrics = MaterializeMetrics(CollectorRegistry())
    session = _Session(Settings(kafka_partitions=1), metrics, REFERENCE_MAPPING, ready)
    session._progress = {0: Progress(5)}
    return session


def test_a_partition_without_progress_but_with_messages_is_stalled() -> None:
    session = a_session()
    session._check_progress(0, lag=3, now=100)
    session._check_progress(0, lag=3, now=129)
    with pytest.raises(ConsumerStalledError, match="stands at 5 with 3 messages after it"):
        session._check_progress(0, lag=3, now=130)
    assert session._metrics.consumer_stalls._value.get() == 1


def test_a_moving_or_idle_partition_is_not_stalled() -> None:
    session = a_session()
    session._check_progress(0, lag=3, now=100)
    session._progress = {0: Progress(6)}
    session._check_progress(0, lag=3, now=129)
    session._check_progress(0, lag=3, now=150)
    session._check_progress(0, lag=0, now=200)
    session._check_progress(0, lag=3, now=210)


def a_race() -> tuple[Any, Any, MemoryTopic]:
    """Return a session, its state database and a topic of three messages, which are polled one at a time."""
    session, store, topic = a_session(), MemoryFacts(), MemoryTopic(1, limit=1)
    session._progress = {0: store.begin(0, 0)}
    for lsn in (1, 2, 3):
        topic.append(0, a_school(lsn, "Fjordvik"))
    topic.assign({0: 0})
    return session, store, topic


def applying(session: Any, store: Any, batches: list[Any]) -> Future[list[int]]:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(session._apply_all, store, batches)


def read(session: Any, topic: MemoryTopic) -> list[Any]:
    return [session._read(*polled) for polled in topic.poll(0).items()]


def test_reading_ahead_applies_every_message() -> None:
    session, store, topic = a_race()
    while batches := session._await_applied(topic, read(session, topic)):
        session._applying = applying(session, store, batches)
    assert session._progress[0].next_offset == 3
    assert len(store.rows(Table.SCHOOL)) == 3


def test_a_batch_continues_the_one_still_being_applied() -> None:
    session, store, topic = a_race()
    session._applying = applying(session, store, session._await_applied(topic, read(session, topic)))
    session._progress = {0: Progress(0)}  # as while that batch is still being applied
    (behind,) = read(session, topic)
    assert behind.progress.next_offset == 1
    assert behind.progress.position is not None
    assert behind.progress.position.lsn == 1


def test_messages_behind_a_fenced_batch_are_read_again() -> None:
    session, store, topic = a_race()
    deliver(store, ["of another process"])
    session._applying = applying(session, store, session._await_applied(topic, read(session, topic)))
    (behind,) = read(session, topic)
    assert [message.offset for message in behind.messages] == [1]
    assert session._await_applied(topic, [behind]) == []
    assert session._metrics.fencing_rejections._value.get() == 1
    assert topic.position(0) == session._progress[0].next_offset == 1
    (again,) = session._await_applied(topic, read(session, topic))
    assert again.progress == session._progress[0]
    assert [message.offset for message in again.messages] == [1]


def test_an_error_in_the_applying_thread_ends_the_session() -> None:
    session, store, topic = a_race()
    store.apply = Mock(side_effect=psycopg.OperationalError)
    session._applying = applying(session, store, session._await_applied(topic, read(session, topic)))
    with pytest.raises(psycopg.OperationalError):
        session._await_applied(topic, read(session, topic))
    assert session._progress[0].next_offset == 0


class Group:
    """A consumer group with a given assignment, which records the session's calls."""

    def __init__(self, *assigned: int) -> None:
        self.now = frozenset(assigned)
        self.calls: list[tuple[str, dict[int, int] | set[int]]] = []

    def assigned(self) -> frozenset[int]:
        return self.now

    def set_in_use(self, partitions: Iterable[int]) -> None:
        self.calls.append(("in use", set(partitions)))

    def commit_offsets(self, offsets: Mapping[int, int]) -> None:
        self.calls.append(("commit", dict(offsets)))


def follow(session: Any, store: Any, topic: Any, group: Group) -> None:
    topic.topic_id = lambda: None
    session._follow_assignment(store, topic, group)


def test_a_partition_begins_at_its_stored_offset() -> None:
    ready: list[bool] = []
    session, (_, store, topic) = a_session(ready.append), a_race()
    deliver(store, ["applied"])
    session._progress, group = {}, Group(0)
    follow(session, store, topic, group)
    assert topic.position(0) == session._progress[0].next_offset == 1
    assert ready == [True]
    assert session._metrics.partitions_assigned._value.get() == 1
    assert group.calls == [("in use", {0}), ("commit", {}), ("in use", {0})], "in use before it is begun"


def test_a_revoked_partition_is_released_after_its_offset_commit() -> None:
    ready: list[bool] = []
    session, (_, store, topic) = a_session(ready.append), a_race()
    session._progress, group = {0: Progress(3)}, Group()
    follow(session, store, topic, group)
    assert topic.poll(0) == {}
    assert group.calls == [("in use", {0}), ("commit", {0: 3}), ("in use", set())]
    assert ready == [False]


def test_a_partition_revoked_before_its_begin_is_not_begun() -> None:
    session, store, topic = a_race()
    session._progress, group = {}, Group(0)

    def revoke(_partitions: Iterable[int]) -> None:
        group.now = frozenset()

    group.set_in_use = revoke  # type: ignore[method-assign, assignment]
    follow(session, store, topic, group)
    assert session._progress == {}


def test_a_topic_with_other_partitions_is_refused() -> None:
    session, store, topic = a_race()
    session._settings = Settings(kafka_partitions=2)
    with pytest.raises(InvalidSettingsError, match=r"has 1 partitions and KAFKA_PARTITIONS is 2.*`imsfeed resync all`"):
        follow(session, store, topic, Group(0))
