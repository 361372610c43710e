"""Rows that are too large for Kafka are sent without their largest texts."""

from typing import Any

import msgspec
import pytest

from ims.errors import BadMessageError
from ims.source.events import Envelope, Source, decode, encode, read_too_large
from ims.source.facts import Table
from ims.source.mapping import REFERENCE_MAPPING, read_value
from producers.events.ordered_events import KafkaMessage
from producers.events.oversized_rows import OVERHEAD, is_too_large, reduced

LARGEST = 8_000


def a_message(before: dict[str, Any] | None, after: dict[str, Any] | None, op: str = "u") -> KafkaMessage:
    envelope = Envelope(before=before, after=after, source=Source(schema="public", table="person"), op=op)
    key = msgspec.json.encode({"table": "person", "owner_id": 1, "id": 42})
    return KafkaMessage(0, key, encode(envelope), "person", op, 0)


def test_a_row_that_fits_exactly_is_sent_as_it_is() -> None:
    message = a_message(None, {"id": 42, "email": "x" * 5_000})
    size = len(message.value) + len(message.key) + OVERHEAD
    assert not is_too_large(message, size)
    assert is_too_large(message, size - 1)


def test_only_the_largest_texts_are_left_out() -> None:
    after = {"id": 42, "given_name": "x" * 4_000, "email": "y" * 9_000, "mobile": "z" * 6_000, "protected": True}
    message, oversized = reduced(a_message(None, after), LARGEST)
    assert not is_too_large(message, LARGEST)
    change = decode(message.value)
    assert change is not None
    row = change.after or {}
    assert (row["given_name"], row["protected"]) == ("x" * 4_000, True)
    assert [name for name, value in row.items() if read_too_large(value)] == ["email", "mobile"]
    assert oversized == ("owner_id 1, id 42", "email", 9_002)


def test_the_old_row_is_shortened_before_the_new_one() -> None:
    before = {"owner_id": 1, "id": 42, "email": "x" * 9_000}
    message, oversized = reduced(a_message(before, {"owner_id": 1, "id": 42, "email": "y" * 5_000}), LARGEST)
    change = decode(message.value)
    assert change is not None
    assert change.before == {"owner_id": 1, "id": 42}
    assert (change.after or {})["email"] == "y" * 5_000
    assert oversized is None, "nothing is missing"


def test_a_deleted_large_row_keeps_its_key() -> None:
    message, oversized = reduced(a_message({"owner_id": 1, "id": 42, "email": "x" * 9_000}, None, "d"), LARGEST)
    change = decode(message.value)
    assert change is not None
    assert (change.op, change.before, oversized) == ("d", {"owner_id": 1, "id": 42}, None)


def test_a_consumer_names_the_row_and_its_column() -> None:
    message, _ = reduced(a_message(None, {"owner_id": 1, "id": 42, "email": "x" * 9_000}), LARGEST)
    change = decode(message.value)
    assert change is not None
    with pytest.raises(BadMessageError, match=r"person.email has 9002 bytes in the row with owner_id 1, id 42"):
        read_value(Table.PERSON, "email", (change.after or {})["email"])
    with pytest.raises(BadMessageError) as caught:
        REFERENCE_MAPPING.fact_change("person", after=change.after, key={}, sparse=True)
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize("value", [{"__imsfeed_too_large": "x"}, {"__imsfeed_too_large": [1]}])
def test_a_mark_of_another_program_is_refused_too(value: object) -> None:
    with pytest.raises(BadMessageError, match=r"too_large: person\.email has an unknown number of bytes"):
        read_value(Table.PERSON, "email", value)
