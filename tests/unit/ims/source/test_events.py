"""The change event: our own, and Debezium's as its documentation shows it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.source.events import UNAVAILABLE, Change, Envelope, Position, Source, Transaction, decode, encode, is_news
from tests.support.builders import a_debezium_event

ROW = {"owner_id": 1, "id": 7, "given_name": "Ada"}


def decoded(value: bytes, **options: Any) -> Change:
    change = decode(value, **options)
    assert change is not None
    return change


def ours(**changes: Any) -> Envelope:
    fields: dict[str, Any] = {
        "after": ROW,
        "op": "c",
        "source": Source(schema="public", table="person", lsn=90, epoch=3, ts_ms=1_790_000_000_000),
        "transaction": Transaction("555:100", 2, 1, last=True),
    }
    return Envelope(**fields | changes)


def test_our_own_event_is_decoded_as_it_was() -> None:
    assert decode(encode(ours())) == Change(
        schema="public",
        table="person",
        op="c",
        before=None,
        after=ROW,
        position=Position(epoch=3, lsn=100, ordinal=2),
        exact=True,
        ends_transaction=True,
        loading=False,
        committed_at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC),
    )


@pytest.mark.parametrize("last", [None, False])
def test_a_transaction_goes_on_until_its_last_event(last: bool | None) -> None:
    assert not decoded(encode(ours(transaction=Transaction("555:100", 1, 1, last=last)))).ends_transaction


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.dictionaries(st.text(), VALUES, max_size=4)
COUNTS = st.integers(0, 2**63 - 1)


@given(
    op=st.sampled_from("cudr"), before=ROWS, after=ROWS, epoch=COUNTS, lsn=COUNTS, ordinal=COUNTS, last=st.booleans()
)
def test_every_event_of_our_producer_is_decoded(
    op: str, before: dict[str, Any], after: dict[str, Any], epoch: int, lsn: int, ordinal: int, last: bool
) -> None:
    envelope = ours(
        op=op,
        before=before,
        after=after,
        source=Source(schema="public", table="person", epoch=epoch),
        transaction=Transaction(f"1:{lsn}", ordinal, 1, last=last or None),
    )
    change = decoded(encode(envelope))
    assert (change.op, change.before, change.after) == (op, before, after)
    assert (change.position, change.exact) == (Position(epoch, lsn, ordinal), True)
    assert (change.ends_transaction, change.loading) == (last, op == "r")


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "with schema"])
@pytest.mark.parametrize(
    ("op", "before", "after"),
    [("c", None, ROW), ("u", None, ROW), ("u", ROW, ROW), ("d", {"owner_id": 1, "id": 7}, None), ("r", None, ROW)],
)
def test_debeziums_events_are_decoded(
    op: str, before: dict[str, Any] | None, after: dict[str, Any] | None, wrapped: bool
) -> None:
    change = decoded(a_debezium_event(op, before=before, after=after, wrapped=wrapped), default_epoch=4)
    assert (change.schema, change.table, change.op) == ("public", "person", op)
    assert (change.before, change.after) == (before, after)
    assert change.position == Position(epoch=4, lsn=24023119, ordinal=24023128)
    assert (change.exact, change.ends_transaction, change.loading) == (False, True, op == "r")
    assert change.committed_at == datetime(2019, 5, 28, 8, 58, 24, 863000, tzinfo=UTC)


def test_debeziums_transaction_block_makes_no_position_exact() -> None:
    # Its id is "txid:LSN" too, but that LSN is the row's, which does not name one change.
    block = {"id": "555:24023128", "total_order": 1, "data_collection_order": 1}
    change = decoded(a_debezium_event("c", after=ROW, transaction=block))
    assert (change.exact, change.position) == (False, Position(0, 24023119, 24023128))


@pytest.mark.parametrize(
    "snapshot", ["true", "first", "first_in_data_collection", "last", "incremental", True, False, None]
)
def test_debeziums_snapshot_markers_are_read(snapshot: str | bool | None) -> None:
    assert decoded(a_debezium_event("r", after=ROW, source={"snapshot": snapshot})).loading


def test_a_changed_key_is_a_delete_and_a_create() -> None:
    # Debezium sends three messages: the old key deleted, its tombstone, the new key created.
    old, tombstone, new = (
        a_debezium_event("d", before={"owner_id": 1, "id": 7}),
        None,
        a_debezium_event("c", after=ROW | {"id": 8}),
    )
    assert decoded(old).before == {"owner_id": 1, "id": 7}
    assert decode(tombstone) is None
    assert decoded(new).after == ROW | {"id": 8}


def test_a_value_that_did_not_change_arrives_as_debeziums_placeholder() -> None:
    change = decoded(a_debezium_event("u", after=ROW | {"email": UNAVAILABLE}))
    assert change.after == ROW | {"email": UNAVAILABLE}


def test_a_truncate_has_no_row() -> None:
    change = decoded(a_debezium_event("t"))
    assert (change.op, change.before, change.after) == ("t", None, None)


@pytest.mark.parametrize(
    ("sequence", "lsn", "position"),
    [
        ('["10","12"]', 12, (10, 12)),
        ('[null,"12"]', 12, (12, 12)),  # Debezium has seen no commit yet
        ("[null,null]", 12, (12, 12)),
        (None, 12, (12, 12)),
        (None, None, (0, 0)),
    ],
)
def test_debeziums_position_is_the_last_commit_and_the_row(
    sequence: str | None, lsn: int | None, position: tuple[int, int]
) -> None:
    change = decoded(a_debezium_event("c", after=ROW, source={"sequence": sequence, "lsn": lsn}))
    assert change.position == Position(0, *position)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"{}",
        b'{"ts_ms":1559033904863}',  # heartbeat
        b'{"status":"BEGIN","id":"555:24023128","ts_ms":1,"event_count":null,"data_collections":null}',
        b'{"schema":null,"payload":null}',
        b'{"schema":{"type":"struct"},"payload":{"ts_ms":1559033904863}}',
        b'{"op":"m","source":{"schema":"","table":""},"message":{"prefix":"x","content":"eA=="}}',
        b'{"schema":{},"payload":{"op":"m","source":{"schema":"","table":""},"message":{"prefix":"x"}}}',
    ],
)
def test_a_message_about_no_row_is_no_change(value: bytes | None) -> None:
    assert decode(value) is None


def at(position: Position, *, exact: bool) -> Change:
    if not exact:
        sequence = f'["{position.lsn}","{position.ordinal}"]'
        return decoded(a_debezium_event("c", after=ROW, source={"sequence": sequence}), default_epoch=position.epoch)
    source = Source(schema="public", table="person", epoch=position.epoch)
    return decoded(encode(ours(source=source, transaction=Transaction(f"1:{position.lsn}", position.ordinal, 1))))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("position", "news"),
    [
        (Position(2, 100, 6), True),
        (Position(2, 101, 1), True),
        (Position(3, 1, 1), True),  # a new history of the source
        (Position(2, 100, 4), False),
        (Position(2, 99, 9), False),
        (Position(1, 999, 9), False),
    ],
)
def test_a_change_after_the_last_applied_one_is_news(position: Position, news: bool, exact: bool) -> None:
    assert is_news(Position(2, 100, 5), at(position, exact=exact)) is news


def test_an_equal_position_is_news_unless_it_is_exact() -> None:
    last = Position(2, 100, 5)
    assert not is_news(last, at(last, exact=True))
    assert is_news(last, at(last, exact=False))


@pytest.mark.parametrize("exact", [True, False])
def test_the_first_change_of_a_partition_is_news(exact: bool) -> None:
    assert is_news(None, at(Position(0, 0, 0), exact=exact))
