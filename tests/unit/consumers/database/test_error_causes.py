"""Which errors of the state database a row has caused, and which another try can change."""

from collections import defaultdict

import psycopg
import pytest

from consumers.database.error_causes import Cause, cause_of, refusal

ROW = {"02", "09", "0Z", "20", "21", "22", "23", "27", "2F", "38", "39", "3B", "44", "54", "P0", "XX"}
OUTAGE = {"08", "0A", "28", "40", "53", "55", "57", "58", "72", "F0", "HV"}
DEFECT = {"03", "0B", "0F", "0L", "0P", "10", "24", "25", "26", "2B", "2D", "34", "3D", "3F", "42"}
EXCEPTIONS = {
    "25006": Cause.OUTAGE,
    "25P03": Cause.OUTAGE,
    "25P04": Cause.OUTAGE,
    "XX001": Cause.DEFECT,
    "XX002": Cause.DEFECT,
}

BY_CLASS: defaultdict[str, list[type[psycopg.Error]]] = defaultdict(list)
for kind in vars(psycopg.errors).values():
    if isinstance(kind, type) and isinstance(state := getattr(kind, "sqlstate", None), str):
        BY_CLASS[state[:2]].append(kind)


@pytest.mark.parametrize("sqlstate_class", sorted(BY_CLASS))
def test_every_class_of_sqlstate_has_the_expected_cause(sqlstate_class: str) -> None:
    expected = next(
        cause
        for cause, classes in ((Cause.ROW, ROW), (Cause.OUTAGE, OUTAGE), (Cause.DEFECT, DEFECT))
        if sqlstate_class in classes
    )
    for kind in BY_CLASS[sqlstate_class]:
        assert cause_of(kind()) is EXCEPTIONS.get(str(kind.sqlstate), expected), kind.__name__


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.OperationalError("server closed the connection"), Cause.OUTAGE),
        (psycopg.InterfaceError("the connection is closed"), Cause.OUTAGE),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL"), Cause.ROW),
        (psycopg.ProgrammingError("the query has 1 placeholder but 2 parameters were passed"), Cause.DEFECT),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), Cause.ROW),
        (ValueError("year is out of range"), Cause.ROW),
        (OverflowError("int too big to convert"), Cause.ROW),
        (AttributeError("no such attribute"), Cause.DEFECT),
        (MemoryError(), Cause.DEFECT),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_without_a_code_has_the_expected_cause(error: Exception, expected: Cause) -> None:
    assert cause_of(error) is expected


def test_a_refusal_names_no_value() -> None:
    assert refusal(psycopg.errors.ProgramLimitExceeded("index row size 2712 of 31129956715")) == (
        "PostgreSQL refused it: 54000"
    )
    assert refusal(UnicodeEncodeError("utf-8", "Testesen\ud800", 8, 9, "no")).endswith(": UnicodeEncodeError")
