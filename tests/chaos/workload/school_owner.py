"""One school owner in the source, with a target and a feed of its own; its changes keep the rules of the feed's log."""

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import psycopg

from consumers.database import sessions, targets_table
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.source.facts import Enrolment, Fact
from ims.targets.target_settings import TargetSettings
from tests.chaos.checkers.feed_log import FeedLog
from tests.support.builders import (
    a_birth_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
)
from tests.support.installation import Installation
from tests.support.waiting import until

STARTED = date(2020, 1, 1)
_FIRST_ORGNR = 10000000
_WEIGHTS = (3, 2, 7, 6, 5, 4, 3, 2)


def orgnr_of(owner: int) -> str:
    """Return an organisation number that is not issued (those begin with 8 or 9), another one for each owner."""
    for stem in range(_FIRST_ORGNR + 20 * owner, _FIRST_ORGNR + 20 * (owner + 1)):
        control = -sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, str(stem), strict=True)) % 11
        if control < 10:
            return f"{stem}{control}"
    raise AssertionError("at least one of twenty numbers has a control digit")


def an_unheld_target(**changes: Any) -> TargetSettings:
    """Return a target whose publications never wait for an approval, however many persons leave in one step."""
    fields = set(TargetSettings.__struct_fields__)
    holds = {name: 100 if "percent" in name else 1_000_000 for name in fields if name.startswith("hold_")}
    first = {"accept_initial": True} if "accept_initial" in fields else {}
    return a_target(**holds | first | changes)


class SchoolOwner:
    """An owner with a school, some groups, a teacher, and learners who are all in group 1."""

    def __init__(self, installation: Installation, owner_id: int, *, learners: int = 4, groups: int = 8) -> None:
        self.owner_id = owner_id
        self.installation = installation
        self.orgnr = orgnr_of(owner_id)
        self.log = FeedLog(installation.folder / "feed" / self.orgnr / "lms")
        self._facts: list[Fact] = [
            an_owner(owner_id=owner_id, orgnr=self.orgnr),
            a_school(1, owner_id=owner_id),
            *(a_group(n, owner_id=owner_id) for n in range(1, groups + 1)),
            a_person(100, owner_id=owner_id, family_name="Testesen 1"),
            an_employee(1, person=100, owner_id=owner_id),
            *(a_person(n, owner_id=owner_id, family_name="Testesen 1") for n in range(1, learners + 1)),
            *(self.enrolment(n, n, 1) for n in range(1, learners + 1)),
        ]
        self._serial = learners

    def approve(self) -> None:
        """Wait until there is a hold, and approve it: whatever only a load has found is held, however little."""
        until(self.approve_open_holds, within=60, what="there is a hold")

    def approve_open_holds(self) -> bool:
        """Approve the open holds; return True if there was any."""
        holds = msgspec.json.decode(self.installation.imsfeed("holds", "list", "--json"))
        own = [hold for hold in holds if hold["target"] == f"{self.owner_id}/lms"]
        for hold in own:
            number, digest = str(hold["hold_id"]), hold["digest"]
            self.installation.imsfeed("holds", "approve", number, "--digest", digest, "--reason", "found by a load")
        return bool(own)

    def write(self) -> None:
        """Write the owner into the source, with its target; it is published once capture has read it."""
        self.installation.write(*self._facts)
        self.apply()

    def publish(self) -> None:
        """Write the owner, and wait for the first publication."""
        self.write()
        self.await_manifest()

    def apply(self, **changes: Any) -> None:
        """Apply the target's settings."""
        with sessions.connect(self.installation.environment["STATE_DSN"], "test") as connection:
            targets_table.apply_settings(connection, [an_unheld_target(owner=self.owner_id, **changes)], "test")

    def await_manifest(self) -> None:
        """Wait for the first publication."""
        until(self.log.manifest, within=60, what=f"owner {self.owner_id} has a manifest; {self.logs()}")

    def enrolment(self, id_: int, person: int, group: int, **changes: Any) -> Enrolment:
        """Return an enrolment of this owner."""
        return an_enrolment(id_, person=person, group=group, owner_id=self.owner_id, starts_on=STARTED, **changes)

    def enrol(self, person: int, group: int) -> int:
        """Enrol a person in a group and return the enrolment's id."""
        self._serial += 1
        self.installation.write(self.enrolment(self._serial, person, group))
        return self._serial

    def leave(self, id_: int, person: int, group: int, *more: Fact) -> None:
        """End an enrolment; *more* rows change in the same transaction."""
        self.installation.write(self.enrolment(id_, person, group, status="withdrawn"), *more)

    def move(self, person: int, group: int, to: int) -> None:
        """Move a learner in one transaction; the enrolment in *group* must have the learner's running number as id."""
        self._serial += 1
        self.leave(person, person, group, self.enrolment(self._serial, person, to))

    def named(self, person: int, number: int) -> Fact:
        """Return a person's row with this number in the name."""
        return a_person(person, owner_id=self.owner_id, family_name=f"Testesen {number}")

    def membership(self, person: int, group: int) -> RecordKey:
        """Return the key of a learner's membership in a group."""
        return RecordKey(RecordKind.MEMBERSHIP, f"group-{group}", a_birth_number(person))

    def is_member(self, person: int, group: int) -> bool:
        """Return True if an importer has the learner in the group."""
        return self.membership(person, group) in self.log.memberships()

    def await_feed(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition of the feed."""
        until(condition, within=60, what=f"{what}; {self.logs()}")

    def state(self, query: str) -> Any:
        """Return the one value of *query* in the state database; ``%s`` is the owner's id."""
        with psycopg.connect(self.installation.environment["STATE_DSN"], autocommit=True) as connection:
            row = connection.execute(query.encode(), [self.owner_id] * query.count("%s")).fetchone()
        return row[0] if row else None

    def logs(self) -> str:
        """Return the end of every process's log, for an assertion's text."""
        return self.installation.last_lines()
