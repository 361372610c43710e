"""The changes that the demo makes in the source, as the administration system would make them: one transaction each."""

import random
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import msgspec
import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

OWNER: Final = 1


class CommittedChange(msgspec.Struct, frozen=True):
    """A change that was just committed.

    Attributes:
        name: a short name of the change.
        text: what happened, to be shown.
        person: the person's ``sourcedid/id`` in the feed.
    """

    name: str
    text: str
    person: str


class CaseWorker:
    """A case worker who makes changes in the administration system.

    Args:
        source: a session on the source.
        state: a session on the state database, used to choose persons who are in the feed.
        today: the date.
        chance: chooses persons and groups.
    """

    def __init__(self, source: Connection, state: Connection, today: date, chance: random.Random) -> None:
        self._source = source
        self._state = state
        self._today = today
        self._chance = chance
        self._joined = 0

    def student_leaves(self, at_least: int = 2) -> CommittedChange:
        """Withdraw a learner of at least so many groups from all of them."""
        person, sourcedid, groups = self._member("01", at_least)
        self._commit(
            "update enrolment set status = 'withdrawn' where owner_id = %s and person_id = %s", (OWNER, person)
        )
        return CommittedChange("leaver", f"student {person} withdraws from {groups} groups", sourcedid)

    def student_joins(self) -> CommittedChange:
        """Register a person without a national id, and enrol the person in a group, in one transaction."""
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
        return CommittedChange("joiner", f"student {number} is registered and joins group {group}", str(number))

    def name_changes(self) -> CommittedChange:
        """Change a learner's family name."""
        person, sourcedid, _ = self._member("01", 1)
        self._commit(
            "update person set family_name = family_name || '-Ny' where owner_id = %s and id = %s", (OWNER, person)
        )
        return CommittedChange("name change", f"student {person} has another family name", sourcedid)

    def teacher_stops(self) -> CommittedChange:
        """End a teacher's employments."""
        person, sourcedid, groups = self._member("02", 1)
        self._commit("update employee set active = false where owner_id = %s and person_id = %s", (OWNER, person))
        return CommittedChange("teacher", f"teacher {person} of {groups} groups stops", sourcedid)

    def random_change(self) -> CommittedChange:
        """Make one of the changes at random, so that about as many students join as leave."""
        changes: list[Callable[[], CommittedChange]] = [
            lambda: self.student_leaves(at_least=1),
            self.student_joins,
            self.name_changes,
        ]
        return self._chance.choice(changes)()

    def _commit(self, statement: str, parameters: tuple[Any, ...]) -> None:
        with self._source.transaction():
            self._source.execute(statement.encode(), parameters)

    def _member(self, roletype: str, at_least: int) -> tuple[int, str, int]:
        """Choose a person who has this role in every membership in the feed.

        Returns:
            The running number, the ``sourcedid/id``, and the number of groups.
        """
        found = self._state.execute(
            "select person_id, member, count(*) from imsfeed.published where kind = 3 group by person_id, member"
            " having count(*) >= %s and bool_and(xml like %s) order by 1",
            (at_least, f'%roletype="{roletype}"%'),
        ).fetchall()
        person, sourcedid, groups = self._chance.choice(found)
        return person, sourcedid, groups
