"""The fast reader of column values, against the full one."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.source.column_values import READERS, fast_reader
from ims.source.events import UNAVAILABLE
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, read_value
from ims.source.words import WORDS

ALL = [(table, name) for table in Table for name in COLUMNS[table]]

DATES = st.dates().map(date.isoformat) | st.sampled_from(["0001-01-01", "9999-12-31"])
ALMOST_DATES = st.text(alphabet="0123456789-WTZ٣ ", min_size=9, max_size=12) | DATES.map(lambda day: f"{day}Z")
NUMBERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
TEXTS = st.text() | st.sampled_from([
    UNAVAILABLE,
    "a\0b",
    "t",
    "false",
    "7",
    "infinity",
    "active",
    "active  ",
    "learner",
])
VALUES = DATES | ALMOST_DATES | NUMBERS | TEXTS | st.booleans() | st.none() | st.floats() | st.lists(st.text())


@given(column=st.sampled_from(ALL), value=VALUES)
def test_the_fast_reader_agrees_with_the_full_reader(column: tuple[Table, str], value: Any) -> None:
    table, name = column
    kind = COLUMNS[table][name]
    try:
        read = fast_reader(kind.type, name if kind.optional else None, WORDS.get(column))(value)
    except ValueError:
        return
    expected = read_value(table, name, value)
    assert (read, type(read)) == (expected, type(expected))
    assert value != UNAVAILABLE


@pytest.mark.parametrize(
    ("kind", "value"), [(int, 7), (str, "Ada"), (str, "æ"), (bool, True), (bool, False), (date, "2026-10-15")]
)
def test_the_fast_reader_reads_what_capture_writes(kind: type, value: Any) -> None:
    fast_reader(kind, None)(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, "7"),
        (int, True),
        (int, 2**63),
        (str, 7),
        (str, "a\0b"),
        (str, UNAVAILABLE),
        (bool, 1),
        (date, "2026-W01-1"),
    ],
)
def test_the_fast_reader_refuses_every_other_form(kind: type, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        fast_reader(kind, None)(value)


@pytest.mark.parametrize(
    ("number", "day"),
    [
        (2**31 - 1, date.max),
        (-(2**31), date.min),
        (2_146_033_979, date.max),
        (-2_147_472_691, date.min),
        (2**63 - 1, date.max),
        (-(2**63), date.min),
        (9_223_372_036_825_200_000, date.max),
        (-9_223_372_036_832_400_000, date.min),
        (9_223_372_036_825_200, date.max),
        ("+292278994-08-16T23:00:00Z", date.max),
        (20_741, date(2026, 10, 15)),
    ],
)
def test_only_the_exact_number_of_a_type_is_its_infinity(number: int | str, day: date) -> None:
    assert READERS[date](number) == day
    if isinstance(number, int) and day in {date.max, date.min}:
        for near in (number - 1, number + 1):
            with pytest.raises((ValueError, OverflowError)):
                READERS[date](near)


@pytest.mark.parametrize("value", [1_781_733_600_000_000, 1_781_733_600_000, 2_932_897, -719_163, 10**30, 3.0, True])
def test_a_number_out_of_range_is_no_date(value: Any) -> None:
    with pytest.raises((ValueError, OverflowError, TypeError)):
        READERS[date](value)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-10-14T22:00:00Z", date(2026, 10, 15)),
        ("2026-10-14 21:59:59.999999+00", date(2026, 10, 14)),
        ("2026-10-15T00:00:00+02:00", date(2026, 10, 15)),
        ("2026-10-14T12:00:00-12:00", date(2026, 10, 15)),
        ("2026-10-24T22:00:00Z", date(2026, 10, 25)),  # the night in which summer time ends
        ("2026-10-25T22:59:59Z", date(2026, 10, 25)),
        ("2026-10-25T23:00:00Z", date(2026, 10, 26)),
        ("2026-03-28T23:00:00Z", date(2026, 3, 29)),  # the night in which it begins
        ("2026-03-29T21:59:59Z", date(2026, 3, 29)),
        ("2026-03-29T22:00:00.123456789Z", date(2026, 3, 30)),
        ("2026-10-15 23:59:59", date(2026, 10, 15)),
        ("2026-10-15T00:00", date(2026, 10, 15)),
        ("2026-10-15Z", date(2026, 10, 15)),
        ("2026-10-15   ", date(2026, 10, 15)),
    ],
)
def test_a_moment_counts_by_its_date_in_norway(moment: str, day: date) -> None:
    assert READERS[date](moment) == day


@pytest.mark.parametrize("value", ["2026-10-15T25:00:00Z", "2026-10-15T00:00:00 Oslo", "19853-01-01", "20261015", ""])
def test_a_text_that_is_no_date_is_refused(value: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        READERS[date](value)


@pytest.mark.parametrize("value", [1, 2, -1, 0.5, "2", "1.00", "-3", "t", "TRUE", True, "true "])
def test_any_number_but_zero_is_true(value: Any) -> None:
    assert READERS[bool](value) is True


@pytest.mark.parametrize("value", [0, 0.0, "0", "0.00", "-0", "f", "false", False])
def test_zero_is_false(value: Any) -> None:
    assert READERS[bool](value) is False


@pytest.mark.parametrize("value", ["J", "yes", "no", "", "NaN", "1_0", "1e5", None, [1], "٣"])
def test_a_word_that_is_no_boolean_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        READERS[bool](value)
