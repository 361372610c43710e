"""Reading a batch of messages: order, duplicates, transactions and refused messages."""

from typing import Any

import msgspec
import pytest

from consumers.materialize.batch import Load, Message, Outcome, Progress, read_batch
from ims.source.events import UNAVAILABLE, Envelope, Position, Source, Transaction, encode
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, REFERENCE_MAPPING, FactKey

START = Progress(0)
KEY = (Table.ENROLMENT, FactKey(1, 5))


def an_event(lsn: int = 10, ordinal: int = 1, *, op: str = "u", last: bool = True, **changes: Any) -> Envelope:
    """Return an update of enrolment 5 of owner 1, the only change of its transaction."""
    after = {"owner_id": 1, "id": 5, "group_id": 8} if op != "d" else None
    envelope = Envelope(
        source=Source(schema="public", table="enrolment", epoch=1, ts_ms=lsn * 1000),
        op=op,
        before={"owner_id": 1, "id": 5} if op == "d" else None,
        after=after,
        transaction=Transaction(f"7:{lsn}", ordinal, ordinal, last=last or None),
    )
    return msgspec.structs.replace(envelope, **changes)


def read(*events: Envelope | bytes | None, progress: Progress = START) -> Outcome:
    values = [encode(event) if isinstance(event, Envelope) else event for event in events]
    messages = [Message(progress.next_offset + n, None, value) for n, value in enumerate(values)]
    return read_batch(progress, messages, REFERENCE_MAPPING, default_epoch=0, sparse=True)


def test_an_applied_message_is_a_duplicate_and_changes_nothing() -> None:
    first = read(an_event(10), an_event(11))
    again = read(an_event(10), an_event(11), progress=first.progress)
    assert (again.rows, again.duplicates) == ({}, 2)
    assert again.progress.position == Position(1, 11, 1)
    assert again.progress.next_offset == 4


def test_a_later_ordinal_of_one_transaction_is_no_duplicate() -> None:
    outcome = read(an_event(10, 1, last=False), an_event(10, 2))
    assert outcome.duplicates == 0
    assert outcome.progress.position == Position(1, 10, 2)


def test_a_new_epoch_is_no_duplicate_at_any_lsn() -> None:
    event = an_event(3)
    event.source.epoch = 2
    assert read(an_event(10), event).duplicates == 0


def test_an_owner_stays_open_until_its_transaction_is_complete() -> None:
    half = read(an_event(10, 1, last=False))
    assert half.progress.open_owners == {1}
    whole = read(an_event(10, 2), progress=half.progress)
    assert whole.progress.open_owners == frozenset()


def test_a_repeated_first_half_keeps_the_transaction_open() -> None:
    half = read(an_event(10, 1, last=False))
    assert read(an_event(10, 1, last=False), progress=half.progress).progress.open_owners == {1}


def test_an_event_that_cannot_be_applied_still_ends_its_transaction() -> None:
    outcome = read(an_event(10, 1, last=False), an_event(10, 2, after={"owner_id": 1, "id": "x"}))
    assert [refused.reason for refused in outcome.refused] == ["impossible_value"]
    assert outcome.progress.open_owners == frozenset()
    assert outcome.rows.keys() == {KEY}


def test_several_changes_of_a_row_are_merged() -> None:
    outcome = read(an_event(10), an_event(11, after={"owner_id": 1, "id": 5, "status": "withdrawn"}))
    row = outcome.rows[KEY]
    assert row.values == {"owner_id": 1, "id": 5, "group_id": 8, "status": "withdrawn"}
    assert not row.whole
    assert row.committed_at is not None
    assert row.committed_at.timestamp() == 10


def test_a_row_inserted_again_keeps_no_value_of_the_deleted_one() -> None:
    outcome = read(an_event(10), an_event(11, op="d"), an_event(12, after={"owner_id": 1, "id": 5, "role": "learner"}))
    assert outcome.rows[KEY].values == {"owner_id": 1, "id": 5, "role": "learner"}
    assert outcome.rows[KEY].whole


def test_a_row_inserted_and_deleted_is_deleted() -> None:
    assert read(an_event(10, op="c"), an_event(11, op="d")).rows[KEY].values is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "not_json"),
        (b'{"op":"c"}', "not_an_envelope"),
        (encode(an_event(after={"owner_id": 1})), "missing_column"),
        (encode(an_event(after={"owner_id": 1, "id": 5, "starts_on": "2026-02-30"})), "impossible_value"),
        (encode(an_event(source=Source(schema="public", table="payroll", epoch=1))), "unknown_table"),
        (encode(an_event(op="t", after=None)), "truncate"),
    ],
)
def test_a_refused_message_does_not_stop_the_next_one(value: bytes, reason: str) -> None:
    outcome = read(value, an_event(11))
    assert [refused.reason for refused in outcome.refused] == [reason]
    assert outcome.rows.keys() == {KEY}
    assert outcome.progress.next_offset == 2


def test_tombstones_and_foreign_messages_are_ignored() -> None:
    outcome = read(None, b'{"ts_ms":1}', b'{"payload":null}')
    assert (outcome.rows, outcome.refused) == ({}, [])
    assert outcome.progress.next_offset == 3


def test_a_heartbeat_changes_no_row() -> None:
    beat = Source(schema="imsfeed", table="heartbeat", epoch=1, ts_ms=5000)
    outcome = read(an_event(10, source=beat, after={"owner_id": 1, "beat_at": "2026-10-15"}))
    assert outcome.rows == {}
    assert outcome.progress.heartbeat_at is not None
    assert outcome.progress.heartbeat_at.timestamp() == 5


def test_the_last_row_in_a_partition_completes_a_load() -> None:
    first = read(an_event(10, 1, op="r", last=False))
    assert first.loads == []
    assert first.progress.open_owners == {1}
    last = read(an_event(10, 2, op="r"), progress=first.progress)
    assert (last.loads, last.progress.open_owners) == ([Load(1, 0)], frozenset())


def test_a_resync_of_one_owner_carries_owner_and_lsn() -> None:
    source = Source(schema="imsfeed", table="heartbeat", epoch=1, resync_owner=1)
    assert read(an_event(10, op="r", source=source)).loads == [Load(1, 10, 1)]


def test_a_loaded_row_that_cannot_be_read_still_exists() -> None:
    outcome = read(an_event(10, op="r", after={"owner_id": 1, "id": 5, "starts_on": "soon"}))
    assert [refused.reason for refused in outcome.refused] == ["impossible_value"]
    assert outcome.unread == {KEY: (1, 10)}


def test_a_missing_column_is_refused_by_name() -> None:
    message = Message(0, None, encode(an_event()))
    (refused,) = read_batch(START, [message], REFERENCE_MAPPING, 0).refused
    assert refused.reason == "missing_column"
    assert "table 'enrolment' has no column 'person_id'" in refused.detail


def test_an_unsent_value_is_no_missing_column() -> None:
    row = dict.fromkeys(COLUMNS[Table.ENROLMENT], UNAVAILABLE) | {"owner_id": 1, "id": 5, "role": "teacher"}
    outcome = read_batch(START, [Message(0, None, encode(an_event(after=row)))], REFERENCE_MAPPING, 0)
    assert outcome.refused == []
    assert outcome.rows[KEY].values == {"owner_id": 1, "id": 5, "role": "teacher"}


def test_a_delete_from_debezium_finds_its_row_by_the_key() -> None:
    value = encode(Envelope(source=Source(schema="public", table="enrolment", lsn=9), op="d"))
    key = b'{"schema":{},"payload":{"owner_id":1,"id":5}}'
    outcome = read_batch(Progress(0), [Message(0, key, value)], REFERENCE_MAPPING, 0)
    assert outcome.rows[KEY].values is None


def test_debezium_events_at_an_equal_position_are_applied_again() -> None:
    def debezium(lsn: int) -> Envelope:
        source = Source(schema="public", table="enrolment", lsn=lsn, sequence=f'["8","{lsn}"]')
        return Envelope(source=source, op="u", after={"owner_id": 1, "id": 5, "group_id": lsn})

    outcome = read(debezium(20), debezium(20), debezium(19))
    assert outcome.duplicates == 1
    assert (outcome.rows[KEY].values or {})["group_id"] == 20
    assert outcome.progress.open_owners == frozenset()
