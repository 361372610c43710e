"""A made-up school owner of any size in a source database, with only exported persons: the same rows every time.

>>> numbers = list(itertools.islice(birth_numbers(), 2000))
>>> len(set(numbers)), {number[2] for number in numbers}
(2000, {'8'})
"""

import itertools
import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from stdnum.no.fodselsnummer import calc_check_digit1, calc_check_digit2

from deploy.demo.names import NAMES
from deploy.demo.synthetic_ids import MONTH_OF_A_TEST_NUMBER
from tests.support.builders import ORGNR

MEMBERSHIPS: Final = 3
"""Memberships of each person."""
_GROUP_SIZE: Final = 20
_PERSONS_OF_A_SCHOOL: Final = 1_000
_PERSONS_OF_A_TEACHER: Final = 20
_FIRST_BIRTH: Final = date(1940, 1, 1)
_BORN_BEFORE_2000: Final = range(500)

Row = tuple[Any, ...]


class Population(msgspec.Struct, frozen=True):
    """The number of rows of each kind.

    Args:
        persons: every twentieth teaches; each is in three groups of twenty.
    """

    persons: int

    @property
    def groups(self) -> int:
        """The number of course groups."""
        return max(MEMBERSHIPS, self.persons * MEMBERSHIPS // _GROUP_SIZE)

    @property
    def schools(self) -> int:
        """The number of schools."""
        return max(1, self.persons // _PERSONS_OF_A_SCHOOL)

    @property
    def teachers(self) -> int:
        """The number of teachers: the persons with the first running numbers."""
        return max(1, self.persons // _PERSONS_OF_A_TEACHER)

    @property
    def enrolments(self) -> int:
        """The number of enrolments, each of which is published as a membership."""
        return self.persons * MEMBERSHIPS

    @property
    def rows(self) -> int:
        """The number of rows of all six tables."""
        return 1 + self.schools + self.persons + self.teachers + self.groups + self.enrolments

    def tables(self) -> dict[str, tuple[str, Iterable[Row]]]:
        """Return the columns and the rows of each table of the reference schema."""
        return {
            "owner": ("owner_id, orgnr, name", [(1, ORGNR, "Fjordvik kommune")]),
            "school": ("owner_id, id, school_no, name", self._schools()),
            "person": (
                "owner_id, id, national_id, given_name, family_name, birth_date, email, feide_name",
                _persons(self.persons),
            ),
            "employee": ("owner_id, id, person_id, school_id, kind", self._employees()),
            "course_group": (
                "owner_id, id, school_id, code, name, programme, kind, starts_on, ends_on",
                self._groups(),
            ),
            "enrolment": ("owner_id, id, person_id, group_id, role, starts_on", self._enrolments()),
        }

    def _schools(self) -> Iterator[Row]:
        for number in range(1, self.schools + 1):
            yield 1, number, f"{90_000 + number}", f"Fjordvik voksenopplæringssenter {number}"

    def _employees(self) -> Iterator[Row]:
        for number in range(1, self.teachers + 1):
            yield 1, number, number, 1 + number % self.schools, "teacher"

    def _groups(self) -> Iterator[Row]:
        for number in range(1, self.groups + 1):
            school = 1 + number % self.schools
            yield 1, number, school, f"NO{number}", f"Norsk {number}", "norsk", "class", "2026-08-17", "2099-06-18"

    def _enrolments(self) -> Iterator[Row]:
        chance, groups, numbers = random.Random(1), range(1, self.groups + 1), itertools.count(1)
        for person in range(1, self.persons + 1):
            role = "teacher" if person <= self.teachers else "learner"
            for group in chance.sample(groups, MEMBERSHIPS):
                yield 1, next(numbers), person, group, role, "2026-08-17"


def fill(source: psycopg.Connection[Any], population: Population) -> None:
    """Copy the rows into the reference schema's empty tables, and update the planner's statistics."""
    with source.transaction(), source.cursor() as cursor:
        for table, (columns, rows) in population.tables().items():
            statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), sql.SQL(columns))
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
    source.execute("analyze")


def birth_numbers() -> Iterator[str]:
    """Yield different synthetic fødselsnummer (month + 80) with correct control digits."""
    for days in itertools.count():
        born = _FIRST_BIRTH + timedelta(days)
        for individual in _BORN_BEFORE_2000:
            nine = f"{born.day:02}{born.month + MONTH_OF_A_TEST_NUMBER}{born.year % 100:02}{individual:03}"
            number = nine + (first := calc_check_digit1(nine)) + calc_check_digit2(nine + first)
            # A control digit of 10 would give twelve digits: such a number is not issued.
            if len(number) == 11:
                yield number


def _persons(persons: int) -> Iterator[Row]:
    chance = random.Random(1)
    for number, national_id in zip(range(1, persons + 1), birth_numbers(), strict=False):
        given_name, family_name = (chance.choice(words) for words in chance.choice(NAMES))
        address = f"person{number}@fjordvik.example"
        born = f"19{national_id[4:6]}-{int(national_id[2:4]) - MONTH_OF_A_TEST_NUMBER:02}-{national_id[:2]}"
        yield 1, number, national_id, given_name, family_name, born, address, address
