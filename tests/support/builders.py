"""Readable test data: facts of one owner, with synthetic numbers only, and change events of Debezium.

>>> facts = facts_of(a_person(7), a_group(8), an_enrolment(9, person=7, group=8))
>>> facts.persons[7].given_name, facts.groups[8].school_id, sorted(facts.schools)
('Ada', 1, [1])
"""

import json
from datetime import date
from functools import cache
from typing import Any

from stdnum.no.fodselsnummer import calc_check_digit1, calc_check_digit2

from ims.identifiers.national_id import NationalId
from ims.source.facts import CourseGroup, Employee, Enrolment, Fact, Facts, Owner, Person, School
from ims.targets.target_settings import TargetSettings

ORGNR = "100000008"
"""Of no organisation: issued numbers begin with 8 or 9."""

TODAY = date(2026, 10, 15)
"""A day on which every enrolment and group built here is within its dates."""


def a_birth_number(serial: int = 0) -> str:
    """Return a synthetic fødselsnummer (month + 80) with correct control digits; one for each serial from 0 to 499."""
    return _numbers("0181")[serial]


def a_d_number(serial: int = 0) -> str:
    """Return a synthetic D-number (day + 40, month + 80); one for each serial from 0 to 499."""
    return _numbers("4181")[serial]


def a_duf_number(serial: int = 0) -> str:
    """Return a DUF number registered in 2099, which no person has; one for each serial."""
    digits = f"2099{serial:06}"
    weights = (4, 6, 3, 2, 4, 6, 3, 2, 7, 5)
    return f"{digits}{sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True)) % 11:02}"


@cache
def _numbers(day_and_month: str) -> list[str]:
    return [
        f"{nine}{first}{second}"
        for year in (90, 91)
        for individual in range(500)
        if len(first := calc_check_digit1(nine := f"{day_and_month}{year}{individual:03}")) == 1
        if len(second := calc_check_digit2(nine + first)) == 1
    ]


def an_owner(**changes: Any) -> Owner:
    """Return an owner with an organisation number."""
    usual: dict[str, Any] = {"owner_id": 1, "orgnr": ORGNR, "name": "Fjordvik kommune"}
    return Owner(**usual | changes)


def a_school(id: int = 1, **changes: Any) -> School:  # noqa: A002 - the fact's own word
    """Return a school with a school number."""
    usual: dict[str, Any] = {
        "owner_id": 1,
        "id": id,
        "school_no": f"NO{id}",
        "orgnr": None,
        "name": "Fjordvik voksenopplæring",
    }
    return School(**usual | changes)


def a_person(id: int = 1, **changes: Any) -> Person:  # noqa: A002 - the fact's own word
    """Return a person with a complete name and a valid synthetic national id; *national_id* may be given as text."""
    usual: dict[str, Any] = {
        "owner_id": 1,
        "id": id,
        "national_id": a_birth_number(id % 500),
        "given_name": "Ada",
        "family_name": f"Testesen {id}",
        "birth_date": None,
        "email": f"ada{id}@example.org",
        "mobile": None,
        "feide_name": f"ada{id}@fjordvik.example",
        "protected": False,
    }
    fields = usual | changes
    if isinstance(fields["national_id"], str):
        fields["national_id"] = NationalId(fields["national_id"])
    return Person(**fields)


def an_employee(id: int = 1, *, person: int = 1, school: int = 1, **changes: Any) -> Employee:  # noqa: A002 - the fact's own word
    """Return an active teacher."""
    usual: dict[str, Any] = {
        "owner_id": 1,
        "id": id,
        "person_id": person,
        "school_id": school,
        "kind": "teacher",
        "active": True,
    }
    return Employee(**usual | changes)


def a_group(id: int = 1, *, school: int = 1, **changes: Any) -> CourseGroup:  # noqa: A002 - the fact's own word
    """Return an active group without dates."""
    usual: dict[str, Any] = {
        "owner_id": 1,
        "id": id,
        "school_id": school,
        "code": f"B{id}",
        "name": f"Norsk B{id}",
        "programme": "norsk",
        "kind": "class",
        "starts_on": None,
        "ends_on": None,
        "active": True,
    }
    return CourseGroup(**usual | changes)


def an_enrolment(id: int = 1, *, person: int = 1, group: int = 1, **changes: Any) -> Enrolment:  # noqa: A002 - the fact's own word
    """Return an active enrolment as learner from 1 August 2026 without end."""
    usual: dict[str, Any] = {
        "owner_id": 1,
        "id": id,
        "person_id": person,
        "group_id": group,
        "role": "learner",
        "starts_on": date(2026, 8, 1),
        "ends_on": None,
        "status": "active",
    }
    return Enrolment(**usual | changes)


def facts_of(*facts: Fact) -> Facts:
    """Return the facts in their tables, with an owner and a school 1 unless others are given."""
    owners = [fact for fact in facts if isinstance(fact, Owner)]
    schools = {fact.id: fact for fact in facts if isinstance(fact, School)}
    return Facts(
        owner=owners[0] if owners else an_owner(),
        schools=schools or {1: a_school(1)},
        persons={fact.id: fact for fact in facts if isinstance(fact, Person)},
        employees={fact.id: fact for fact in facts if isinstance(fact, Employee)},
        groups={fact.id: fact for fact in facts if isinstance(fact, CourseGroup)},
        enrolments={fact.id: fact for fact in facts if isinstance(fact, Enrolment)},
    )


def a_target(**changes: Any) -> TargetSettings:
    """Return settings of an enabled target that accepts synthetic numbers."""
    usual: dict[str, Any] = {
        "name": "lms",
        "owner": 1,
        "enabled": True,
        "accept_initial": True,
        "allow_test_numbers": True,
    }
    return TargetSettings(**usual | changes)


def a_debezium_event(op: str, *, wrapped: bool = False, **changes: Any) -> bytes:
    """Return a change event of our table ``person`` as in the documentation of Debezium's connector for PostgreSQL.

    Args:
        op: c, u, d, r, t or m.
        wrapped: with schemas: ``{"schema": ..., "payload": ...}``.
        changes: other values of the envelope; of ``source`` only those that differ.
    """
    source: dict[str, Any] = {
        "version": "3.6.0.Final",
        "connector": "postgresql",
        "name": "school",
        "ts_ms": 1559033904863,
        "ts_us": 1559033904863123,
        "ts_ns": 1559033904863123000,
        "snapshot": "false",
        "db": "school",
        "sequence": '["24023119","24023128"]',
        "schema": "public",
        "table": "person",
        "txId": 555,
        "lsn": 24023128,
        "xmin": None,
    }
    source |= changes.pop("source", {})
    usual = {"before": None, "after": None, "source": source, "op": op, "ts_ms": 1559033904900, "transaction": None}
    event = usual | changes
    return json.dumps(
        {"schema": {"type": "struct", "optional": False}, "payload": event} if wrapped else event
    ).encode()
