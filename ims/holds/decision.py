"""Take out of a publication what has to wait for an approval; the importer keeps it as published, all else goes on.

A person on hold is frozen as a whole: no record of them is published, under the published id or a new one, and none of
another person who has taken over one of these ids, until the hold is resolved. If only some of a person's records were
published, the importer would see two persons, or none. A group stays as long as a membership in it is held.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from ims.holds.limits import Departure, Limits
from ims.holds.losses import NEVER_HELD, Cause, HoldEntry, Loss
from ims.holds.verdict import Verdict, judge, still_loses
from ims.records.model import RecordKey, Subjects
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.roster import Roster
from ims.xml.reader import read_fragment

_OF_GROUPS: Final = frozenset({Cause.SETTING, Cause.RESYNC, Cause.SCHOOL_NUMBER, Cause.GROUPS})
"""Causes for which a group's removal waits even if none of its members does."""


class Compared(msgspec.Struct, frozen=True):
    """What has been published of the persons and groups in scope, and their current roster.

    Attributes:
        published: as for :func:`ims.feed.delta.between`.
        published_ids: the ``sourcedid/id`` that these persons are published under, by running number.
    """

    published: Mapping[RecordKey, str]
    published_ids: Mapping[int, str]
    roster: Roster


class Waiting(msgspec.Struct, frozen=True):
    """What is on hold: persons by running number, groups by ``sourcedid/id``."""

    persons: Mapping[int, HoldEntry] = {}
    groups: Mapping[str, HoldEntry] = {}

    def __bool__(self) -> bool:
        return bool(self.persons or self.groups)


class Origin(msgspec.Struct, frozen=True):
    """Where a publication's removals come from.

    Attributes:
        due_to: ``SETTING`` if only the settings have changed since the last publication, ``RESYNC`` if a load put all
            persons in scope, else ``None``.
        changed_by_events: persons and groups that a change event, or a date, affects. A removal of one of these was not
            inferred by a load.
        lost_number: groups that are removed because their school no longer has a school number.
        teachers_without_number: persons who would be teachers if their school had a school number.
    """

    due_to: Cause | None = None
    changed_by_events: tuple[AbstractSet[int], AbstractSet[str]] = (frozenset(), frozenset())
    lost_number: AbstractSet[str] = frozenset()
    teachers_without_number: AbstractSet[int] = frozenset()

    def of_person(self, number: int, loss: Loss) -> Cause | None:
        """Return why a person's loss has to wait whatever the limits say, or ``None``."""
        if self.due_to is not None and number not in self.changed_by_events[0] and not loss.only_login:
            return self.due_to
        without = not self.lost_number.isdisjoint(loss.groups) or (
            loss.last and loss.teacher and number in self.teachers_without_number
        )
        return Cause.SCHOOL_NUMBER if without else None

    def of_group(self, id_: str) -> Cause | None:
        """Return why a group's removal has to wait, or ``None``."""
        if self.due_to is not None and id_ not in self.changed_by_events[1]:
            return self.due_to
        return Cause.SCHOOL_NUMBER if id_ in self.lost_number else None


class Decision(msgspec.Struct, frozen=True):
    """A publication without what waits.

    Attributes:
        published: what has been published, without the records that are frozen.
        roster: the current roster, likewise; its exclusion reasons are complete.
        waiting: what is on hold from now on.
        departures: persons who are removed, or published under another id, and count against the limits from now on.
    """

    published: Mapping[RecordKey, str]
    roster: Roster
    waiting: Waiting = Waiting()
    departures: list[Departure] = []

    def with_held(
        self,
        published: Mapping[RecordKey, str],
        subjects: Subjects,
        source: str,
    ) -> "Decision":
        """Return this decision with the frozen records in it again, to be rewritten with the others.

        Needed when a target's dialect or ``sourcedid/source`` changes: a file has only one of each, so that the frozen
        records have to change with the others, though what they say stays as published.

        Args:
            published: all that has been published, the frozen records included.
            subjects: the subjects of the frozen records (:attr:`ims.rules.roster.Roster.subjects`).
            source: the new ``sourcedid/source``.

        Raises:
            FeedError: a published text cannot be read.
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
) -> Decision:
    """Take out of a publication what has to wait.

    Args:
        losses: of the persons compared (:func:`ims.holds.losses.losses`).
        gone: the published groups that are no longer in the roster (:func:`ims.holds.losses.gone_groups`).
        waiting: all that is on hold already if any of it is in scope (then all of it must be), else nothing.
        limits: the target's limits at the time of the publication.
    """
    never_held = frozenset(n for n in compared.published_ids if _reason(compared.roster, n) in NEVER_HELD)
    # A group without a member takes no access away, such as one under a number that was a slip.
    with_members = {key.id for key in compared.published if key.kind is RecordKind.MEMBERSHIP}
    counting = limits.groups(with_members.intersection(gone))
    too_many = _too_many_groups(gone, counting, origin, waiting.groups, limits)
    inferred = {
        number: cause
        for number, loss in losses.items()
        if (cause := origin.of_person(number, loss) or (None if too_many.isdisjoint(loss.groups) else Cause.GROUPS))
    }
    own = {number: entry for number, entry in waiting.persons.items() if entry.own}
    verdict = judge(losses, never_held, inferred, own, limits)
    causes = _with_followers(verdict.held, compared, never_held)
    persons = {number: _entry(number, cause, losses.get(number, Loss()), verdict) for number, cause in causes.items()}
    ids = _ids(causes, compared) - {compared.published_ids[number] for number in never_held}
    own_causes = {id_: origin.of_group(id_) or (Cause.GROUPS if id_ in too_many else None) for id_ in gone}
    groups = _groups(compared.published, own_causes, waiting.groups, _cause_by_id(causes, compared))
    departures = [departure for departure in verdict.departures if departure.person not in causes]
    departures += [
        Departure(0, limits.now, group=id_)
        for id_ in sorted(counting)
        if id_ not in groups and not (id_ in waiting.groups and waiting.groups[id_].approved)
    ]
    return Decision(
        {key: text for key, text in compared.published.items() if not _is_frozen(key, ids, groups)},
        _without_held(compared.roster, ids, causes),
        Waiting(persons, groups),
        departures,
    )


def _entry(number: int, cause: Cause, loss: Loss, verdict: Verdict) -> HoldEntry:
    return HoldEntry(cause, loss, own=number in verdict.held or still_loses(cause, loss))


def _reason(roster: Roster, number: int) -> Reason | None:
    return roster.excluded.get((RecordKind.PERSON, number))


def _with_followers(held: Mapping[int, Cause], compared: Compared, never_held: AbstractSet[int]) -> dict[int, Cause]:
    """Return the held persons and all persons who share an id with one of them, these for the same cause.

    An id is shared if it was published for the one and is the other's now, or the other way round. An importer knows a
    person by the id alone, so that publishing the other person would change the held one. Persons who share an id with
    such a follower follow as well, and so on until no person is added.
    """
    causes = dict(held)
    if not causes:
        return causes
    current = compared.roster.person_ids
    sharing: dict[str, set[int]] = defaultdict(set)
    for ids in (compared.published_ids, current):
        for number, id_ in ids.items():
            sharing[id_].add(number)
    to_visit = list(causes)
    while to_visit:
        number = to_visit.pop()
        for id_ in _ids_of(number, compared.published_ids, current):
            for other in sharing[id_] - causes.keys() - never_held:
                causes[other] = causes[number]
                to_visit.append(other)
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


def _too_many_groups(
    gone: Iterable[str], counting: Iterable[str], origin: Origin, waiting: Mapping[str, HoldEntry], limits: Limits
) -> frozenset[str]:
    """Return the removed groups that wait because they are too many, and those that have waited for that.

    Args:
        counting: those that count against the limits.
    """
    own = {id_: entry for id_, entry in waiting.items() if entry.own and entry.cause in _OF_GROUPS}
    stay = {id_ for id_, entry in own.items() if entry.cause is Cause.GROUPS and not entry.approved}
    new = {id_ for id_ in counting if id_ not in own and origin.of_group(id_) is None}
    return frozenset(stay.intersection(gone) | (new if limits.are_broken("groups", new) else set()))


def _groups(
    published: Mapping[RecordKey, str],
    gone: Mapping[str, Cause | None],
    waiting: Mapping[str, HoldEntry],
    frozen: Mapping[str, Cause],
) -> dict[str, HoldEntry]:
    """Return the removals of groups that wait: for a cause of their own, or because a member is held.

    Args:
        gone: each removed group, and the cause for which it has to wait, if any.
    """
    found = {}
    for id_, new in gone.items():
        before = waiting.get(id_)
        if before is not None and before.own and before.cause in _OF_GROUPS:
            cause = None if before.approved else before.cause
        else:
            cause = new
        if cause is not None:
            found[id_] = HoldEntry(cause)
    # The membership of a held person stays published, and a membership must not outlive its group.
    without = set(gone) - found.keys()
    if without and frozen:
        for key in published:
            if key.kind is RecordKind.MEMBERSHIP and key.id in without and key.member in frozen:
                found.setdefault(key.id, HoldEntry(frozen[key.member], own=False))
    return found


def _is_frozen(key: RecordKey, persons: AbstractSet[str], groups: Mapping[str, HoldEntry]) -> bool:
    return key.id in groups if key.kind is RecordKind.GROUP else (key.member or key.id) in persons


def _without_held(roster: Roster, ids: AbstractSet[str], persons: Mapping[int, Cause]) -> Roster:
    """Return the roster without the records of held persons, and without those under one of their ids."""
    if not persons:
        return roster
    kept = {
        key: record
        for key, record in roster.records.items()
        if key.kind is RecordKind.GROUP
        or ((key.member or key.id) not in ids and roster.subjects[key][0] not in persons)
    }
    return Roster(kept, {key: roster.subjects[key] for key in kept}, roster.excluded, roster.warnings)
