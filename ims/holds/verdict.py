"""Which persons wait: those on hold already, those whose loss no change explains, and those who are too many."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from ims.holds.limits import Departure, Limits
from ims.holds.losses import Cause, HoldEntry, Loss

_BY_LIMIT: Final = frozenset({
    Cause.PERSONS,
    Cause.TEACHERS,
    Cause.ID_CHANGES,
    Cause.LOGINS,
    Cause.MEMBERSHIPS,
    Cause.TEACHER_MEMBERSHIPS,
})
"""Causes that depend on a number: once enough persons have come back, the rest need not wait any longer."""


class Verdict(msgspec.Struct, frozen=True):
    """The persons on hold, by running number, and the departures that are published now and count from now on."""

    held: dict[int, Cause]
    departures: list[Departure]


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
    return Verdict(held, list(_departures(going, limits)))


def _over_limits(losses: Mapping[int, Loss], limits: Limits) -> dict[int, Cause]:
    """Return who has to wait because too much is lost: all who lose it or none, since any of them may be wrong."""
    held: dict[int, Cause] = {}
    leavers = {number for number, loss in losses.items() if loss.last}
    if limits.are_broken("persons", leavers):
        held = dict.fromkeys(leavers, Cause.PERSONS)
    else:
        teachers = {number for number in leavers if losses[number].teacher}
        if limits.are_broken("teachers", teachers):
            held = dict.fromkeys(teachers, Cause.TEACHERS)
    changed = {number for number, loss in losses.items() if loss.id_changed and number not in held}
    if limits.are_broken("id_changes", changed):
        held |= dict.fromkeys(changed, Cause.ID_CHANGES)
    logins = {number for number, loss in losses.items() if loss.login_changed and number not in held}
    if limits.are_broken("logins", logins):
        held |= dict.fromkeys(logins, Cause.LOGINS)
    return held | _over_membership_limits(losses, held, limits)


def _over_membership_limits(losses: Mapping[int, Loss], held: Mapping[int, Cause], limits: Limits) -> dict[int, Cause]:
    ended = limits.memberships({number: loss for number, loss in losses.items() if number not in held})
    if limits.are_broken("memberships", ended):
        return dict.fromkeys((number for number, _ in ended), Cause.MEMBERSHIPS)
    of_teachers = {one for one in ended if losses[one[0]].teacher}
    if limits.are_broken("teacher_memberships", of_teachers):
        return dict.fromkeys((number for number, _ in of_teachers), Cause.TEACHER_MEMBERSHIPS)
    return {}


def still_loses(cause: Cause, loss: Loss) -> bool:
    """Return True if a person held for *cause* still loses what the cause is about."""
    if cause in {Cause.PERSONS, Cause.TEACHERS}:
        return loss.last
    if cause is Cause.LOGINS:
        return loss.login_changed
    if cause in {Cause.MEMBERSHIPS, Cause.TEACHER_MEMBERSHIPS, Cause.GROUPS}:
        return bool(loss.groups)
    return loss.id_changed if cause is Cause.ID_CHANGES else bool(loss)


def _departures(going: Mapping[int, Loss], limits: Limits) -> Iterable[Departure]:
    for number, loss in going.items():
        if loss.last:
            yield Departure(number, limits.now, loss.teacher)
        if loss.id_changed:
            yield Departure(number, limits.now, loss.teacher, id_change=True)
        if loss.login_changed:
            yield Departure(number, limits.now, loss.teacher, login=True)
    for number, group in sorted(limits.memberships(going)):
        yield Departure(number, limits.now, going[number].teacher, group=group)
