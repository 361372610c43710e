"""The same tests over the state database and its double."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from consumers.database import sessions
from consumers.materialize.apply import materialize_once
from consumers.materialize.batch import Message, Outcome, Progress, Refused, read_batch
from consumers.materialize.facts_store import FactsStore, FencedError
from ims.source.events import UNAVAILABLE, Envelope, Position, Source, Transaction, encode
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, REFERENCE_MAPPING, FactKey
from tests.support.memory.capture import MemoryFacts


class Store(Protocol):
    def progress(self, partition: int) -> Progress | None: ...
    def begin(self, partition: int, next_offset: int) -> Progress: ...
    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]: ...
    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Any) -> None: ...
    def quarantine_size(self) -> int: ...


Rows = Callable[[Table], dict[FactKey, dict[str, Any]]]


@pytest.fixture(params=["double", "postgres"])
def store_and_rows(request: pytest.FixtureRequest) -> Iterator[tuple[Store, Rows]]:
    if request.param == "double":
        double = MemoryFacts()
        yield double, double.rows
        return
    with sessions.connect(request.getfixturevalue("state_dsn"), "test") as connection:

        def rows(table: Table) -> dict[FactKey, dict[str, Any]]:
            columns = list(COLUMNS[table])
            query = sql.SQL("select {} from {}").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("imsfeed", table.value)
            )
            found = connection.execute(query).fetchall()
            values = [dict(zip(columns, row, strict=True)) for row in found]
            return {FactKey(row["owner_id"], row.get("id", row["owner_id"])): row for row in values}

        yield FactsStore(connection, "test", 2), rows


@pytest.fixture
def store(store_and_rows: tuple[Store, Rows]) -> Store:
    return store_and_rows[0]


@pytest.fixture
def rows(store_and_rows: tuple[Store, Rows]) -> Rows:
    return store_and_rows[1]


def a_school(
    lsn: int,
    *,
    op: str = "c",
    epoch: int = 1,
    ordinal: int = 1,
    last: bool = True,
    of: int | None = None,
    **columns: Any,
) -> bytes:
    """Return an event of school 5 of owner 2; with *of*, it belongs to the resync of that owner."""
    row = {"owner_id": 2, "id": 5, "school_no": "1", "orgnr": None, "name": "Fjordvik"} | columns
    return encode(
        Envelope(
            source=Source(
                schema="public", table="school", epoch=epoch, resync_owner=msgspec.UNSET if of is None else of
            ),
            op=op,
            before=row if op == "d" else None,
            after=None if op == "d" else {name: value for name, value in row.items() if value is not ...},
            transaction=Transaction(f"7:{lsn}", ordinal, 1, last=last or None),
        )
    )


def a_resync_end(lsn: int, *, of: int, ordinal: int = 1) -> bytes:
    """Return the heartbeat that ends the resync of an owner."""
    source = Source(schema="imsfeed", table="heartbeat", epoch=1, resync_owner=of)
    transaction = Transaction(f"7:{lsn}", ordinal, 1, last=True)
    return encode(Envelope(source=source, op="r", after={"owner_id": of}, transaction=transaction))


def deliver(store: Store, *values: bytes, partition: int = 0) -> list[Refused]:
    progress = store.progress(partition) or store.begin(partition, 0)
    messages = [Message(progress.next_offset + n, b"key", value) for n, value in enumerate(values)]
    return materialize_once(store, partition, messages, progress, REFERENCE_MAPPING, 0)[1]


def test_a_partition_that_was_never_applied_has_no_progress(store: Store) -> None:
    assert store.progress(0) is None
    assert store.begin(0, 7).next_offset == 7
    assert store.begin(0, 9).next_offset == 7, "a partition begins only once"


def test_rows_are_written_changed_and_removed(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10), a_school(11, id=6))
    deliver(store, a_school(12, op="u", name="Fjordvik nye"), a_school(13, op="d", id=6))
    assert rows(Table.SCHOOL) == {
        FactKey(2, 5): {"owner_id": 2, "id": 5, "school_no": "1", "orgnr": None, "name": "Fjordvik nye"}
    }


def test_a_missing_value_keeps_the_old_one_unlike_null(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10))
    deliver(store, a_school(11, op="u", name="Ny", school_no=UNAVAILABLE))
    assert rows(Table.SCHOOL)[FactKey(2, 5)]["school_no"] == "1"
    deliver(store, a_school(12, op="u", name="Ny", school_no=None))
    assert rows(Table.SCHOOL)[FactKey(2, 5)]["school_no"] is None


def test_a_row_without_a_needed_column_is_quarantined(store: Store, rows: Rows) -> None:
    (refused,) = deliver(store, a_school(10, op="u", name=UNAVAILABLE))
    assert refused.reason == "missing_column"
    assert store.quarantine_size() == 1
    assert rows(Table.SCHOOL) == {}


def test_a_batch_that_another_process_applied_is_refused(store: Store, rows: Rows) -> None:
    progress = store.begin(0, 0)
    deliver(store, a_school(10))
    late = read_batch(progress, [Message(0, None, a_school(10, name="late"))], REFERENCE_MAPPING, 0)
    with pytest.raises(FencedError):
        store.apply(0, progress.next_offset, late)
    assert rows(Table.SCHOOL)[FactKey(2, 5)]["name"] == "Fjordvik"


def test_a_completed_load_removes_unseen_rows_of_its_partition_only(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10), a_school(11, id=6))
    deliver(store, a_school(12, owner_id=3), partition=1)
    deliver(store, a_school(20, op="r", epoch=2, id=6, last=False))
    assert len(rows(Table.SCHOOL)) == 3
    deliver(store, a_school(21, op="r", epoch=2, id=7))
    assert rows(Table.SCHOOL).keys() == {FactKey(2, 6), FactKey(2, 7), FactKey(3, 5)}


def test_a_completed_load_removes_unseen_rows_of_a_negative_owner(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10, owner_id=-3), a_school(11, owner_id=-3, id=6), partition=1)
    deliver(store, a_school(20, op="r", epoch=2, owner_id=-3, id=6), partition=1)
    assert rows(Table.SCHOOL).keys() == {FactKey(-3, 6)}


def test_a_whole_load_removes_only_rows_of_an_older_epoch(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10), a_school(11, epoch=2, id=6), a_school(12, epoch=2, op="r", id=7))
    assert rows(Table.SCHOOL).keys() == {FactKey(2, 6), FactKey(2, 7)}


def test_a_resync_removes_unseen_rows_of_its_owner_only(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10), a_school(11, id=6), a_school(12, owner_id=4))
    deliver(store, a_school(20, op="r", id=6, of=2, last=False))
    assert len(rows(Table.SCHOOL)) == 3, "no row is removed before the last row has arrived"
    deliver(store, a_school(20, op="r", ordinal=2, id=7, of=2))
    assert rows(Table.SCHOOL).keys() == {FactKey(2, 6), FactKey(2, 7), FactKey(4, 5)}


def test_the_end_of_a_resync_alone_empties_an_owner(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10))
    deliver(store, a_resync_end(20, of=2))
    assert rows(Table.SCHOOL) == {}


def test_two_owners_may_be_loaded_in_one_batch(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10), a_school(11, owner_id=4), a_school(12, owner_id=6))
    deliver(store, a_resync_end(20, of=2), a_school(21, id=8), a_resync_end(22, of=4))
    assert rows(Table.SCHOOL).keys() == {FactKey(2, 8), FactKey(6, 5)}


def test_a_row_that_changed_after_the_resync_stays(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10), a_school(11, id=6))
    deliver(store, a_resync_end(20, of=2), a_school(21, id=6))
    deliver(store, a_resync_end(20, of=2))
    assert rows(Table.SCHOOL).keys() == {FactKey(2, 6)}


def test_a_loaded_row_that_cannot_be_read_stays_as_stored(store: Store, rows: Rows) -> None:
    deliver(store, a_school(10), a_school(11, id=6))
    (refused,) = deliver(store, a_school(20, op="r", of=2, last=False, name=["?"]))
    assert refused.reason == "impossible_value"
    deliver(store, a_resync_end(20, ordinal=2, of=2))
    assert rows(Table.SCHOOL).keys() == {FactKey(2, 5)}
    deliver(store, a_school(30, op="r", epoch=2, name=["?"]))
    assert rows(Table.SCHOOL).keys() == {FactKey(2, 5)}


def a_person_row(lsn: int, *, op: str = "u", **columns: Any) -> bytes:
    """Return an event of person 5 of owner 2."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS[Table.PERSON]) | {"owner_id": 2, "id": 5, "protected": False}
    row |= {"given_name": "Ada", "family_name": "Testesen"} | columns
    source = Source(schema="public", table="person", epoch=1)
    return encode(Envelope(source=source, op=op, after=row, transaction=Transaction(f"7:{lsn}", 1, 1, last=True)))


def test_an_unreadable_row_takes_away_and_is_quarantined(store: Store, rows: Rows) -> None:
    deliver(store, a_person_row(10, op="c"))
    (refused,) = deliver(store, a_person_row(11, protected=True, given_name=None, family_name="Ny"))
    assert refused.reason == "impossible_value"
    person = rows(Table.PERSON)[FactKey(2, 5)]
    assert (person["protected"], person["given_name"], person["family_name"]) == (True, "Ada", "Ny")
    deliver(store, a_person_row(12))
    assert rows(Table.PERSON)[FactKey(2, 5)]["protected"] is False


def test_what_a_batch_takes_away_follows_its_order(store: Store, rows: Rows) -> None:
    unreadable = a_person_row(11, protected=True, given_name=None)
    deliver(store, a_person_row(10, op="c"), unreadable, a_person_row(12))
    assert rows(Table.PERSON)[FactKey(2, 5)]["protected"] is False
    deliver(store, a_person_row(13), a_person_row(14, protected=None), a_person_row(15, email=UNAVAILABLE, mobile="1"))
    assert rows(Table.PERSON)[FactKey(2, 5)]["protected"] is False
    deliver(store, a_person_row(16, protected=None), a_person_row(17, protected=UNAVAILABLE))
    assert rows(Table.PERSON)[FactKey(2, 5)]["protected"] is True


def test_a_row_that_is_refused_when_it_is_written_takes_away_too(store: Store, rows: Rows) -> None:
    (refused,) = deliver(store, a_person_row(10, protected=True, given_name=UNAVAILABLE, national_id="1"))
    assert refused.reason == "missing_column"
    assert rows(Table.PERSON)[FactKey(2, 5)]["protected"] is True
    assert rows(Table.PERSON)[FactKey(2, 5)]["national_id"] == "1"


def test_a_row_in_a_former_partition_is_quarantined(request: pytest.FixtureRequest) -> None:
    """The topic had one partition and has two: what is left of owner 3 in the first is older than its load."""
    with sessions.connect(request.getfixturevalue("state_dsn"), "test") as connection:
        store = FactsStore(connection, "test", 2)
        refused = deliver(store, a_school(10), a_school(11, owner_id=3))
        assert [(one.reason, one.message.offset) for one in refused] == [("wrong_partition", 1)]
        assert "owner 3 belongs to partition 1 of 2" in refused[0].detail
        assert connection.execute("select owner_id from imsfeed.school").fetchall() == [(2,)]
        deliver(store, a_school(20, op="r", epoch=2))
        assert store.quarantine_size() == 0, "the load has resolved it"


def test_progress_is_read_as_it_was_written(store: Store) -> None:
    deliver(store, a_school(10, last=False))
    progress = store.progress(0)
    assert progress is not None
    assert progress == Progress(1, Position(1, 10, 1), frozenset({2}))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_facts_are_the_same_however_messages_are_batched_and_repeated(
    store: Store, rows: Rows, data: st.DataObject
) -> None:
    """Send a source's history with repetitions from any earlier point, in batches of any size."""
    before = store.progress(0)
    first = before.position.lsn + 1 if before is not None and before.position is not None else 1
    changes = data.draw(st.lists(st.tuples(st.sampled_from("cud"), st.integers(1, 4)), min_size=1, max_size=12))
    history = [a_school(first + n, op=op, id=id_, name=f"n{n}") for n, (op, id_) in enumerate(changes)]
    expected = {key.id: row["name"] for key, row in rows(Table.SCHOOL).items()}
    for n, (op, id_) in enumerate(changes):
        expected |= {id_: f"n{n}"}
        if op == "d":
            del expected[id_]
    sent = 0
    while sent < len(history):
        start = data.draw(st.integers(0, sent))
        sent = data.draw(st.integers(sent + 1, len(history)))
        deliver(store, *history[start:sent])
    assert {key.id: row["name"] for key, row in rows(Table.SCHOOL).items()} == expected
