"""The fast reader of column values, against the full one."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.source.column_values import fast_reader
from ims.source.events import UNAVAILABLE
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, read_value

ALL = [(table, name) for table in Table for name in COLUMNS[table]]

DATES = st.dates().map(date.isoformat) | st.sampled_from(["0001-01-01", "9999-12-31"])
ALMOST_DATES = st.text(alphabet="0123456789-WTZ٣ ", min_size=9, max_size=12) | DATES.map(lambda day: f"{day}Z")
NUMBERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
TEXTS = st.text() | st.sampled_from([UNAVAILABLE, "a\0b", "t", "false", "7", "infinity"])
VALUES = DATES | ALMOST_DATES | NUMBERS | TEXTS | st.booleans() | st.none() | st.floats() | st.lists(st.text())


@given(column=st.sampled_from(ALL), value=VALUES)
def test_the_fast_reader_agrees_with_the_full_reader(column: tuple[Table, str], value: Any) -> None:
    table, name = column
    kind = COLUMNS[table][name]
    try:
        read = fast_reader(kind.type, name if kind.optional else None)(value)
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
