"""The workload of some school owners: random transactions in the source, by rules that let the feed's log be judged.

A person is enrolled in a group at most once; a name's number and an id, once used, are never used again, even if their
transaction was rolled back. What was ever true is what the source showed when it was read between two transactions.
"""

import contextlib
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from tests.chaos.workload.school_owner import STARTED
from tests.support.builders import a_birth_number

Statement = tuple[str, tuple[Any, ...]]
Connection = psycopg.Connection[tuple[Any, ...]]

TEACHER = 900
"""An employee of every owner; only the long transactions change this person."""

_PAUSE_SECONDS = 0.05
_LONG_SECONDS = 2.0
_CLOSED = 40
"""How many groups of an owner are closed at most."""


class Move(NamedTuple):
    """A learner moved from one group to another in one transaction."""

    owner: int
    person: int
    old: int
    new: int


class Person(NamedTuple):
    """A person in the source."""

    id: int
    national_id: str | None
    version: int


class View(NamedTuple):
    """An owner's current rows; active enrolments are (id, person, group)."""

    persons: dict[int, Person]
    groups: list[int]
    enrolments: list[tuple[int, int, int]]


class Driver:
    """Writes until it is stopped, through every outage of the source.

    Attributes:
        done: how many transactions of each kind were committed.
        moves: the moves that were committed.
        people: (owner, running number, national id, version) of every person as they ever were.
        pairs: (owner, person, group) of every enrolment that ever was.
    """

    def __init__(self, dsn: str, seed: int, owners: dict[int, tuple[int, int]]) -> None:
        self.done: Counter[str] = Counter()
        self.moves: list[Move] = []
        self.people: set[tuple[int, int, str | None, int]] = set()
        self.pairs: set[tuple[int, int, int]] = set()
        self._dsn = dsn
        self._chance = random.Random(seed)
        self._owners = owners
        self._used: set[tuple[int, int, int]] = set()
        self._serial = itertools.count(10_000)
        self._version = itertools.count(2)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(write,)) for write in (self._short, self._long)]

    def start(self) -> None:
        """Start writing."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop writing, and read the source a last time."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            for owner in self._owners:
                self.view(connection, owner)

    def view(self, connection: Connection, owner: int) -> View:
        """Return the owner's current rows, and record them as having been true."""
        rows = connection.execute("select id, national_id, family_name from person where owner_id = %s", (owner,))
        persons = {id_: Person(id_, number, int(name.rpartition(" ")[2])) for id_, number, name in rows}
        groups = connection.execute("select id from course_group where owner_id = %s and active order by id", (owner,))
        enrolments = connection.execute(
            "select id, person_id, group_id, status, coalesce(ends_on >= current_date, true) from enrolment"
            " where owner_id = %s order by id",
            (owner,),
        ).fetchall()
        self.people |= {(owner, *person) for person in persons.values()}
        self.pairs |= {(owner, person, group) for _, person, group, _, _ in enrolments}
        active = [(id_, person, group) for id_, person, group, status, now in enrolments if status == "active" and now]
        return View(persons, [group for (group,) in groups], active)

    def _run(self, write: Callable[[Connection], None]) -> None:
        """Write over a connection, and over a new one after each that was lost."""
        while not self._stop.is_set():
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection,
            ):
                write(connection)
            self._stop.wait(0.1)

    def _short(self, connection: Connection) -> None:
        kinds = (enrol, enrol, leave, leave, move, move, rename, many, by_date, delete, change_id, close_group)
        while not self._stop.wait(_PAUSE_SECONDS):
            kind = self._chance.choice(kinds)
            owner = self._chance.choice(list(self._owners))
            self.transaction(connection, kind, owner, rolled_back=self._chance.random() < 0.05)

    def _long(self, connection: Connection) -> None:
        """Leave one transaction after the other open for a while; no other transaction changes these persons."""
        for owner in itertools.cycle(self._owners):
            self.view(connection, owner)
            if self._stop.is_set():
                return
            with connection.transaction():
                statement = "update person set family_name = %s where (owner_id, id) = (%s, %s)"
                connection.execute(statement, (self.version(), owner, TEACHER))
                self._stop.wait(_LONG_SECONDS)
            self.done["long open"] += 1

    def transaction(self, connection: Connection, kind: "Change", owner: int, *, rolled_back: bool) -> None:
        """Run one transaction of a kind; nothing if there is no person to whom it could happen."""
        view = self.view(connection, owner)
        statements = list(kind(self, owner, view))
        if not statements:
            return
        with connection.transaction(force_rollback=rolled_back):
            for text, parameters in statements:
                connection.execute(text.encode(), parameters)
        self.done["rolled back" if rolled_back else kind.__name__.replace("_", " ")] += 1

    def new_pair(self, owner: int, person: int, groups: list[int]) -> int | None:
        """Return a group in which the person never was, and mark the pair as used; ``None`` if there is none."""
        free = [group for group in groups if (owner, person, group) not in self._used]
        if not free:
            return None
        group = self._chance.choice(free)
        self._used.add((owner, person, group))
        return group

    def enrolment(self, owner: int, person: int, group: int, **dates: Any) -> Statement:
        """Return the statement of a new enrolment."""
        columns = (owner, next(self._serial), person, group, dates.get("starts_on", STARTED), dates.get("ends_on"))
        text = "insert into enrolment values (%s, %s, %s, %s, 'learner', %s, %s, 'active')"
        return text, columns

    def any_of(self, things: list[Any]) -> Any:
        """Return a random one of them, or ``None`` if there are none."""
        return self._chance.choice(things) if things else None

    def learner(self, owner: int) -> int:
        """Return a random learner, who may have been deleted."""
        return self._chance.randint(1, self._owners[owner][0])

    def groups(self, owner: int) -> int:
        """Return how many groups the owner had in the beginning."""
        return self._owners[owner][1]

    def version(self) -> str:
        """Return a name with a number that no name has had."""
        return f"Testesen {next(self._version)}"


Change = Callable[[Driver, int, View], Iterator[Statement]]


def enrol(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Enrol a person, who may have been here before."""
    person = driver.learner(owner)
    if person in view.persons and (group := driver.new_pair(owner, person, view.groups)) is not None:
        yield driver.enrolment(owner, person, group)


def leave(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """End an enrolment."""
    if found := driver.any_of(view.enrolments):
        yield "update enrolment set status = 'withdrawn' where (owner_id, id) = (%s, %s)", (owner, found[0])


def move(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Move a person from one group to another in one transaction."""
    found = driver.any_of([one for one in view.enrolments if one[2] in view.groups])
    if found and (group := driver.new_pair(owner, found[1], view.groups)) is not None:
        driver.moves.append(Move(owner, found[1], found[2], group))
        yield "update enrolment set status = 'moved' where (owner_id, id) = (%s, %s)", (owner, found[0])
        yield driver.enrolment(owner, found[1], group)


def rename(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Change a person's name."""
    if (person := driver.learner(owner)) in view.persons:
        name = (driver.version(), owner, person)
        yield "update person set family_name = %s where (owner_id, id) = (%s, %s)", name


def many(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Begin a class: many rows in one transaction."""
    for _ in range(6):
        yield from enrol(driver, owner, view)


def by_date(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Give an enrolment a last day in the past, and enrol a person from a day in the future."""
    today = datetime.now(UTC).date()
    if found := driver.any_of(view.enrolments):
        last = (today - timedelta(days=2), owner, found[0])
        yield "update enrolment set ends_on = %s where (owner_id, id) = (%s, %s)", last
    person = driver.learner(owner)
    if person in view.persons and (group := driver.new_pair(owner, person, view.groups)) is not None:
        yield driver.enrolment(owner, person, group, starts_on=today + timedelta(days=2))


def delete(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Delete an enrolment's row, and now and then a person with all its rows."""
    if found := driver.any_of(view.enrolments):
        yield "delete from enrolment where (owner_id, id) = (%s, %s)", (owner, found[0])
        if len(view.persons) > 12 and found[1] > 6:
            yield "delete from enrolment where (owner_id, person_id) = (%s, %s)", (owner, found[1])
            yield "delete from person where (owner_id, id) = (%s, %s)", (owner, found[1])


def change_id(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Give a person the national id that was missing."""
    waiting = [person.id for person in view.persons.values() if person.national_id is None and person.id > 0]
    if (person := driver.any_of(waiting)) is not None:
        number = (a_birth_number(owner * 100 + person), driver.version(), owner, person)
        yield "update person set national_id = %s, family_name = %s where (owner_id, id) = (%s, %s)", number


def close_group(driver: Driver, owner: int, view: View) -> Iterator[Statement]:
    """Close a group for all its members; some groups always stay open."""
    if len(view.groups) > driver.groups(owner) - _CLOSED:
        yield (
            "update course_group set active = false where (owner_id, id) = (%s, %s)",
            (owner, driver.any_of(view.groups)),
        )
