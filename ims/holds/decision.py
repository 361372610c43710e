"""A cut with what has to wait taken out of it: that stays as it was told, and everything else goes on.

A person who waits is frozen whole. Nothing is told about them, under the id that was told or a new one, and nothing
about whoever has taken over one of these ids, until they are released; a person told in part would be two persons, or
nobody, to an importer. A group stands as long as a membership in it does.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

import msgspec

from ims.holds.limits import Departure, Limits, Verdict, judge, still
from ims.holds.losses import NEVER_HELD, Cause, Loss, Waits
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason, has_school_number
from ims.rules.roster import Roster
from ims.source.facts import Facts
from ims.xml.reader import read_fragment

_OF_GROUPS: Final = frozenset({Cause.SETTING, Cause.RESYNC, Cause.SCHOOL_NUMBER})
"""Causes for which a group's removal waits on its own account."""


class Compared(msgspec.Struct, frozen=True):
    """What was told of the persons and groups that a cut looks at, and what is so now.

    Attributes:
        published: as for :func:`ims.feed.delta.between`.
        published_ids: the ``sourcedid/id`` told of these persons, by running number.
    """

    published: Mapping[RecordKey, str]
    published_ids: Mapping[int, str]
    roster: Roster


class Waiting(msgspec.Struct, frozen=True):
    """Who has waited until now: persons by running number, groups by ``sourcedid/id``."""

    persons: Mapping[int, Waits] = {}
    groups: Mapping[str, Waits] = {}

    def __bool__(self) -> bool:
        return bool(self.persons or self.groups)


class Origin(msgspec.Struct, frozen=True):
    """Where a cut's removals come from.

    Attributes:
        due_to: ``SETTING`` when the settings alone have changed since the last cut, ``RESYNC`` when a load made the cut
            look at everybody, else ``None``.
        told_by_events: persons and groups that change events, or dates, led to: theirs are no removals by a load.
        lost_number: groups that are gone because their school has no number any more.
        teachers_of_such: persons who would be teachers if their school had a number.
    """

    due_to: Cause | None = None
    told_by_events: tuple[AbstractSet[int], AbstractSet[str]] = (frozenset(), frozenset())
    lost_number: AbstractSet[str] = frozenset()
    teachers_of_such: AbstractSet[int] = frozenset()

    def of_person(self, number: int, loss: Loss) -> Cause | None:
        """Why a person's loss has to wait whatever the limits say, if it has to."""
        if self.due_to is not None and number not in self.told_by_events[0]:
            return self.due_to
        without = not self.lost_number.isdisjoint(loss.groups) or (
            loss.last and loss.teacher and number in self.teachers_of_such
        )
        return Cause.SCHOOL_NUMBER if without else None

    def of_group(self, id_: str) -> Cause | None:
        """Why a group's removal has to wait, if it has to."""
        if self.due_to is not None and id_ not in self.told_by_events[1]:
            return self.due_to
        return Cause.SCHOOL_NUMBER if id_ in self.lost_number else None


class Decision(msgspec.Struct, frozen=True):
    """A cut without what waits.

    Attributes:
        published: what was told, without that of which nothing is told now.
        roster: what is so, likewise; the reasons why somebody is left out are all there.
        waiting: who waits from now on.
        departures: who is told to leave, or under another id, and counts against the limits from now on.
    """

    published: Mapping[RecordKey, str]
    roster: Roster
    waiting: Waiting = Waiting()
    departures: list[Departure] = []

    def with_all_published(
        self,
        published: Mapping[RecordKey, str],
        subjects: Mapping[RecordKey, tuple[int | None, int | None]],
        source: str,
    ) -> "Decision":
        """This one, with what waits in it as it was told, to be told in another dialect or under another source.

        A file has one dialect and one ``sourcedid/source``, whoever waits.

        Args:
            published: all that was told, what waits included.
            subjects: whom what waits was told about.
            source: ``sourcedid/source`` now.

        Raises:
            FeedError: a told text cannot be read.
        """
        frozen = {
            key: msgspec.structs.replace(read_fragment(key, published[key]), source=source)
            for key in published.keys() - self.published.keys()
        }
        roster = msgspec.structs.replace(
            self.roster,
            records=self.roster.records | frozen,
            subjects=self.roster.subjects | {key: subjects[key] for key in frozen},
        )
        return msgspec.structs.replace(self, published=published, roster=roster)


def decide(
    compared: Compared,
    losses: Mapping[int, Loss],
    gone: Collection[str],
    origin: Origin,
    waiting: Waiting,
    limits: Limits,
    now: datetime,
) -> Decision:
    """Take out of a cut what has to wait.

    Args:
        losses: of the persons compared (:func:`ims.holds.losses.losses`).
        gone: the groups that were told and are no more (:func:`ims.holds.losses.gone_groups`).
        waiting: all who have waited until now if the cut looks at one of them, which is then at all of them; else
            nobody.
    """
    never_held = frozenset(n for n in compared.published_ids if _reason(compared.roster, n) in NEVER_HELD)
    inferred = {number: cause for number, loss in losses.items() if (cause := origin.of_person(number, loss))}
    own = {number: waits for number, waits in waiting.persons.items() if waits.own}
    verdict = judge(losses, never_held, inferred, own, limits, now)
    causes = _with_followers(verdict.waits, compared, never_held)
    persons = {number: _waits(number, cause, losses.get(number, Loss()), verdict) for number, cause in causes.items()}
    ids = _ids(causes, compared) - {compared.published_ids[number] for number in never_held}
    groups = _groups(compared.published, gone, origin, waiting.groups, _cause_by_id(causes, compared))
    departures = [departure for departure in verdict.departures if departure.person not in causes]
    return Decision(
        {key: text for key, text in compared.published.items() if not _is_frozen(key, ids, groups)},
        _without_held(compared.roster, ids, causes),
        Waiting(persons, groups),
        departures,
    )


def _waits(number: int, cause: Cause, loss: Loss, verdict: Verdict) -> Waits:
    return Waits(cause, loss, own=number in verdict.waits or still(cause, loss))


def groups_without_school_number(roster: Roster) -> list[int]:
    """Running numbers of the groups that are left out because their school has no number."""
    return [
        id_
        for (kind, id_), reason in roster.excluded.items()
        if kind is RecordKind.GROUP and reason is Reason.SCHOOL_WITHOUT_NUMBER
    ]


def has_school_without_number(facts: Facts) -> bool:
    """Whether a school of the owner has no number: then a school's group is gone because of that."""
    return not all(map(has_school_number, facts.schools.values()))


def teachers_without_school_number(facts: Facts) -> frozenset[int]:
    """Persons who are employed as active teachers at a school that has no school number."""
    without = {school.id for school in facts.schools.values() if not has_school_number(school)}
    return frozenset(
        employee.person_id
        for employee in facts.employees.values()
        if employee.kind == "teacher" and employee.active and employee.school_id in without
    )


def _reason(roster: Roster, number: int) -> Reason | None:
    return roster.excluded.get((RecordKind.PERSON, number))


def _with_followers(waits: Mapping[int, Cause], compared: Compared, never_held: AbstractSet[int]) -> dict[int, Cause]:
    """Those who wait, and whoever has, or had, an id of one of them; these wait for the same cause."""
    causes = dict(waits)
    if not causes:
        return causes
    current = compared.roster.person_ids
    sharing: dict[str, set[int]] = defaultdict(set)
    for ids in (compared.published_ids, current):
        for number, id_ in ids.items():
            sharing[id_].add(number)
    look_at = list(causes)
    while look_at:
        number = look_at.pop()
        for id_ in _ids_of(number, compared.published_ids, current):
            for other in sharing[id_] - causes.keys() - never_held:
                causes[other] = causes[number]
                look_at.append(other)
    return causes


def _ids_of(number: int, *ids: Mapping[int, str]) -> Iterator[str]:
    for one in ids:
        if number in one:
            yield one[number]


def _ids(numbers: Iterable[int], compared: Compared) -> set[str]:
    current = compared.roster.person_ids
    return {id_ for number in numbers for id_ in _ids_of(number, compared.published_ids, current)}


def _cause_by_id(causes: Mapping[int, Cause], compared: Compared) -> dict[str, Cause]:
    return {
        compared.published_ids[number]: cause for number, cause in causes.items() if number in compared.published_ids
    }


def _groups(
    published: Mapping[RecordKey, str],
    gone: Collection[str],
    origin: Origin,
    waiting: Mapping[str, Waits],
    frozen: Mapping[str, Cause],
) -> dict[str, Waits]:
    """The removals of groups that wait: for a cause of their own, or because a member does."""
    found = {}
    for id_ in gone:
        before = waiting.get(id_)
        if before is not None and before.own and before.cause in _OF_GROUPS:
            cause = None if before.approved else before.cause
        else:
            cause = origin.of_group(id_)
        if cause is not None:
            found[id_] = Waits(cause)
    without = set(gone) - found.keys()
    if without and frozen:
        for key in published:
            if key.kind is RecordKind.MEMBERSHIP and key.id in without and key.member in frozen:
                found.setdefault(key.id, Waits(frozen[key.member], own=False))
    return found


def _is_frozen(key: RecordKey, persons: AbstractSet[str], groups: Mapping[str, Waits]) -> bool:
    return key.id in groups if key.kind is RecordKind.GROUP else (key.member or key.id) in persons


def _without_held(roster: Roster, ids: AbstractSet[str], persons: Mapping[int, Cause]) -> Roster:
    """The roster without the records of those who wait, and those under one of their ids."""
    if not persons:
        return roster
    kept = {
        key: record
        for key, record in roster.records.items()
        if key.kind is RecordKind.GROUP
        or ((key.member or key.id) not in ids and roster.subjects[key][0] not in persons)
    }
    return Roster(kept, {key: roster.subjects[key] for key in kept}, roster.excluded, roster.warnings)
