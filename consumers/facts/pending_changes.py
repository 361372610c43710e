"""Which pending changes a publication takes: those that have settled, so that no move looks like a leave.

An administration system may take a person out of one group and put it into another in two transactions, a moment apart.
A change is taken once the settling time has passed. A person with a newer change that has not settled waits for the
next publication, which the newer change leads to; but for five settling times at most, or a person who changes all the
time would never be published.
"""

import itertools
import math
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

import msgspec

LONGEST_WAIT: Final = 5
"""Settling times after which a change is taken even if a newer change has not settled."""


class PendingChange(msgspec.Struct, frozen=True):
    """One owner's, school's, person's or group's facts may have changed.

    Attributes:
        settled_for: seconds since it was made, by the state database's clock.
    """

    change_id: int
    kind: str
    id: int
    committed_at: datetime | None
    settled_for: float


class Pending(msgspec.Struct, frozen=True):
    """The changes that a publication takes.

    Attributes:
        through: the last change that is published with it.
        everything: an owner's row has changed, or a load has run: compare all persons and groups.
        oldest_event_at: when the source committed the oldest of these changes.
    """

    through: int
    everything: bool
    schools: frozenset[int]
    persons: frozenset[int]
    groups: frozenset[int]
    oldest_event_at: datetime | None

    def __bool__(self) -> bool:
        return bool(self.everything or self.schools or self.persons or self.groups)


class Days(msgspec.Struct, frozen=True):
    """The passing of time: what begins or ends between two days has changed.

    Attributes:
        published: the day up to which dates are published.
        today: the date in the target's time zone.
        lead: days before its first day on which a group is exported already.
        grace: days after its last day on which a group is still exported.
        login_reserved: days for which the login of a person who has left is given to no one else.
    """

    published: date
    today: date
    lead: int
    grace: int
    login_reserved: int = 0


def settled(changes: Iterable[PendingChange], settle_seconds: float, *, after: int) -> Pending:
    """Return the part of *changes* (those after change *after*, in order) that a publication takes now."""
    ordered = list(changes)
    # A change after one that has not settled counts as not settled either, even if its clock says otherwise.
    settled_for = list(itertools.takewhile(lambda change: change.settled_for >= settle_seconds, ordered))
    unsettled_ids = {change.id for change in ordered[len(settled_for) :] if change.kind == "person"}
    longest_wait = settle_seconds * LONGEST_WAIT
    waiting = {change.id for change in settled_for if change.kind == "person" and change.id in unsettled_ids}
    waiting -= {change.id for change in settled_for if change.kind == "person" and change.settled_for >= longest_wait}
    taken = [change for change in settled_for if not (change.kind == "person" and change.id in waiting)]
    return Pending(
        through=settled_for[-1].change_id if settled_for else after,
        everything=any(change.kind == "owner" for change in taken),
        schools=frozenset(change.id for change in taken if change.kind == "school"),
        persons=frozenset(change.id for change in taken if change.kind == "person"),
        groups=frozenset(change.id for change in taken if change.kind == "group"),
        oldest_event_at=min((change.committed_at for change in taken if change.committed_at is not None), default=None),
    )


def mentioned(changes: Iterable[PendingChange]) -> Pending:
    """Return all that *changes* are about, settled or not: an event reported it, and not only a load."""
    return settled(changes, -math.inf, after=0)


def as_changed(persons: Iterable[int], groups: Iterable[int]) -> Pending:
    """Return these persons and groups as if they had changed."""
    return Pending(
        through=0,
        everything=False,
        schools=frozenset(),
        persons=frozenset(persons),
        groups=frozenset(groups),
        oldest_event_at=None,
    )
