"""The case workers of a schedule: transactions of one or several owners in the source, chosen by the seed.

Watched persons (P1, P2 ...) have a growing version in their family name and are in exactly one home group, or removed;
each of their changes is one transaction, mostly of several rows. All other rows change at random, with shared national
ids, dates, and references to missing rows.
"""

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from ims.identifiers.national_id import NationalId
from ims.source.facts import Enrolment, Fact, Person, Table
from tests.simulation.pipeline.source import HOME_GROUPS, Source, Written, key_of
from tests.support.builders import (
    a_birth_number,
    a_duf_number,
    a_group,
    a_person,
    a_school,
    an_employee,
    an_enrolment,
    an_owner,
)

OWNERS = (1, 2)
ORGNRS = {1: "100000008", 2: "100000016"}
WATCHED = (1, 2, 3)
OTHERS = (901, 902, 903)
EXTRA_GROUP = 3


class Plan(NamedTuple):
    """The rows that a transaction writes, and the locks that it holds until it ends."""

    what: str
    locks: frozenset[str]
    rows: list[Written]


class Administration:
    """The planning of transactions against the committed rows of *source*.

    Attributes:
        renumbers: whether running numbers change in this schedule, or national ids. A person who changes both in one
            step is another person to an importer, and may come a moment after the first one has left.
    """

    def __init__(self, source: Source, chance: random.Random) -> None:
        self._source = source
        self._chance = chance
        self._serial = 100
        self._known: dict[str, Person] = {}
        self.renumbers = chance.random() < 0.5

    def first_rows(self, today: date) -> list[Written]:
        """Return the rows that exist before imsfeed starts; one enrolment ends today."""
        rows: list[Fact] = []
        for owner in OWNERS:
            rows += [an_owner(owner_id=owner, orgnr=ORGNRS[owner]), a_school(1, owner_id=owner)]
            rows += [a_group(id_, owner_id=owner, name=f"G{id_} v0") for id_ in (*HOME_GROUPS, EXTRA_GROUP)]
            rows += [a_person(id_, owner_id=owner, given_name="Ada") for id_ in OTHERS[:2]]
            rows += [an_employee(1, person=OTHERS[0], owner_id=owner)]
            rows += [an_enrolment(2, person=OTHERS[1], group=EXTRA_GROUP, owner_id=owner, ends_on=today)]
        written = [Written(None, row) for row in rows]
        for watched in WATCHED:
            written += self._arrive(watched).rows
        return written

    def plan(self, today: date, locked: set[str]) -> Plan | None:
        """Return a random transaction, or ``None`` if it would have to wait for an open one."""
        chance = self._chance
        makers: list[Callable[[], Plan]] = [
            lambda: self._watched(chance.choice(WATCHED)),
            lambda: self._two(*chance.sample(WATCHED, 2)),
            lambda: self._other(today),
            self._home_group,
            self._above,
        ]
        plan = chance.choices(makers, (10, 3, 6, 1, 1))[0]()
        if chance.random() < 0.3:
            plan = self._mixed(plan, self._other(today))
        return plan if plan.rows and not plan.locks & locked else None

    def _watched(self, watched: int) -> Plan:
        person, enrolment = self._person(watched), self._enrolment(watched)
        if person is None or enrolment is None:
            return self._arrive(watched)
        makers = (
            self._move,
            self._move,
            self._transfer,
            self._rename,
            self._leave,
            self._new_number if self.renumbers else self._new_national_id,
            self._new_enrolment_id,
            self._to_other_owner,
        )
        what, rows = self._chance.choice(makers)(person, enrolment)
        return Plan(f"{person.given_name}: {what}", frozenset({person.given_name}), self._shuffled(rows))

    def _two(self, one: int, other: int) -> Plan:
        return self._mixed(self._watched(one), self._watched(other))

    def _mixed(self, first: Plan, second: Plan) -> Plan:
        """Return both in one transaction with their rows mixed, unless they are about the same rows."""
        if first.locks & second.locks:
            return first
        longer, shorter = sorted((list(first.rows), list(second.rows)), key=len, reverse=True)
        for row in shorter:
            longer.insert(self._chance.randint(0, len(longer)), row)
        return Plan(f"{first.what}; {second.what}", first.locks | second.locks, longer)

    def _shuffled(self, rows: list[Written]) -> list[Written]:
        self._chance.shuffle(rows)
        return rows

    def _arrive(self, watched: int) -> Plan:
        name = f"P{watched}"
        person = self._person(watched)
        if person is None:
            person = msgspec.structs.replace(self._known_or_new(name), family_name=self._name())
            rows = [Written(None, person)]
        else:
            rows = [Written(person, msgspec.structs.replace(person, family_name=self._name()))]
        group = self._chance.choice(HOME_GROUPS)
        enrolment = an_enrolment(self._next(), person=person.id, group=group, owner_id=person.owner_id)
        return Plan(f"{name}: arrives", frozenset({name}), [*rows, Written(None, enrolment)])

    def _known_or_new(self, name: str) -> Person:
        """Return a deleted person under the same numbers, since others would make another person, or a new one."""
        known = self._known.get(name)
        if known is not None:
            return known
        owner = self._chance.choice(OWNERS)
        return a_person(self._next(), owner_id=owner, given_name=name, national_id=self._national_id())

    def _move(self, person: Person, enrolment: Enrolment) -> tuple[str, list[Written]]:
        elsewhere = msgspec.structs.replace(enrolment, id=self._next(), group_id=self._other_home(enrolment))
        return "moves", [self._renamed(person), Written(enrolment, None), Written(None, elsewhere)]

    def _transfer(self, person: Person, enrolment: Enrolment) -> tuple[str, list[Written]]:
        elsewhere = msgspec.structs.replace(enrolment, group_id=self._other_home(enrolment))
        return "is transferred", [self._renamed(person), Written(enrolment, elsewhere)]

    def _rename(self, person: Person, _enrolment: Enrolment) -> tuple[str, list[Written]]:
        return "is renamed", [self._renamed(person)]

    def _leave(self, person: Person, enrolment: Enrolment) -> tuple[str, list[Written]]:
        if self._chance.random() < 0.5:
            return "leaves", [Written(enrolment, None)]
        self._known[person.given_name] = person
        return "is deleted", [Written(enrolment, None), Written(person, None)]

    def _new_number(self, person: Person, enrolment: Enrolment) -> tuple[str, list[Written]]:
        number = self._next()
        renumbered = Written(person, msgspec.structs.replace(person, id=number, family_name=self._name()))
        return "gets another running number", [
            renumbered,
            Written(enrolment, msgspec.structs.replace(enrolment, person_id=number)),
        ]

    def _new_national_id(self, person: Person, _enrolment: Enrolment) -> tuple[str, list[Written]]:
        number = NationalId(self._national_id())
        return "gets a national id", [
            Written(person, msgspec.structs.replace(person, national_id=number, family_name=self._name()))
        ]

    def _new_enrolment_id(self, person: Person, enrolment: Enrolment) -> tuple[str, list[Written]]:
        renumbered = msgspec.structs.replace(enrolment, id=self._next(), group_id=self._other_home(enrolment))
        return "moves under a new key", [self._renamed(person), Written(enrolment, renumbered)]

    def _to_other_owner(self, person: Person, enrolment: Enrolment) -> tuple[str, list[Written]]:
        owner = next(owner for owner in OWNERS if owner != person.owner_id)
        return "moves to the other owner", [
            Written(person, msgspec.structs.replace(person, owner_id=owner, family_name=self._name())),
            Written(enrolment, msgspec.structs.replace(enrolment, owner_id=owner)),
        ]

    def _home_group(self) -> Plan:
        owner, id_ = self._chance.choice(OWNERS), self._chance.choice(HOME_GROUPS)
        group = self._source.tables[Table.COURSE_GROUP, owner, id_]
        renamed = msgspec.structs.replace(group, name=f"G{id_} v{self._next()}")
        return Plan(f"group {owner}/{id_} is renamed", _lock(group), [Written(group, renamed)])

    def _above(self) -> Plan:
        owner = self._chance.choice(OWNERS)
        row = self._source.tables[self._chance.choice([(Table.OWNER, owner, owner), (Table.SCHOOL, owner, 1)])]
        return Plan(
            f"{type(row).__name__} {owner} is renamed",
            _lock(row),
            [Written(row, msgspec.structs.replace(row, name=f"Fjordvik {self._next()}"))],
        )

    def _other(self, today: date) -> Plan:
        """Return a plan that writes or deletes a random row."""
        new = self._any_fact(self._chance.choice(OWNERS), today)
        old = self._source.tables.get(key_of(new))
        gone = old is not None and self._chance.random() < 0.3
        rows = [Written(old, None if gone else new)]
        return Plan(f"{'deletes' if gone else 'writes'} {key_of(new)}", _lock(new), rows)

    def _any_fact(self, owner: int, today: date) -> Fact:
        chance = self._chance
        days = (None, None, *(today + timedelta(days=days) for days in (-1, 0, 1)))
        person, any_group = chance.choice(OTHERS), chance.choice((*HOME_GROUPS, EXTRA_GROUP, 9))
        numbers = [a_birth_number(1), a_birth_number(2), a_duf_number(1), "12345678901", None]
        makers: tuple[Callable[[], Fact], ...] = (
            lambda: a_person(
                person,
                owner_id=owner,
                given_name=chance.choice(["Ada", "Åse"]),
                national_id=chance.choice(numbers),
                feide_name=chance.choice([f"ada{person}@fjordvik.example", "ada@fjordvik.example", None]),
                protected=chance.random() < 0.1,
            ),
            lambda: an_employee(1, person=person, owner_id=owner, active=chance.random() < 0.8),
            lambda: an_enrolment(
                chance.choice((2, 3, 4)),
                person=person,
                group=any_group,
                owner_id=owner,
                role=chance.choice(["learner", "learner", "teacher"]),
                ends_on=chance.choice(days),
            ),
            lambda: a_group(
                EXTRA_GROUP, owner_id=owner, name=f"G3 v{self._next()}", active=chance.random() < 0.7, ends_on=days[-1]
            ),
        )
        return chance.choices(makers, (3, 2, 5, 4))[0]()

    def _person(self, watched: int) -> Person | None:
        rows = self._source.tables.values()
        return next((row for row in rows if isinstance(row, Person) and row.given_name == f"P{watched}"), None)

    def _enrolment(self, watched: int) -> Enrolment | None:
        person = self._person(watched)
        if person is None:
            return None
        who = (person.owner_id, person.id)
        rows = self._source.tables.values()
        return next((e for e in rows if isinstance(e, Enrolment) and (e.owner_id, e.person_id) == who), None)

    def _renamed(self, person: Person) -> Written:
        new = msgspec.structs.replace(person, family_name=self._name())
        return Written(person, new, sparing=self._chance.random() < 0.5)

    def _other_home(self, enrolment: Enrolment) -> int:
        return next(group for group in HOME_GROUPS if group != enrolment.group_id)

    def _name(self) -> str:
        return f"v{self._next()}"

    def _national_id(self) -> str:
        return a_birth_number(100 + self._next() % 400)

    def _next(self) -> int:
        self._serial += 1
        return self._serial


def _lock(row: Fact) -> frozenset[str]:
    return frozenset({str(key_of(row))})
