"""The changes that the demo makes in the source, as an administration system would: one transaction each."""

import random
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import msgspec
import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

OWNER: Final = 1


class Committed(msgspec.Struct, frozen=True):
    """A change that was just committed.

    Attributes:
        what: what happened, for people.
        person: the person's ``sourcedid/id`` in the feed.
        name: a short word for it.
    """

    name: str
    what: str
    person: str


class Source:
    """Somebody who works in the administration system.

    Args:
        source: a session on the source.
        state: a session on the state database, to choose persons who are in the feed.
        today: the date.
        chance: chooses among them.
    """

    def __init__(self, source: Connection, state: Connection, today: date, chance: random.Random) -> None:
        self._source = source
        self._state = state
        self._today = today
        self._chance = chance
        self._joined = 0

    def student_leaves(self, at_least: int = 2) -> Committed:
        """A learner of so many groups withdraws from all of them."""
        person, sourcedid, groups = self._member("01", at_least)
        self._commit(
            "update enrolment set status = 'withdrawn' where owner_id = %s and person_id = %s", (OWNER, person)
        )
        return Committed("leaver", f"student {person} withdraws from {groups} groups", sourcedid)

    def student_joins(self) -> Committed:
        """A person who has no national id yet is registered and enrolled in a group, in one transaction."""
        self._joined += 1
        row = self._source.execute(
            "select greatest((select max(id) from person where owner_id = %s),"
            " (select max(id) from enrolment where owner_id = %s))",
            (OWNER, OWNER),
        ).fetchone()
        number = (row[0] if row else 0) + 1
        groups = self._state.execute("select group_id from imsfeed.published where kind = 2 order by 1").fetchall()
        (group,) = self._chance.choice(groups)
        with self._source.transaction():
            self._source.execute(
                "insert into person (owner_id, id, given_name, family_name, feide_name)"
                " values (%s, %s, 'Nyankomen', %s, %s)",
                (OWNER, number, f"Demosen {self._joined}", f"nyankomen{self._joined}@demo.example"),
            )
            self._source.execute(
                "insert into enrolment (owner_id, id, person_id, group_id, role, starts_on)"
                " values (%s, %s, %s, %s, 'learner', %s)",
                (OWNER, number, number, group, self._today),
            )
        return Committed("joiner", f"student {number} is registered and joins group {group}", str(number))

    def name_changes(self) -> Committed:
        """A learner gets another family name."""
        person, sourcedid, _ = self._member("01", 1)
        self._commit(
            "update person set family_name = family_name || '-Ny' where owner_id = %s and id = %s", (OWNER, person)
        )
        return Committed("name change", f"student {person} has another family name", sourcedid)

    def teacher_stops(self) -> Committed:
        """A teacher's employments are no longer active."""
        person, sourcedid, groups = self._member("02", 1)
        self._commit("update employee set active = false where owner_id = %s and person_id = %s", (OWNER, person))
        return Committed("teacher", f"teacher {person} of {groups} groups stops", sourcedid)

    def something(self) -> Committed:
        """One of these by chance, such that about as many join as leave."""
        changes: list[Callable[[], Committed]] = [
            lambda: self.student_leaves(at_least=1),
            self.student_joins,
            self.name_changes,
        ]
        return self._chance.choice(changes)()

    def _commit(self, statement: str, parameters: tuple[Any, ...]) -> None:
        with self._source.transaction():
            self._source.execute(statement.encode(), parameters)

    def _member(self, roletype: str, at_least: int) -> tuple[int, str, int]:
        """A person whose every membership in the feed has this role: running number, sourcedid, number of groups."""
        found = self._state.execute(
            "select person_id, member, count(*) from imsfeed.published where kind = 3 group by person_id, member"
            " having count(*) >= %s and bool_and(xml like %s) order by 1",
            (at_least, f'%roletype="{roletype}"%'),
        ).fetchall()
        person, sourcedid, groups = self._chance.choice(found)
        return person, sourcedid, groups
