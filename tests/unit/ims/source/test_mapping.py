"""The mapping of the source's columns to facts, and the values that are refused."""

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.errors import BadMessageError, InvalidSettingsError
from ims.source.events import UNAVAILABLE
from ims.source.facts import Table
from ims.source.mapping import REFERENCE_MAPPING, FactKey, parse_mapping


def values_of(table: str, **row: Any) -> dict[str, Any]:
    change = REFERENCE_MAPPING.fact_change(table, after={"owner_id": 1, "id": 5, **row}, key={}, sparse=True)
    assert change.values is not None
    return change.values


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("ends_on", "2026-10-15", date(2026, 10, 15)),
        ("ends_on", "2026-10-15Z", date(2026, 10, 15)),
        ("ends_on", "2026-10-15T00:00:00Z", date(2026, 10, 15)),
        ("ends_on", 20_741, date(2026, 10, 15)),
        ("ends_on", "infinity", None),
        ("ends_on", 2_146_033_979, None),
        ("ends_on", "-infinity", date.min),
        ("starts_on", "-infinity", None),
        ("starts_on", "infinity", date.max),
        ("starts_on", None, None),
        ("active", "t", True),
        ("active", False, False),
        ("school_id", "12", 12),
        ("code", 8, "8"),
    ],
)
def test_values_are_read_as_both_producers_write_them(column: str, value: Any, read: Any) -> None:
    assert values_of("course_group", **{column: value})[column] == read


def test_a_required_date_may_be_infinite() -> None:
    assert values_of("enrolment", starts_on="-infinity")["starts_on"] == date.min


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("enrolment", "ends_on", "2026-02-30"),
        ("enrolment", "ends_on", "0044-03-15 BC"),
        ("enrolment", "ends_on", "5874897-12-31"),
        ("enrolment", "ends_on", 10**9),
        ("enrolment", "ends_on", True),
        ("enrolment", "starts_on", None),
        ("enrolment", "person_id", 2**63),
        ("enrolment", "person_id", True),
        ("enrolment", "person_id", 1.5),
        ("person", "given_name", None),
        ("person", "given_name", ["A"]),
        ("person", "given_name", "A\0B"),
        ("person", "protected", "maybe"),
    ],
)
def test_an_impossible_value_is_named_by_its_column(table: str, column: str, value: Any) -> None:
    with pytest.raises(BadMessageError) as caught:
        values_of(table, **{column: value})
    assert caught.value.reason == "impossible_value"
    assert f"{table}.{column}" in caught.value.detail
    assert value is None or str(value) not in caught.value.detail


def test_missing_columns_are_not_among_the_values() -> None:
    assert values_of("person", given_name=UNAVAILABLE, family_name="Ny").keys() == {"owner_id", "id", "family_name"}


def test_an_owners_key_is_its_owner_id_twice() -> None:
    change = REFERENCE_MAPPING.fact_change("owner", after=None, key={"owner_id": 4})
    assert (change.key, change.values) == (FactKey(4, 4), None)


def test_a_mapping_file_names_only_what_differs() -> None:
    mapping = parse_mapping('[enrolment]\ntable = "opplaring"\ncolumns = { person_id = "elev" }')
    row = {"owner_id": 1, "id": 5, "elev": 7, "group_id": 8}
    change = mapping.fact_change("opplaring", after=row, key={}, sparse=True)
    assert (change.table, (change.values or {})["person_id"]) == (Table.ENROLMENT, 7)
    assert mapping.source_table(Table.ENROLMENT) == "opplaring"


def test_an_optional_column_may_be_missing_in_the_source() -> None:
    mapping = parse_mapping('[owner]\ncolumns = { orgnr = "" }')
    assert "orgnr" not in mapping.columns(Table.OWNER)
    change = mapping.fact_change("owner", after={"owner_id": 1, "name": "Fjordvik"}, key={})
    assert change.values == {"owner_id": 1, "name": "Fjordvik"}


def test_a_missing_mapped_column_is_named_with_its_table() -> None:
    with pytest.raises(BadMessageError, match="table 'owner' has no column 'orgnr'") as caught:
        REFERENCE_MAPPING.fact_change("owner", after={"owner_id": 1, "name": "Fjordvik"}, key={})
    assert caught.value.reason == "missing_column"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[elev]", "elev"),
        ('[person]\ncolumns = { surname = "x" }', "surname"),
        ('[person]\ntabel = "x"', "tabel"),
        ('[person]\ntable = "school"', "same source table"),
        ("[person", "not TOML"),
        ('[person]\ncolumns = { given_name = "" }', "person.given_name must have a column"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidSettingsError, match=message):
        parse_mapping(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(table=st.sampled_from([table.value for table in Table]), column=st.integers(0, 20), value=JSON)
def test_any_json_is_a_value_or_a_bad_message(table: str, column: int, value: Any) -> None:
    names = list(REFERENCE_MAPPING.columns(Table(table)).values())
    row = {"owner_id": 1, "id": 5, names[column % len(names)]: value}
    with suppress(BadMessageError):
        REFERENCE_MAPPING.fact_change(table, after=row, key={}, sparse=True)
