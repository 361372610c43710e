"""Which marks a cut takes: those that have rested, so that a move between two groups is never seen as a leave.

An administration system may take a person out of one group and put it into another in two transactions, a moment apart.
A mark is taken once it has rested for the settling time. A person about whom something newer still rests is left to the
next cut, which the newer mark leads to; but no longer than five settling times, or a busy person would never be told.
"""

import itertools
import math
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

LONGEST_WAIT: Final = 5
"""Settling times after which a change is told whatever newer one still rests."""


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
    """What a cut has to look at, and the mark it reaches thereby.

    Attributes:
        everything: an owner's row or a whole load: look at all there is.
    """

    through: int
    everything: bool
    schools: frozenset[int]
    persons: frozenset[int]
    groups: frozenset[int]
    oldest_event_at: datetime | None

    def __bool__(self) -> bool:
        return bool(self.everything or self.schools or self.persons or self.groups)


def settled(changes: Iterable[PendingChange], settle_seconds: float, *, after: int) -> Pending:
    """The part of *marks* (those after mark *after*, in order) that a cut takes now."""
    ordered = list(changes)
    # In order: what comes after a resting mark rests too, whatever its clock says.
    settled_for = list(itertools.takewhile(lambda change: change.settled_for >= settle_seconds, ordered))
    unsettled_ids = {change.id for change in ordered[len(settled_for) :] if change.kind == "person"}
    longest_wait = settle_seconds * LONGEST_WAIT
    waiting = {m.id for m in settled_for if m.kind == "person" and m.id in unsettled_ids}
    waiting -= {m.id for m in settled_for if m.kind == "person" and m.settled_for >= longest_wait}
    taken = [change for change in settled_for if not (change.kind == "person" and change.id in waiting)]
    return Pending(
        through=settled_for[-1].change_id if settled_for else after,
        everything=any(change.kind == "owner" for change in taken),
        schools=frozenset(change.id for change in taken if change.kind == "school"),
        persons=frozenset(change.id for change in taken if change.kind == "person"),
        groups=frozenset(change.id for change in taken if change.kind == "group"),
        oldest_event_at=min((m.committed_at for m in taken if m.committed_at is not None), default=None),
    )


def mentioned(changes: Iterable[PendingChange]) -> Pending:
    """All that *marks* are about, rested or not: whatever is gone of it, an event has said so, and no load alone."""
    return settled(changes, -math.inf, after=0)


def looking_at(persons: Iterable[int], groups: Iterable[int]) -> Pending:
    """These persons and groups, whatever marks there are."""
    return Pending(
        through=0,
        everything=False,
        schools=frozenset(),
        persons=frozenset(persons),
        groups=frozenset(groups),
        oldest_event_at=None,
    )
