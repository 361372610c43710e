"""How many persons may be removed in an hour and in a day before the rest waits for an approval.

Distinct persons are counted, in rolling windows: those removed in the last hour (day) without an approval, and those of
this publication. So a fault that removes persons a few at a time is noticed like one that removes them all in one step.

Entra, Okta, Grouper and EgilSCIM count per run instead, and miss a fault that removes a few persons in each run.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from ims.holds.losses import Cause, HoldEntry, Loss
from ims.targets.target_settings import TargetSettings

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
"""The longer window: a departure that is older counts in none."""
_BY_LIMIT: Final = frozenset({Cause.PERSONS, Cause.TEACHERS, Cause.ID_CHANGES})
"""Causes that depend on a number: once enough persons have come back, the rest need not wait any longer."""

_Window = tuple[timedelta, int, int]
"""A window's length, its absolute limit and its limit in percent."""


class Departure(NamedTuple):
    """A person removed, or published under another id, without an approval.

    Attributes:
        person: running number.
        id_change: the id changed; the person stays.
    """

    person: int
    at: datetime
    teacher: bool = False
    id_change: bool = False


class PublishedCounts(NamedTuple):
    """How many persons, and teachers among them, were published; counted no further than :func:`enough_to_count`."""

    persons: int = 0
    teachers: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """The persons on hold, by running number, and the departures that are published now and count from now on."""

    held: dict[int, Cause]
    departures: list[Departure]


class Limits:
    """A target's limits at a moment, and the departures that count against them already.

    Args:
        departures: those of at least the last day.
        now: the time of the publication.
    """

    def __init__(
        self, settings: TargetSettings, departures: Iterable[Departure], published: PublishedCounts, now: datetime
    ) -> None:
        self._settings = settings
        self._departures = list(departures)
        self._published = published
        self.now = now

    def held(self, leavers: Mapping[int, Loss]) -> dict[int, Cause]:
        """Return which persons of those that lose their last membership have to wait: all, the teachers, or none."""
        if self._broken(
            leavers.keys(),
            [departure for departure in self._departures if not departure.id_change],
            _windows(self._settings, "persons"),
            self._published.persons,
        ):
            return dict.fromkeys(leavers, Cause.PERSONS)
        teachers = {number for number, loss in leavers.items() if loss.teacher}
        if self._broken(
            teachers,
            [departure for departure in self._departures if departure.teacher and not departure.id_change],
            _windows(self._settings, "teachers"),
            self._published.teachers,
        ):
            return dict.fromkeys(teachers, Cause.TEACHERS)
        return {}

    def held_changes(self, changed: AbstractSet[int]) -> dict[int, Cause]:
        """Return which of the persons whose id changes have to wait: all or none, since any of them may be wrong."""
        s = self._settings
        windows = ((HOUR, s.hold_hour_id_changes, 0), (DAY, s.hold_day_id_changes, 0))
        changes = [departure for departure in self._departures if departure.id_change]
        return dict.fromkeys(changed, Cause.ID_CHANGES) if self._broken(changed, changes, windows, 0) else {}

    def _broken(
        self,
        leaving: AbstractSet[int],
        before: Iterable[Departure],
        windows: Iterable[_Window],
        published: int,
    ) -> bool:
        """Return True if in a window there are more than its absolute number and more than its percentage."""
        if not leaving:
            return False
        for span, absolute, percent in windows:
            number = len(leaving | {one.person for one in before if self.now - span < one.at})
            if number > absolute and (percent == 0 or number * 100 > percent * published):
                return True
        return False


def enough_to_count(
    settings: TargetSettings, losses: Mapping[int, Loss], departures: Iterable[Departure]
) -> PublishedCounts:
    """Return from which number on it makes no difference how many persons, and teachers, were published.

    0 where the absolute limits alone allow the publication, so that nothing has to be counted: counting a million
    persons for one who leaves would keep that person waiting.

    Args:
        losses: what the persons in scope lose; some of them may turn out not to count.
        departures: as for :class:`Limits`.
    """
    leaving = {number for number, loss in losses.items() if loss.last}
    teachers = {number for number in leaving if losses[number].teacher}
    gone = [departure for departure in departures if not departure.id_change]
    return PublishedCounts(
        _enough(leaving, gone, _windows(settings, "persons")),
        _enough(teachers, [one for one in gone if one.teacher], _windows(settings, "teachers")),
    )


def judge(
    losses: Mapping[int, Loss],
    never_held: AbstractSet[int],
    inferred: Mapping[int, Cause],
    waiting: Mapping[int, HoldEntry],
    limits: Limits,
) -> Verdict:
    """Decide which persons are on hold from now on.

    A person on hold stays on hold, whatever the windows say later, until they lose nothing any more or their hold is
    approved. If some of them have come back, and those held by a limit are few enough now, these are released too.

    Args:
        losses: what the persons in scope lose (:func:`ims.holds.losses.losses`).
        never_held: those of them who are removed immediately.
        inferred: those of them whose loss no change of the source explains, and the cause for which they wait.
        waiting: all persons on hold already if any of them is in scope, else none.
    """
    approved = {
        number
        for number, entry in waiting.items()
        if entry.approved and number in losses and losses[number].within(entry.loss)
    }
    free = approved | never_held
    stay = {
        number: entry.cause
        for number, entry in waiting.items()
        if number not in free and still_loses(entry.cause, losses.get(number, Loss()))
    }
    came_back = any(
        entry.cause in _BY_LIMIT and number not in stay and number not in free for number, entry in waiting.items()
    )
    new = {number: loss for number, loss in losses.items() if number not in free and number not in stay}
    held = stay | {number: inferred[number] for number in new.keys() & inferred.keys()}
    ordinary = {number: loss for number, loss in new.items() if number not in inferred}
    # The rest is judged again only when a person has come back. Otherwise it would be released as soon as the windows
    # have moved on, without an operator's decision.
    rest = {number: losses[number] for number, cause in stay.items() if cause in _BY_LIMIT} if came_back else {}
    if rest and not _over_limits(ordinary | rest, limits):
        held = {number: cause for number, cause in held.items() if number not in rest}
    else:
        held |= _over_limits(ordinary, limits)
    going = {number: loss for number, loss in losses.items() if number not in held and number not in approved}
    return Verdict(held, list(_departures(going, limits.now)))


def _over_limits(losses: Mapping[int, Loss], limits: Limits) -> dict[int, Cause]:
    held = limits.held({number: loss for number, loss in losses.items() if loss.last})
    changed = {number for number, loss in losses.items() if loss.id_changed and number not in held}
    return held | limits.held_changes(changed)


def still_loses(cause: Cause, loss: Loss) -> bool:
    """Return True if a person held for *cause* still loses what the cause is about."""
    if cause in {Cause.PERSONS, Cause.TEACHERS}:
        return loss.last
    return loss.id_changed if cause is Cause.ID_CHANGES else bool(loss)


def _departures(going: Mapping[int, Loss], now: datetime) -> Iterable[Departure]:
    for number, loss in going.items():
        if loss.last:
            yield Departure(number, now, loss.teacher)
        if loss.id_changed:
            yield Departure(number, now, loss.teacher, id_change=True)


def _windows(settings: TargetSettings, whose: Literal["persons", "teachers"]) -> tuple[_Window, _Window]:
    s = settings
    if whose == "persons":
        return (
            (HOUR, s.hold_hour_persons, s.hold_hour_persons_percent),
            (DAY, s.hold_day_persons, s.hold_day_persons_percent),
        )
    return (
        (HOUR, s.hold_hour_teachers, s.hold_hour_teachers_percent),
        (DAY, s.hold_day_teachers, s.hold_day_teachers_percent),
    )


def _enough(leaving: AbstractSet[int], before: Iterable[Departure], windows: Iterable[_Window]) -> int:
    if not leaving:
        return 0
    most = len(leaving | {one.person for one in before})
    return max(
        (-(-most * 100 // percent) for _, absolute, percent in windows if percent and most > absolute), default=0
    )
