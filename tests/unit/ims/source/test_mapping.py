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


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[elev]", "owner, school, person, employee, course_group, enrolment"),
        ("person = 1", "[person]"),
        ("[person]\ntable = 7", 'table = "elev"'),
        ("[person]\nvalues = 7", "[person] values must be a table"),
        ('[person]\ntabel = "x"', "its keys are table, columns, values, constants"),
        ('[enrolment]\nvalues.status = { AKTIV = "aktive" }', "'AKTIV' must become one of active, applied"),
        ("[enrolment]\nvalues.status = { AKTIV = true }", "must become one of active"),
        ('[person]\nvalues.protected = { J = "true" }', "must become true or false, without quotes"),
        ('[person]\nvalues.given_name = { A = "B" }', "of person those of protected may be"),
        ('[owner]\nvalues.name = { A = "B" }', "the values of owner.name cannot be mapped"),
        ("[enrolment]\nvalues.role = {}", "our value for each of the source's"),
        ("[enrolment]\nconstants = { id = 1 }", "enrolment.id cannot be a constant"),
        ("[person]\nconstants = { national_id = '1' }", "person.national_id cannot be a constant"),
        ('[person]\nconstants = { owner_id = "en" }', "person.constants.owner_id must be a int"),
        ('[enrolment]\nconstants = { status = "aktiv" }', "enrolment.constants.status must be one of active"),
        ("[person]\nconstants = { protected = 1 }", "person.constants.protected must be a bool"),
        ('[person]\ncolumns = { owner_id = "a" }\nconstants = { owner_id = 1 }', "a column and a constant"),
        ("[person]\ncolumns = { owner_id = 1 }", "belongs in constants"),
    ],
)
def test_an_error_of_a_mapping_names_what_is_allowed(text: str, named: str) -> None:
    with pytest.raises(InvalidSettingsError, match=r"docs/mapping\.md") as caught:
        parse_mapping(text)
    assert named in str(caught.value)


MAPPED = parse_mapping("""
[person]
values.protected = { J = true, N = false, "" = false }
constants = { owner_id = 7 }
[course_group]
values.kind = { KLASSE = "class", "*" = "subject" }
[enrolment]
values.status = { AKTIV = "active", 1 = "active", "*" = "ended" }
values.role = { ELEV = "learner" }
""")


@pytest.mark.parametrize(
    ("table", "column", "value", "read"),
    [
        (Table.PERSON, "protected", "J", True),
        (Table.PERSON, "protected", "N ", False),
        (Table.PERSON, "protected", None, False),
        (Table.PERSON, "protected", "  ", False),
        (Table.PERSON, "protected", "t", True),
        (Table.PERSON, "protected", 2, True),
        (Table.COURSE_GROUP, "kind", "KLASSE", "class"),
        (Table.COURSE_GROUP, "kind", "FAG", "subject"),
        (Table.ENROLMENT, "status", "AKTIV   ", "active"),
        (Table.ENROLMENT, "status", 1, "active"),
        (Table.ENROLMENT, "status", "SLUTTET", "ended"),
        (Table.ENROLMENT, "status", "withdrawn", "withdrawn"),
        (Table.ENROLMENT, "status", "active", "active"),
        (Table.ENROLMENT, "role", "ELEV", "learner"),
        (Table.ENROLMENT, "role", "teacher", "teacher"),
    ],
)
def test_a_mapping_maps_values_and_still_knows_our_own(table: Table, column: str, value: Any, read: Any) -> None:
    assert MAPPED.read(table, column, value) == read


@pytest.mark.parametrize(
    ("table", "column", "value", "reason"),
    [
        (Table.PERSON, "protected", "X", "unknown_word"),
        (Table.PERSON, "protected", "*", "impossible_value"),
        (Table.ENROLMENT, "role", "LÆRER", "unknown_word"),
        (Table.ENROLMENT, "role", "*", "unknown_word"),
        (Table.ENROLMENT, "status", None, "impossible_value"),
        (Table.ENROLMENT, "status", "", "unknown_word"),
        (Table.ENROLMENT, "role", ["ELEV"], "impossible_value"),
    ],
)
def test_a_value_that_no_list_has_is_refused(table: Table, column: str, value: Any, reason: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        MAPPED.read(table, column, value)
    assert caught.value.reason == reason


def test_a_constant_stands_for_a_missing_column_in_rows_and_deletes() -> None:
    change = MAPPED.fact_change("person", after={"id": 5, "protected": "J"}, key={}, sparse=True)
    assert (change.key, change.values) == (FactKey(7, 5), {"owner_id": 7, "id": 5, "protected": True})
    assert MAPPED.fact_change("person", after=None, key={"id": 5}).key == FactKey(7, 5)
    assert MAPPED.row_key("person", {"id": "5"}) == (Table.PERSON, FactKey(7, 5))


def test_the_digest_is_that_of_what_a_mapping_says() -> None:
    named = parse_mapping('[person]\ncolumns = { given_name = "given_name" }\ntable = "person"')
    assert named.digest == REFERENCE_MAPPING.digest
    others = {
        "[person]\ntable = 'elev'",
        "[person]\nconstants.owner_id = 1",
        "[person]\nvalues.protected = { J = true }",
    }
    assert len({REFERENCE_MAPPING.digest, *(parse_mapping(text).digest for text in others)}) == 4


@given(
    table=st.sampled_from([table.value for table in Table]), column=st.integers(0, 20), value=st.text() | st.integers()
)
def test_a_row_is_read_alike_fast_and_slowly(table: str, column: int, value: Any) -> None:
    """Compare a whole row with the same row when another of its columns is written in an unusual way."""
    names = list(MAPPED.columns(Table(table)))
    name = names[column % len(names)]
    try:
        expected = MAPPED.read(Table(table), name, value)
    except BadMessageError:
        return
    for reading in (MAPPED._readers[Table(table)],):
        fast = next(read for ours, _, _, read in reading if ours == name)
        with suppress(ValueError):
            assert fast(value) == expected


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
