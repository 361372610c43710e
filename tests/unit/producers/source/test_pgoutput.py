import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producers.source.pgoutput import UNCHANGED, Begin, Commit, Decoder, Delete, Insert, ProtocolError, Truncate, Update
from tests.unit.producers.source import pgoutput_bytes as pg
from tests.unit.producers.source.pgoutput_bytes import PERSON

WHOLE_MESSAGES = [
    pg.begin(),
    pg.commit(),
    pg.relation(),
    pg.insert(PERSON, pg.a_person()),
    pg.update(PERSON, pg.a_person(), old=(b"O", pg.a_person())),
    pg.update(PERSON, pg.a_person()),
    pg.delete(PERSON, b"K", pg.a_person()),
    pg.truncate(PERSON),
]


def a_decoder() -> Decoder:
    decoder = Decoder()
    decoder.decode(pg.relation())
    return decoder


def test_a_transaction_has_the_position_and_time_of_its_commit() -> None:
    decoder = Decoder()
    assert decoder.decode(pg.begin(commit_lsn=500, committed_us=1_000, xid=3)) == Begin(500, 946_684_800_001, 3)
    assert decoder.decode(pg.commit(end_lsn=548)) == Commit(548)


def test_values_become_their_json_form() -> None:
    message = a_decoder().decode(pg.insert(PERSON, [b"9", b"9007199254740993", None, b"infinity", b"t"]))
    assert isinstance(message, Insert)
    assert message.after == {
        "owner_id": 9,
        "id": 9_007_199_254_740_993,
        "name": None,
        "born": "infinity",
        "protected": True,
    }


@pytest.mark.parametrize(
    ("text", "value"), [(b"0.1", 0.1), (b"1e+20", 1e20), (b"NaN", "NaN"), (b"-Infinity", "-Infinity")]
)
def test_a_float_that_json_cannot_hold_stays_text(text: bytes, value: object) -> None:
    decoder = Decoder()
    decoder.decode(pg.relation(5, [("grade", pg.FLOAT8, False)]))
    message = decoder.decode(pg.insert(5, [text]))
    assert isinstance(message, Insert)
    assert message.after == {"grade": value}


def test_an_old_key_has_only_the_key_columns() -> None:
    message = a_decoder().decode(pg.delete(PERSON, b"K", [b"9", b"1", None, None, None]))
    assert isinstance(message, Delete)
    assert message.before == {"owner_id": 9, "id": 1}


def test_an_old_row_is_decoded_whole() -> None:
    message = a_decoder().decode(pg.delete(PERSON, b"O", pg.a_person(name=None)))
    assert isinstance(message, Delete)
    assert message.before == {"owner_id": 9, "id": 1, "name": None, "born": "1990-01-08", "protected": False}


def test_a_value_that_was_not_sent_is_unchanged() -> None:
    message = a_decoder().decode(pg.update(PERSON, pg.a_person(name=pg.NOT_SENT)))
    assert isinstance(message, Update)
    assert message.before is None
    assert message.after["name"] is UNCHANGED


def test_a_relation_sent_again_replaces_the_previous_one() -> None:
    decoder = a_decoder()
    decoder.decode(pg.relation(columns=[("id", pg.INT8, True), ("nick", pg.TEXT, False)]))
    message = decoder.decode(pg.insert(PERSON, [b"1", b"Countess"]))
    assert isinstance(message, Insert)
    assert message.after == {"id": 1, "nick": "Countess"}


def test_a_truncate_names_every_table() -> None:
    decoder = a_decoder()
    decoder.decode(pg.relation(5, table="school"))
    message = decoder.decode(pg.truncate(PERSON, 5))
    assert isinstance(message, Truncate)
    assert [relation.table for relation in message.relations] == ["person", "school"]


@pytest.mark.parametrize("message", [b"O" + bytes(9), b"Y" + bytes(7), b"M" + bytes(20)])
def test_messages_that_say_nothing_about_rows_are_ignored(message: bytes) -> None:
    assert Decoder().decode(message) is None


@pytest.mark.parametrize("message", WHOLE_MESSAGES)
def test_a_message_truncated_anywhere_is_a_protocol_error(message: bytes) -> None:
    for length in range(len(message)):
        with pytest.raises(ProtocolError):
            a_decoder().decode(message[:length])


@pytest.mark.parametrize("message", WHOLE_MESSAGES)
def test_a_message_with_bytes_after_its_end_is_refused(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        a_decoder().decode(message + b"\0")


@pytest.mark.parametrize(
    "message",
    [
        pg.insert(77, pg.a_person()),
        pg.insert(PERSON, [b"x", *pg.a_person()[1:]]),
        pg.insert(PERSON, [*pg.a_person()[:4], b"perhaps"]),
        pg.insert(PERSON, pg.a_person(name=b"\xff")),
        pg.insert(PERSON, pg.a_person()[:4]),
        pg.delete(PERSON, b"X", pg.a_person()),
    ],
    ids=["unknown relation", "not a number", "not a boolean", "not a text", "too few columns", "unknown kind of row"],
)
def test_an_impossible_message_is_refused_without_naming_its_values(message: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        a_decoder().decode(message)
    assert "Ada" not in str(caught.value)
    assert caught.value.__suppress_context__


@given(st.binary() | st.sampled_from(b"BCRIUDTOYM").flatmap(lambda kind: st.binary().map(bytes([kind]).__add__)))
@example(b"")
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    decode_or_refuse(data)


@given(st.sampled_from(WHOLE_MESSAGES), st.integers(0, 200), st.integers(0, 255))
def test_a_message_with_a_changed_byte_is_decoded_or_refused(message: bytes, at: int, byte: int) -> None:
    at %= len(message)
    decode_or_refuse(message[:at] + bytes([byte]) + message[at + 1 :])


def decode_or_refuse(data: bytes) -> None:
    # Any other error fails the test.
    with contextlib.suppress(ProtocolError):
        a_decoder().decode(data)
