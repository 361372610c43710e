"""The facts: what the administration system says, table by table, as stored in the state database.

Facts are stored as they arrive. A reference may point to a row that has not arrived yet, a name may be incomplete,
dates may contradict each other: :mod:`ims.rules` decides later whether a fact leads to a record in a feed.

All dates are Norwegian calendar dates, both ends inclusive; ``None`` means "no limit". Ids are unique per owner.
"""

from datetime import date
from enum import StrEnum

import msgspec

from ims.identifiers.national_id import NationalId


class Table(StrEnum):
    """The tables of the reference source schema, in an order in which references point to earlier tables."""

    OWNER = "owner"
    SCHOOL = "school"
    PERSON = "person"
    EMPLOYEE = "employee"
    COURSE_GROUP = "course_group"
    ENROLMENT = "enrolment"


class Owner(msgspec.Struct, frozen=True, gc=False):
    """A school owner (skoleeier): a municipality or county with its organisation number."""

    owner_id: int
    orgnr: str | None
    name: str


class School(msgspec.Struct, frozen=True, gc=False):
    """An adult-education centre of an owner."""

    owner_id: int
    id: int
    school_no: str | None
    orgnr: str | None
    name: str


class Person(msgspec.Struct, frozen=True, gc=False):
    """A person at an owner, in any role. ``id`` is the running number (løpenummer)."""

    owner_id: int
    id: int
    national_id: NationalId | None
    given_name: str
    family_name: str
    birth_date: date | None
    email: str | None
    mobile: str | None
    feide_name: str | None
    protected: bool


class Employee(msgspec.Struct, frozen=True, gc=False):
    """A person's employment at a school. ``kind`` is ``teacher``, ``case_worker`` or ``other``."""

    owner_id: int
    id: int
    person_id: int
    school_id: int
    kind: str
    active: bool


class CourseGroup(msgspec.Struct, frozen=True, gc=False):
    """A class or subject group. ``programme`` is ``grunnskole``, ``norsk``, ``videregaende`` or ``annet``."""

    owner_id: int
    id: int
    school_id: int
    code: str
    name: str
    programme: str
    kind: str
    starts_on: date | None
    ends_on: date | None
    active: bool


class Enrolment(msgspec.Struct, frozen=True, gc=False):
    """A person in a group as ``learner`` or ``teacher``; any ``status`` but ``active`` does not count.

    The words of each column are listed in :mod:`ims.source.words`.
    """

    owner_id: int
    id: int
    person_id: int
    group_id: int
    role: str
    starts_on: date
    ends_on: date | None
    status: str


Fact = Owner | School | Person | Employee | CourseGroup | Enrolment

FACT_TYPES: dict[Table, type[Fact]] = {
    Table.OWNER: Owner,
    Table.SCHOOL: School,
    Table.PERSON: Person,
    Table.EMPLOYEE: Employee,
    Table.COURSE_GROUP: CourseGroup,
    Table.ENROLMENT: Enrolment,
}


class Facts(msgspec.Struct, frozen=True):
    """The facts of one owner that affect some of its persons and groups, each table keyed by id.

    ``owner`` is ``None`` until its row has arrived. For every person in ``persons`` all employees and enrolments are
    here, and every group and school that those refer to, as far as they exist.

    ``suppressed`` and ``leave_now`` are the persons for whom an operator has ordered it in an emergency
    (:mod:`ims.rules.overrides`): of the persons asked for, whether or not they are in ``persons``.
    """

    owner: Owner | None
    schools: dict[int, School]
    persons: dict[int, Person]
    employees: dict[int, Employee]
    groups: dict[int, CourseGroup]
    enrolments: dict[int, Enrolment]
    suppressed: frozenset[int] = frozenset()
    leave_now: frozenset[int] = frozenset()
