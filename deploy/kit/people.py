"""Builders for the rows of the conformance kit: each case states only the columns that it is about.

National ids are of the synthetic series, organisation numbers of a series that is not assigned.
"""

from datetime import date
from typing import Any, Final

from deploy.demo.synthetic_ids import SyntheticIds
from ims.identifiers.national_id import NationalId
from ims.source.facts import CourseGroup, Employee, Enrolment, Owner, Person, School

FJORDLIA: Final = Owner(1, "310000000", "Fjordlia kommune")
NORDLIA: Final = Owner(2, "310000116", "Nordlia kommune")

_IDS: Final = SyntheticIds()
BIRTH_NUMBERS: Final = [_IDS.birth_number(date(1990, 1, 1 + number)) for number in range(25)]
"""Fødselsnummer, one for each running number."""
D_NUMBER: Final = _IDS.d_number(date(1985, 5, 5))
SECOND_D_NUMBER: Final = _IDS.d_number(date(1986, 6, 6))
DUF_NUMBER: Final = _IDS.duf_number(2)
WRONG_DUF_NUMBER: Final = f"{DUF_NUMBER[:-1]}{(int(DUF_NUMBER[-1]) + 1) % 10}"
WRONG_NUMBER: Final = f"{BIRTH_NUMBERS[5][:-1]}{(int(BIRTH_NUMBERS[5][-1]) + 1) % 10}"

FIRST_DAY: Final = date(2026, 8, 17)
LONG_AGO: Final = date(2026, 6, 1)


def school(id_: int, name: str, school_no: str | None, owner: int = 1) -> School:
    """Return a school."""
    return School(owner, id_, school_no, None, name)


def person(id_: int, given_name: str, family_name: str, **changes: Any) -> Person:  # noqa: ANN401 - a row's columns
    """Return a person with a fødselsnummer, an e-mail address and a Feide name; *national_id* may be given as text."""
    usual: dict[str, Any] = {
        "owner_id": 1,
        "national_id": BIRTH_NUMBERS[id_],
        "birth_date": None,
        "email": f"person{id_}@fjordlia.example",
        "mobile": None,
        "feide_name": f"p{id_}@fjordlia.example",
        "protected": False,
    }
    columns = usual | changes
    if columns["national_id"] is not None:
        columns["national_id"] = NationalId(columns["national_id"])
    return Person(id=id_, given_name=given_name, family_name=family_name, **columns)


def employee(id_: int, person_id: int, school_id: int = 1, kind: str = "teacher", *, active: bool = True) -> Employee:
    """Return an employment, a teacher's unless *kind* is given."""
    return Employee(1, id_, person_id, school_id, kind, active)


def group(id_: int, name: str, **changes: Any) -> CourseGroup:  # noqa: ANN401 - a row's columns
    """Return an active class at school 1, without dates."""
    usual: dict[str, Any] = {
        "owner_id": 1,
        "school_id": 1,
        "code": f"K{id_}",
        "programme": "norsk",
        "kind": "class",
        "starts_on": None,
        "ends_on": None,
        "active": True,
    }
    return CourseGroup(id=id_, name=name, **usual | changes)


def enrolment(id_: int, person_id: int, group_id: int, role: str = "learner", **changes: Any) -> Enrolment:  # noqa: ANN401 - a row's columns
    """Return an active enrolment that began long ago and has no end."""
    usual: dict[str, Any] = {"owner_id": 1, "starts_on": LONG_AGO, "ends_on": None, "status": "active"}
    return Enrolment(id=id_, person_id=person_id, group_id=group_id, role=role, **usual | changes)
