"""The resync of one owner while capture streams: the facts become those of the source, also after failures."""

import threading
from collections.abc import Callable, Iterator
from random import Random

import psycopg
import pytest

from ims.runtime.lifecycle import Stop
from ims.runtime.settings import Settings
from ims.source.events import Row
from ims.source.facts import Table
from producers.capture import heartbeat
from producers.loads import owner_resync, resync_requests
from producers.source import sessions, table_rows
from producers.source.captured_table import CapturedTable
from producers.source.catalog import Connection
from tests.support.capturing import Topic, add_persons, apply, capturing, persons_in, persons_of
from tests.support.memory.capture import MemoryFacts
from tests.support.waiting import until


def request_resync(source: Connection, settings: Settings, owner: int = 1) -> int:
    return resync_requests.add(source, settings.source_slot, owner)


def await_done(source: Connection, request: int) -> None:
    until(lambda: resync_requests.read_status(source, request).done_at, within=60, what=f"resync {request} is done")


def same_as_the_source(source: Connection, published: Topic) -> None:
    until(lambda: persons_in(published.facts()) == persons_of(source), what="the facts are what the source has")


def test_a_resync_finds_missed_deletions_of_its_owner_only(
    source: Connection, settings: Settings, published: Topic
) -> None:
    """A TRUNCATE is published but not applied: its rows stay in the facts until a resync finds them missing."""
    add_persons(source, 1, 2)
    add_persons(source, 3, owner=2)
    with capturing(settings):
        source.execute("truncate person")
        add_persons(source, 2)
        request = request_resync(source, settings)
        await_done(source, request)
        assert resync_requests.read_status(source, request).rows == 3, (
            "the owner, the person, and the heartbeat that ends the load"
        )
        until(lambda: persons_in(published.facts()).keys() == {(1, 2), (2, 3)}, what="the person of owner 1 is removed")
        assert published.facts().quarantine_size() == 1, "one truncate is one message"
        await_done(source, request_resync(source, settings, owner=2))
        same_as_the_source(source, published)


def test_another_program_may_request_a_resync(source: Connection, settings: Settings) -> None:
    with capturing(settings):
        source.execute(
            "insert into imsfeed.resync (owner_id, requested_at, requested_by) values (2, now(), 'reconciliation')"
        )
        until(lambda: resync_requests.oldest_open(source, settings.source_slot) is None, what="the resync is done")


def test_a_request_for_another_slot_is_ignored(source: Connection, settings: Settings) -> None:
    other = resync_requests.add(source, "another", 1)
    with capturing(settings):
        await_done(source, request_resync(source, settings))
    assert resync_requests.read_status(source, other).began_at is None


def test_an_owner_without_any_row_is_removed(source: Connection, settings: Settings, published: Topic) -> None:
    add_persons(source, 1)
    with capturing(settings):
        source.execute("truncate owner, person")
        await_done(source, request_resync(source, settings))
        until(lambda: not published.facts().rows(Table.OWNER).keys() & {(1, 1)}, what="the owner is removed")
        assert persons_in(published.facts()) == {}


def test_a_resync_is_one_transaction_of_one_owner(source: Connection, settings: Settings, published: Topic) -> None:
    add_persons(source, 1, 2)
    add_persons(source, 3, owner=2)
    with capturing(settings):
        await_done(source, request_resync(source, settings))
        until(lambda: [one for _, one in published.read() if one.resync_owner is not None], what="it is published")
    resync = [(partition, change) for partition, change in published.changes if change.resync_owner is not None]
    assert [(partition, change.table, change.op) for partition, change in resync] == [
        (1, "owner", "r"),
        (1, "person", "r"),
        (1, "person", "r"),
        (1, "heartbeat", "r"),
    ]
    assert [change.position.ordinal for _, change in resync] == [1, 2, 3, 4]
    assert len({change.position[:2] for _, change in resync}) == 1
    assert [change.ends_transaction for _, change in resync] == [False, False, False, True]


def writing(source_dsn: str, stop: Stop) -> None:
    """Add, change and delete persons of owner 1 until *stop*, in transactions of up to three persons."""
    chance = Random(7)
    with sessions.connect(source_dsn, "writer") as connection:
        while not stop:
            with connection.transaction():
                for _ in range(chance.randint(1, 3)):
                    number, name = chance.randrange(20), f"N{chance.randrange(1000)}"
                    connection.execute("delete from person where (owner_id, id) = (1, %s)", [number])
                    if chance.random() < 0.7:
                        query = "insert into person (owner_id, id, given_name, family_name) values (1, %s, 'Ada', %s)"
                        connection.execute(query, [number, name])
            stop.wait(0.002)


@pytest.fixture
def end_of_writing(source_dsn: str) -> Iterator[Callable[[], None]]:
    """Write into the source until the yielded function is called."""
    stop = Stop()
    thread = threading.Thread(target=writing, args=(source_dsn, stop))
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(30)

    yield end
    end()


@pytest.mark.usefixtures("end_of_writing")
def test_resynced_rows_come_exactly_at_their_snapshots_position(
    source: Connection, settings: Settings, published: Topic
) -> None:
    """If nothing was lost, a resync at the right position changes nothing; elsewhere it would revert changes."""
    with capturing(settings):
        for _ in range(5):
            await_done(source, request_resync(source, settings))

    def ended() -> int:
        published.read()
        return sum(change.resync_owner is not None and change.ends_transaction for _, change in published.changes)

    until(lambda: ended() == 5, what="all five have ended")
    facts = MemoryFacts()
    before: dict[tuple[int, int], str] | None = None
    for (partition, message), (_, change) in zip(published.messages, published.changes, strict=True):
        if change.resync_owner is not None and before is None:
            before = persons_in(facts)
        apply(facts, partition, message)
        if change.resync_owner is not None and change.ends_transaction:
            assert persons_in(facts) == before
            before = None


def test_an_interrupted_resync_is_repeated_at_a_later_point(
    source: Connection,
    settings: Settings,
    published: Topic,
    monkeypatch: pytest.MonkeyPatch,
    end_of_writing: Callable[[], None],
) -> None:
    add_persons(source, *range(100, 150))
    monkeypatch.setattr(table_rows, "_FETCH_ROWS", 10)
    breaks = iter([True, True])

    def then_broken(reader: Connection, table: CapturedTable, owner: int | None = None) -> Iterator[list[Row]]:
        for number, rows in enumerate(table_rows.rows_of(reader, table, owner)):
            if number == 3 and next(breaks, False):
                raise psycopg.OperationalError("broken by the test")
            yield rows

    monkeypatch.setattr(owner_resync, "rows_of", then_broken)
    # With so few messages in flight, a part of the interrupted loads is in Kafka already.
    with capturing(settings.model_copy(update={"inflight_limit": 5})) as running:
        source.execute("delete from person where id = 100")
        await_done(source, request_resync(source, settings))
        assert running.value("replication_reconnects_total") >= 2
        end_of_writing()
        same_as_the_source(source, published)
    resync = [change for _, change in published.changes if change.resync_owner is not None]
    assert len({change.position.lsn for change in resync}) == 3
    assert sum(change.ends_transaction for change in resync) == 1
    assert published.facts().open_owners() == frozenset()


def test_an_unreadable_table_does_not_stop_the_stream(
    source: Connection, settings: Settings, published: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_reader: Connection, _table: CapturedTable, _owner: int | None = None) -> Iterator[list[Row]]:
        raise psycopg.errors.InsufficientPrivilege

    with capturing(settings) as running:
        with monkeypatch.context() as context:
            context.setattr(owner_resync, "rows_of", forbidden)
            request = request_resync(source, settings)
            until(lambda: resync_requests.read_status(source, request).began_at, what="the resync is tried")
            add_persons(source, 1)
            until(lambda: published.rows() == [(1, "c", 1)], what="changes are published too")
            assert resync_requests.read_status(source, request).done_at is None
        await_done(source, request)
        assert running.value("replication_reconnects_total") == 0


def test_a_request_made_while_capture_is_stopped_is_kept(
    source: Connection, settings: Settings, published: Topic
) -> None:
    with capturing(settings):
        pass
    request = request_resync(source, settings)
    with capturing(settings):
        await_done(source, request)
    until(lambda: any(change.resync_owner == 1 for _, change in published.read()), what="the owner is sent again")


def test_an_initial_load_completes_earlier_requests(source: Connection, settings: Settings, published: Topic) -> None:
    request = request_resync(source, settings)
    with capturing(settings):
        await_done(source, request)
    assert all(change.resync_owner is None for _, change in published.read())


def test_the_stream_does_not_wait_for_a_long_transaction(
    source: Connection, settings: Settings, published: Topic, source_dsn: str
) -> None:
    with capturing(settings), sessions.connect(source_dsn, "long", autocommit=False) as long:
        long.execute("insert into person (owner_id, id, given_name, family_name) values (1, 1, 'Ada', 'Testesen')")
        beats = "select max(beat_at) from imsfeed.heartbeat"
        for _ in range(3):
            (former,) = source.execute(beats).fetchone() or (None,)
            until(lambda: source.execute(beats).fetchone() != (former,), what="a heartbeat")  # noqa: B023 - called immediately
        request = request_resync(source, settings)
        add_persons(source, 2)
        until(lambda: (1, "c", 2) in published.rows(), what="others are published meanwhile")
        assert resync_requests.read_status(source, request).began_at is None
        long.commit()
        await_done(source, request)
    same_as_the_source(source, published)


def test_a_late_snapshot_is_abandoned_without_a_trace(
    source: Connection, settings: Settings, published: Topic, source_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_resync, "_SNAPSHOT_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "_TRANSACTIONS", "select 1, 1")  # as if there were no long transaction
    with capturing(settings), sessions.connect(source_dsn, "long", autocommit=False) as long:
        long.execute("insert into person (owner_id, id, given_name, family_name) values (1, 1, 'Ada', 'Testesen')")
        request = request_resync(source, settings)
        until(lambda: resync_requests.read_status(source, request).began_at, what="the resync is tried")
        add_persons(source, 2)
        until(lambda: (1, "c", 2) in published.rows(), what="others are published too")
        assert resync_requests.read_status(source, request).done_at is None
        monkeypatch.undo()  # so that no further attempt is made
        slots = "select count(*) from pg_replication_slots where database = current_database()"
        until(lambda: source.execute(slots).fetchone() == (1,), what="the temporary slots are dropped")
        long.commit()
        await_done(source, request)
    same_as_the_source(source, published)
