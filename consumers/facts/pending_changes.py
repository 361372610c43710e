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

PATIENCE: Final = 5
"""Settling times after which a change is told whatever newer one still rests."""


class Mark(msgspec.Struct, frozen=True):
    """One owner's, school's, person's or group's facts may have changed.

    Attributes:
        rested: seconds since it was made, by the state database's clock.
    """

    mark_id: int
    kind: str
    id: int
    committed_at: datetime | None
    rested: float


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


def settled(marks: Iterable[Mark], settle_seconds: float, *, after: int) -> Pending:
    """The part of *marks* (those after mark *after*, in order) that a cut takes now."""
    ordered = list(marks)
    # In order: what comes after a resting mark rests too, whatever its clock says.
    rested = list(itertools.takewhile(lambda mark: mark.rested >= settle_seconds, ordered))
    restless = {mark.id for mark in ordered[len(rested) :] if mark.kind == "person"}
    patience = settle_seconds * PATIENCE
    waiting = {m.id for m in rested if m.kind == "person" and m.id in restless}
    waiting -= {m.id for m in rested if m.kind == "person" and m.rested >= patience}
    taken = [mark for mark in rested if not (mark.kind == "person" and mark.id in waiting)]
    return Pending(
        through=rested[-1].mark_id if rested else after,
        everything=any(mark.kind == "owner" for mark in taken),
        schools=frozenset(mark.id for mark in taken if mark.kind == "school"),
        persons=frozenset(mark.id for mark in taken if mark.kind == "person"),
        groups=frozenset(mark.id for mark in taken if mark.kind == "group"),
        oldest_event_at=min((m.committed_at for m in taken if m.committed_at is not None), default=None),
    )


def mentioned(marks: Iterable[Mark]) -> Pending:
    """All that *marks* are about, rested or not: whatever is gone of it, an event has said so, and no load alone."""
    return settled(marks, -math.inf, after=0)


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
