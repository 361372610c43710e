"""A synthetic school owner with 2,000 persons, of every kind that the export must distinguish. None of them exists.

The same day and seed give the same rows. A row's running number decides which case the row represents, and chance
decides names and dates; so every case is present with every seed.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from deploy.demo.names import NAMES
from deploy.demo.synthetic_ids import SyntheticIds
from ims.identifiers.national_id import NationalId
from ims.source.facts import CourseGroup, Employee, Enrolment, Fact, Owner, Person, School, Table

OWNER: Final = 1
PERSONS: Final = 2000
EMPLOYEES: Final = 150
"""Persons up to this running number are employees, the others are learners."""
GROUPS: Final = 120
NO_SUCH_SCHOOL: Final = 99

# A synthetic municipality, with organisation numbers of a series that is not assigned.
_OWNER: Final = Owner(OWNER, "310000000", "Fjordlia kommune")
_SCHOOLS: Final = (
    School(OWNER, 1, "90001", "310000019", "Fjordlia voksenopplæringssenter"),
    School(OWNER, 2, "90002", "310000027", "Nordlia voksenopplæringssenter"),
    School(OWNER, 3, "90003", "310000035", "Øylia voksenopplæringssenter"),
    School(OWNER, 4, None, "310000043", "Øylia voksenopplæring, avdeling Ytterholmen"),
)
_PROGRAMMES: Final = ("norsk", "norsk", "grunnskole", "norsk", "videregaende", "annet")
_TITLES: Final = {"norsk": "Norsk", "grunnskole": "Grunnskole", "videregaende": "Videregående", "annet": "Samtale"}
_FIRST_BIRTH: Final = date(1955, 1, 1)
_LAST_BIRTH: Final = date(2007, 12, 31)
_DAY: Final = timedelta(days=1)


class DemoRoster(msgspec.Struct, frozen=True):
    """The rows of the six tables of the reference source schema."""

    owner: Owner
    schools: Sequence[School]
    persons: Sequence[Person]
    employees: Sequence[Employee]
    groups: Sequence[CourseGroup]
    enrolments: Sequence[Enrolment]

    def tables(self) -> dict[Table, Sequence[Fact]]:
        """Return the rows by table; a table comes after those to which its rows refer."""
        return {
            Table.OWNER: [self.owner],
            Table.SCHOOL: self.schools,
            Table.PERSON: self.persons,
            Table.EMPLOYEE: self.employees,
            Table.COURSE_GROUP: self.groups,
            Table.ENROLMENT: self.enrolments,
        }


def synthetic_owner(today: date, seed: int = 1) -> DemoRoster:
    """Return the synthetic owner as of a day.

    Args:
        today: the day; groups and enrolments begin and end around it.
        seed: decides names, dates and the groups of each person.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing secret is generated
    groups = [_group(number, today, chance) for number in range(1, GROUPS + 1)]
    return DemoRoster(
        owner=_OWNER,
        schools=_SCHOOLS,
        persons=list(_persons(chance)),
        employees=[_employee(number) for number in range(1, EMPLOYEES + 1)],
        groups=groups,
        enrolments=list(_enrolments(today, groups, chance)),
    )


def load(connection: psycopg.Connection[Any], roster: DemoRoster) -> None:
    """Copy the rows into the reference schema's empty tables; the caller commits."""
    with connection.cursor() as cursor:
        for table, rows in roster.tables().items():
            columns = [sql.Identifier(name) for name in rows[0].__struct_fields__]
            statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), sql.SQL(", ").join(columns))
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row([_stored(value) for value in msgspec.structs.astuple(row)])


def _every(count: int, number: int, *, first: int) -> bool:
    return number % count == first


def _stored(value: object) -> object:
    return value.reveal() if isinstance(value, NationalId) else value


def _persons(chance: random.Random) -> Iterator[Person]:
    ids = SyntheticIds()
    for number in range(1, PERSONS + 1):
        given_name, family_name = (chance.choice(words) for words in chance.choice(NAMES))
        born = _FIRST_BIRTH + chance.randrange((_LAST_BIRTH - _FIRST_BIRTH).days + 1) * _DAY
        national_id = _national_id(number, born, ids)
        address = f"person{number}@fjordlia.example"
        yield Person(
            owner_id=OWNER,
            id=number,
            national_id=NationalId(national_id) if national_id else None,
            given_name="" if _every(400, number, first=211) else given_name,
            family_name=family_name,
            birth_date=None if _every(80, number, first=41) else born,
            email=None if _every(20, number, first=6) else address,
            mobile=None if _every(3, number, first=0) else f"+4700{number:06}",
            feide_name=None if _every(25, number, first=6) else address,
            protected=_every(150, number, first=77),
        )


def _national_id(number: int, born: date, ids: SyntheticIds) -> str | None:
    """Return the person's national id.

    Of a hundred persons, 74 have a fødselsnummer, 10 a D-number, 10 a DUF number, 4 none, and 2 an invalid one.
    """
    case = number % 100
    if case in range(10, 20):
        return ids.d_number(born)
    if case in range(30, 40):
        return ids.duf_number(number)
    if case in range(50, 54):
        return None
    valid = ids.birth_number(born)
    return _with_wrong_control_digit(valid) if case in range(70, 72) else valid


def _with_wrong_control_digit(number: str) -> str:
    return f"{number[:-1]}{(int(number[-1]) + 1) % 10}"


def _employee(number: int) -> Employee:
    kind = {7: "case_worker", 8: "other"}.get(number % 15, "teacher")
    return Employee(
        OWNER, number, person_id=number, school_id=1 + number % 4, kind=kind, active=not _every(12, number, first=5)
    )


def _group(number: int, today: date, chance: random.Random) -> CourseGroup:
    programme = _PROGRAMMES[number % len(_PROGRAMMES)]
    starts_on, ends_on = _group_dates(number, today, chance)
    return CourseGroup(
        owner_id=OWNER,
        id=number,
        school_id={60: NO_SUCH_SCHOOL, 61: 4, 62: 4}.get(number, 1 + number % 3),
        code=f"{programme[:2].upper()}{number:03}",
        name="Norsk & samfunnskunnskap" if number == 1 else f"{_TITLES[programme]} {chance.choice('ABCD')}{number}",
        programme=programme,
        kind="subject" if number % 5 == 0 else "class",
        starts_on=starts_on,
        ends_on=ends_on,
        active=not _every(30, number, first=4),
    )


def _group_dates(number: int, today: date, chance: random.Random) -> tuple[date | None, date | None]:
    """Return first and last day: of twenty groups one has ended, one has not begun, and two lack one of the days."""
    began, ends = today - chance.randrange(30, 120) * _DAY, today + chance.randrange(30, 200) * _DAY
    match number % 20:
        case 7:
            return began - 200 * _DAY, began
        case 8:
            return ends, ends + 200 * _DAY
        case 9:
            return None, ends
        case 10:
            return began, None
        case _:
            return began, ends


def _enrolments(today: date, groups: Sequence[CourseGroup], chance: random.Random) -> Iterator[Enrolment]:
    last = 0
    for person in range(1, PERSONS + 1):
        for group in _groups_of(person, groups, chance):
            last += 1
            yield _enrolment(last, person, group, today, chance)


def _groups_of(person: int, groups: Sequence[CourseGroup], chance: random.Random) -> Sequence[CourseGroup]:
    """Return the person's groups: none for one of a hundred, the same one twice for another, else up to three."""
    if _every(100, person, first=17):
        return []
    if _every(100, person, first=18):
        return [chance.choice(groups)] * 2
    return chance.sample(groups, 1 + person % 3)


def _enrolment(number: int, person: int, group: CourseGroup, today: date, chance: random.Random) -> Enrolment:
    began, ends = today - chance.randrange(1, 60) * _DAY, today + chance.randrange(1, 200) * _DAY
    starts_on, ends_on = {
        1: (began, today - _DAY),
        2: (began, today),
        3: (today + _DAY, ends),
        4: (today, None),
        5: (began, ends),
    }.get(person % 40, (began, None))
    return Enrolment(
        owner_id=OWNER,
        id=number,
        person_id=person,
        group_id=group.id,
        role="teacher" if person <= EMPLOYEES and not _every(50, person, first=25) else "learner",
        starts_on=starts_on,
        ends_on=ends_on,
        status="withdrawn" if _every(40, person, first=9) else "active",
    )
