"""Random facts and settings of one owner, most of which lead to records."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from ims.source.facts import Fact
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_d_number,
    a_duf_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
    facts_of,
)

VALID = {a_birth_number(1), a_birth_number(2), a_d_number(1), a_duf_number(1)}
MISTYPED_DUF = f"{a_duf_number(2)[:-1]}{(int(a_duf_number(2)[-1]) + 1) % 10}"
DAYS = st.sampled_from([TODAY + timedelta(days=days) for days in (0, 0, 0, -3, -2, -1, 1, 2, 3)])


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Draw the usual value far more often than the others, so that many of the facts lead to records."""
    return st.sampled_from([usual] * (12 * len(others)) + list(others))


def some(make: Callable[..., Fact], count: int, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Fact]]:
    """Draw the facts with the ids 1 to *count*, perhaps without one of them."""
    all_of_them = st.tuples(*(st.builds(make, id=st.just(id_), **fields) for id_ in range(1, count + 1)))
    missing = st.sampled_from([set[int]()] * 4 + [{id_} for id_ in range(1, count + 1)])
    return st.builds(lambda facts, gone: [fact for fact in facts if fact.id not in gone], all_of_them, missing)


def near(usual: date | None) -> st.SearchStrategy[date | None]:
    """Draw the usual date as often as one of the dates around today."""
    around = [TODAY + timedelta(days=days) for days in range(-4, 5)]
    return st.sampled_from([usual] * len(around) + around)


LOGINS = ["ada@x", "bo@x", "åse&co@x", "di@x"]
"""Fewer than persons, so that some persons have the same."""
OWNERS = st.builds(an_owner, orgnr=mostly(ORGNR, None, ""))
SCHOOLS = some(a_school, 2, school_no=st.sampled_from(["NO1", "NO1", "NO2", "NO2", " NO2 ", None, " ", "9" * 40]))
PERSONS = some(
    a_person,
    5,
    national_id=st.sampled_from([*sorted(VALID), *sorted(VALID), MISTYPED_DUF, None, "", "12345678901"]),
    given_name=mostly("Ada", ""),
    family_name=mostly("Testesen", " "),
    protected=mostly(False, True),
    feide_name=st.sampled_from([*LOGINS, None]),
)
EMPLOYEES = some(
    an_employee,
    3,
    person=st.integers(1, 5),
    school=st.integers(1, 2),
    kind=mostly("teacher", "case_worker", "other"),
    active=mostly(True, False),
)
GROUPS = some(
    a_group,
    3,
    school=st.integers(1, 2),
    code=st.sampled_from(["8A", "8B", " 8B", "8C", "8D", "", "school-NO1", "x" * 101]),
    programme=st.sampled_from(["norsk", "grunnskole", "grunnskole"]),
    kind=st.sampled_from(["class", "class", "subject", "Choir "]),
    starts_on=near(None),
    ends_on=near(None),
    active=mostly(True, False),
)
ENROLMENTS = some(
    an_enrolment,
    10,
    person=st.integers(1, 5),
    group=st.integers(1, 3),
    role=st.sampled_from(["learner", "learner", "teacher"]),
    starts_on=near(TODAY - timedelta(days=30)),
    ends_on=near(None),
    status=mostly("active", "ended"),
)
FACTS = st.builds(
    lambda owner, *tables: facts_of(owner, *(fact for table in tables for fact in table)),
    OWNERS,
    SCHOOLS,
    PERSONS,
    EMPLOYEES,
    GROUPS,
    ENROLMENTS,
)
TARGETS = st.builds(
    a_target,
    enabled=mostly(True, False),
    include_without_national_id=st.booleans(),
    person_id=st.sampled_from(["national", "national", "running"]),
    group_id=st.sampled_from(["group-{id}", "{code}"]),
    scope=st.sampled_from(["all", "all", "grunnskole"]),
    excluded_kinds=mostly((), ("choir",), ("class", "subject")),
    excluded_groups=mostly((), (1,), (2, 3)),
    lead_days=st.integers(0, 3),
    grace_days=st.integers(0, 3),
    org_groups=st.booleans(),
    dialect=mostly("ims", "pifu"),
    duf_check=st.sampled_from(["warn", "refuse"]),
)
