"""Messages that are no change event: each is refused with one of a few reasons, and never quoted."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ims.errors import BadMessageError
from ims.source.events import Change, _change, _unusual, decode
from tests.support.builders import a_debezium_event

SECRET = "01819012284"  # stands for a synthetic national id that no error may repeat

ROW = {"owner_id": 1, "id": 7, "given_name": "Ada", "national_id": SECRET}

OUTCOMES = {None, "not_json", "not_an_envelope", "unknown_op", "impossible_value"}


def refusal(value: bytes) -> BadMessageError:
    with pytest.raises(BadMessageError) as caught:
        decode(value)
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b'{"op":"c","after":{"a":"\xc3("}}', "not_json"),
        (b'{"op":"c","after":{"a":"\\ud800"},"source":{"schema":"p","table":"t"}}', "not_json"),
        (b'{"a":' * 100_000, "not_json"),
        (b'{"op":"c","after":{"a":' + b"[" * 100_000, "not_json"),
        (a_debezium_event("c", after=ROW)[:-1], "not_json"),
        (b"null", "not_an_envelope"),
        (b'"01819012284"', "not_an_envelope"),
        (b'{"payload":"01819012284"}', "not_an_envelope"),
        (b'{"op":"c","after":{"id":' + b"9" * 5000 + b'},"source":{"schema":"p","table":"t"}}', "not_an_envelope"),
        (a_debezium_event("c"), "not_an_envelope"),
        (a_debezium_event("u", before=ROW), "not_an_envelope"),
        (a_debezium_event("r"), "not_an_envelope"),
        (a_debezium_event("x", after=ROW), "unknown_op"),
        (a_debezium_event("", after=ROW), "unknown_op"),
        (a_debezium_event("cu", after=ROW), "unknown_op"),
        (a_debezium_event("c", after=ROW, source={"ts_ms": 10**17}), "impossible_value"),
        (a_debezium_event("c", after=ROW, source={"ts_ms": 10**400}), "impossible_value"),
    ],
)
def test_a_broken_message_is_refused_with_a_fixed_reason(value: bytes, reason: str) -> None:
    assert refusal(value).reason == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"after": [SECRET]},
        {"after": SECRET},
        {"source": {"schema": None}},
        {"source": {"table": {SECRET: SECRET}}},
        {"source": {"lsn": SECRET}},
        {"source": {"lsn": -1}},
        {"source": {"lsn": 2**63}},
        {"source": {"epoch": 2**63}},
        {"source": {"snapshot": [SECRET]}},
        {"source": {"sequence": SECRET}},
        {"source": {"sequence": f'["x{SECRET}",null]'}},
        {"source": {"sequence": '["-1","1"]'}},
        {"source": {"sequence": '["1","1_0"]'}},
        {"source": {"sequence": '["1","\u0661"]'}},
        {"source": {"sequence": f'["1","{2**63}"]'}},
        {"source": {"sequence": '["1"]'}},
        {"source": {"epoch": 1}, "transaction": {"id": SECRET + ":", "total_order": 1, "data_collection_order": 1}},
        {"source": {"epoch": 1}, "transaction": {"id": f"1:{2**63}", "total_order": 1, "data_collection_order": 1}},
        {
            "source": {"epoch": 1},
            "transaction": {"id": "1:" + "9" * 5000, "total_order": 1, "data_collection_order": 1},
        },
        {"source": {"epoch": 1}, "transaction": {"id": "1:1", "total_order": 2**63, "data_collection_order": 1}},
        {"source": {"epoch": 1}, "transaction": {"id": "1:1", "total_order": -1, "data_collection_order": 1}},
    ],
)
def test_an_impossible_envelope_is_refused_without_quoting_it(changes: dict[str, Any]) -> None:
    assert refusal(a_debezium_event("c", **{"after": ROW} | changes)).reason == "not_an_envelope"


def reason_of_refusal(value: bytes) -> str | None:
    """Return why the bytes are refused; ``None`` if they are a change or about no row. Other errors fail the test."""
    try:
        change = decode(value)
    except BadMessageError as error:
        return error.reason
    return None if change is None or change.op in set("cudrt") else "unknown op let through"


@given(st.binary())
@example(b'{"op":"d","source":{"schema":"p","table":"t","ts_ms":-99999999999999999}}')
def test_any_bytes_are_a_change_or_a_bad_message(value: bytes) -> None:
    assert reason_of_refusal(value) in OUTCOMES


KEYS = st.sampled_from([
    "op",
    "before",
    "after",
    "source",
    "transaction",
    "payload",
    "schema",
    "table",
    "lsn",
    "sequence",
])


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.sampled_from(["c", "d", "m", "public"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
        max_leaves=20,
    )
)
def test_any_json_is_a_change_or_a_bad_message(value: Any) -> None:
    assert reason_of_refusal(json.dumps(value).encode()) in OUTCOMES


@given(
    place=st.sampled_from(["ts_ms", "lsn", "txId", "sequence", "snapshot", "epoch", "schema"]),
    value=st.integers() | st.text() | st.none() | st.floats(),
)
def test_an_odd_value_gives_a_change_or_a_bad_message(place: str, value: Any) -> None:
    assert reason_of_refusal(a_debezium_event("c", after=ROW, source={place: value})) in OUTCOMES


def outcome(read: Callable[[bytes], Change | None], value: bytes) -> Any:
    try:
        return read(value)
    except BadMessageError as error:
        return error.reason, error.detail


def fully_decoded(value: bytes) -> Change | None:
    envelope = _unusual(value)
    return None if envelope is None else _change(envelope, 0)


ROWS = st.none() | st.fixed_dictionaries({"owner_id": st.integers(0, 3), "name": st.text(max_size=3)})
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["c", "u", "d", "r", "t", "m", "x", None, 1]),
        "before": ROWS,
        "after": ROWS | st.integers(),
        "source": st.none() | st.fixed_dictionaries({"schema": st.just("public"), "table": st.text(max_size=3)}),
        "payload": st.none() | st.integers(),
        "ts_ms": st.none() | st.integers(0, 9) | st.text(max_size=1),
    },
)


@given(value=ENVELOPES | ENVELOPES.map(lambda inner: {"payload": inner}), missing=st.integers(0, 3))
def test_the_fast_decoding_agrees_with_the_full_one(value: dict[str, Any], missing: int) -> None:
    message = json.dumps(value).encode()
    message = message[: len(message) - (missing if missing > 1 else 0)]
    assert outcome(decode, message) == outcome(fully_decoded, message)
