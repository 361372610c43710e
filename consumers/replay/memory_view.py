"""The questions of :mod:`consumers.publication.view`, answered from facts and a target in memory."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final

import msgspec

from consumers.facts.pending_changes import Days, Pending
from consumers.publication.view import Held, Ids, Related
from consumers.published.logins_store import LoginHolders
from consumers.replay.memory_target import MemoryTarget
from ims.holds.limits import DAY, Departure, PublishedCounts
from ims.holds.losses import count_taught, count_teachers
from ims.identifiers.national_id import shared_number
from ims.publication.gathered import Published, Scope
from ims.records.logins import published_names
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.org_groups import SCHOOL_PREFIX
from ims.rules.shared_ids import PublishedIds
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings

LONG_ID: Final = 10_000_000_000
"""From here on a running number has as many digits as a national id."""
_OLD_ID: Final = re.compile('sourcedidtype="Old".*?<id>([^<]*)</id>', re.DOTALL)


class MemoryView:
    """A view of a target and its owner.

    Args:
        facts: all facts of the owner.
    """

    def __init__(self, facts: Facts, target: MemoryTarget) -> None:
        self._facts = facts
        self._target = target

    def facts(self, persons: Collection[int], groups: Collection[int] | None) -> Facts:
        """Return the facts about *persons* and *groups*; see :meth:`OwnerView.facts`."""
        asked, all_ = frozenset(persons), self._facts
        enrolments = {id_: one for id_, one in all_.enrolments.items() if one.person_id in asked}
        wanted = () if groups is None else {*groups, *(one.group_id for one in enrolments.values())}
        return Facts(
            owner=all_.owner,
            schools=all_.schools,
            persons={id_: all_.persons[id_] for id_ in persons if id_ in all_.persons},
            employees={id_: one for id_, one in all_.employees.items() if one.person_id in asked},
            groups={id_: all_.groups[id_] for id_ in wanted if id_ in all_.groups},
            enrolments=enrolments,
            suppressed=all_.suppressed & asked,
            leave_now=all_.leave_now & asked,
        )

    def course_groups(self) -> Facts:
        """Return all course groups and schools; see :meth:`OwnerView.course_groups`."""
        return msgspec.structs.replace(self._facts, owner=None, persons={}, employees={}, enrolments={})

    def with_same_national_id(self, persons: Collection[int]) -> list[int]:
        """Return *persons* and all others with their national ids; see :meth:`OwnerView.with_same_national_id`."""
        numbers = {self._numbers[id_] for id_ in persons if id_ in self._numbers}
        same = {id_ for id_, number in self._numbers.items() if number in numbers}
        same |= {id_ for id_ in self._facts.persons if id_ >= LONG_ID and str(id_) in numbers}
        long = {str(id_) for id_ in persons if id_ >= LONG_ID}
        return sorted({*persons, *same, *(id_ for id_, number in self._numbers.items() if number in long)})

    def orders_to_leave(self, _persons: Collection[int], _through: int) -> dict[int, bool]:
        """Return no orders: a replay has none."""
        return {}

    def owner_settings(self) -> list[TargetSettings]:
        """Return nothing: only orders to leave need it, and a replay has none."""
        return []

    def everything(self) -> Scope:
        """Return every person and group; see :meth:`View.everything`."""
        persons, groups = set(self._facts.persons), set(self._facts.groups)
        for person, group in self._target.subjects.values():
            if person is not None:
                persons.add(person)
            if group is not None:
                groups.add(group)
        for kind, id_ in self._target.excluded:
            (persons if kind is RecordKind.PERSON else groups).add(id_)
        return Scope(sorted(persons), sorted(groups))

    def affected_groups(self, changes: Pending, days: Days | None) -> list[int]:
        """Return the groups that *changes* or *days* affect; see :meth:`View.affected_groups`."""
        facts, schools = self._facts, changes.schools
        groups = set(changes.groups) | {id_ for id_, group in facts.groups.items() if group.school_id in schools}
        groups |= self._duplicates(RecordKind.GROUP)
        if days is not None:
            lead, grace = timedelta(days=days.lead), timedelta(days=days.grace)
            for id_, one in facts.groups.items():
                if has_begun(one.starts_on, days, lead) or has_ended(one.ends_on, days, grace):
                    groups.add(id_)
        if schools:
            # A school's new number may be a group's published id.
            for key, (_, group) in self._target.subjects.items():
                if key.kind is RecordKind.GROUP and group is not None and key.id.startswith(SCHOOL_PREFIX):
                    groups.add(group)
        return sorted(groups)

    def affected_persons(self, changes: Pending, groups: Collection[int], days: Days | None) -> list[int]:
        """Return the persons that *changes*, *groups* or *days* affect; see :meth:`View.affected_persons`."""
        facts, of, schools = self._facts, frozenset(groups), changes.schools
        persons = set(changes.persons) | {one.person_id for one in facts.enrolments.values() if one.group_id in of}
        persons |= {person for person, group in self._target.subjects.values() if person is not None and group in of}
        persons |= {one.person_id for one in facts.employees.values() if one.school_id in schools}
        persons |= self._duplicates(RecordKind.PERSON)
        if days is not None:
            for one in facts.enrolments.values():
                if has_begun(one.starts_on, days, timedelta()) or has_ended(one.ends_on, days, timedelta()):
                    persons.add(one.person_id)
            persons |= self._waiting_for_logins(days)
        if schools:
            persons |= set(self._members_of_removed_schools())
        return self.with_same_national_id(persons)

    def published(self, scope: Scope) -> Published:
        """Return what was published about *scope*; see :meth:`View.published`."""
        persons, groups = frozenset(scope.persons), frozenset(scope.groups)
        found = Published({}, {})
        for key, (person, group) in self._target.subjects.items():
            if person in persons or (key.kind is RecordKind.GROUP and (group is None or group in groups)):
                found.texts[key], found.subjects[key] = self._target.published[key], (person, group)
        return found

    def related(self, ids: Ids) -> Related:
        """Return the persons and groups related to *ids*; see :meth:`View.related`."""
        subjects, current, before = self._target.subjects, set(ids.current), set(ids.published)
        keys = {RecordKey(RecordKind.PERSON, id_) for id_ in current}
        if ids.old_ids:
            keys |= {key for key, old_id in self._old_ids() if old_id in current}
        persons = {person for key in keys & subjects.keys() if (person := subjects[key][0]) is not None}
        persons |= {id_ for id_, number in self._numbers.items() if number in before}
        for holders in self.login_holders(ids.wanted_logins).published.values():
            persons |= set(holders.values())
        free = frozenset(ids.free_logins)
        persons |= {person for person, of in self._target.denied.items() if not free.isdisjoint(of)}
        return Related(persons, {id_ for id_ in ids.groups if RecordKey(RecordKind.GROUP, id_) in subjects})

    def held(self, scope: Scope) -> Held:
        """Return what waits, and whether *scope* affects it; see :meth:`View.held`."""
        waiting, subjects, persons = self._target.waiting, self._target.subjects, frozenset(scope.persons)
        found = (subjects.get(RecordKey(RecordKind.GROUP, id_), (None, None)) for id_ in waiting.groups)
        groups = {group for _, group in found if group is not None}
        touched = not groups.isdisjoint(scope.groups) or any(
            key.kind is RecordKind.MEMBERSHIP and key.id in waiting.groups and person in persons
            for key, (person, _) in subjects.items()
        )
        return Held(waiting, groups, touched)

    def departures(self, now: datetime) -> list[Departure]:
        """Return the departures in the day before *now*; see :meth:`View.departures`."""
        return [one for one in self._target.departures if one.at > now - DAY]

    def published_counts(self, enough: PublishedCounts) -> PublishedCounts:
        """Count the published persons and teachers; see :meth:`View.published_counts`."""
        published = self._target.published
        kinds = Counter(key.kind for key in published)
        counted = PublishedCounts(
            persons=kinds[RecordKind.PERSON],
            teachers=count_teachers(published) if enough.teachers else 0,
            memberships=kinds[RecordKind.MEMBERSHIP],
            teacher_memberships=count_taught(published) if enough.teacher_memberships else 0,
            groups=kinds[RecordKind.GROUP],
        )
        return PublishedCounts(*map(min, counted, enough))

    def login_holders(self, logins: Collection[str]) -> LoginHolders:
        """Return who has these logins; see :meth:`View.login_holders`."""
        asked, target = frozenset(logins), self._target
        published: dict[str, dict[str, int]] = {}
        for key, text in target.published.items():
            for login in asked & published_names(text).compared().both() if key.kind is RecordKind.PERSON else ():
                published.setdefault(login, {})[key.id] = target.subjects[key][0] or 0
        left = {login: one for login, one in target.former_logins.items() if login in asked}
        return LoginHolders(published, left)

    def published_ids(self, persons: Collection[int], groups: Collection[int]) -> PublishedIds:
        """Return the ids of these persons and groups; see :meth:`View.published_ids`."""
        subjects, of_persons, of_groups = self._target.subjects, frozenset(persons), frozenset(groups)
        return PublishedIds(
            {n: key.id for key, (n, _) in subjects.items() if key.kind is RecordKind.PERSON and n in of_persons},
            {n: key.id for key, (_, n) in subjects.items() if key.kind is RecordKind.GROUP and n in of_groups},
        )

    def urgent(self) -> frozenset[int]:
        """Return no persons: a replay has no orders to leave."""
        return frozenset()

    @cached_property
    def _numbers(self) -> dict[int, str]:
        """Return each person's national id in the form in which two are compared."""
        return {
            id_: number
            for id_, person in self._facts.persons.items()
            if person.national_id is not None and (number := shared_number(person.national_id.reveal())) is not None
        }

    def _waiting_for_logins(self, days: Days) -> set[int]:
        """Return the persons who were published without a login that is reserved no more."""
        reserved, target = timedelta(days=days.login_reserved), self._target
        free = {
            login
            for login, (_, left_on) in target.former_logins.items()
            if days.published < left_on + reserved <= days.today
        }
        return {person for person, of in target.denied.items() if not free.isdisjoint(of)}

    def _duplicates(self, kind: RecordKind) -> set[int]:
        excluded = self._target.excluded.items()
        return {id_ for (of, id_), reason in excluded if of is kind and reason is Reason.DUPLICATE_ID}

    def _old_ids(self) -> Iterator[tuple[RecordKey, str]]:
        for key, text in self._target.published.items():
            if key.kind is RecordKind.PERSON and (found := _OLD_ID.search(text)) is not None:
                yield key, found[1]

    def _members_of_removed_schools(self) -> Iterator[int]:
        """Yield the published members of schools that no longer exist, even if they are not employed there now."""
        schools = self._facts.schools.values()
        known = {f"{SCHOOL_PREFIX}{school.school_no.strip(' ')}" for school in schools if school.school_no is not None}
        subjects = self._target.subjects
        removed = {
            key.id
            for key, (_, group) in subjects.items()
            if key.kind is RecordKind.GROUP
            and group is None
            and key.id.startswith(SCHOOL_PREFIX)
            and key.id not in known
        }
        for key, (person, _) in subjects.items():
            if key.kind is RecordKind.MEMBERSHIP and key.id in removed and person is not None:
                yield person


def has_begun(starts_on: date | None, days: Days, lead: timedelta) -> bool:
    """Return whether something has begun between two days, *lead* before its first day."""
    return starts_on is not None and days.published + lead < starts_on <= days.today + lead


def has_ended(ends_on: date | None, days: Days, grace: timedelta) -> bool:
    """Return whether something has ended between two days, *grace* after its last day."""
    return ends_on is not None and days.published - grace <= ends_on < days.today - grace
