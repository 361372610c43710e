"""Whom change events bear on in a replay: :mod:`consumers.facts.facts_reader` in memory.

A replay compares everybody at every cut. It needs this only to tell what an event has said from what a load alone has
found gone.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import Final

from consumers.facts.facts_reader import Affected
from consumers.materialize.facts_store import ChangedKey
from ims.identifiers import compact
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason, school_number
from ims.rules.group_records import group_id
from ims.rules.org_groups import SCHOOL_PREFIX
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings

Subjects = Mapping[RecordKey, tuple[int | None, int | None]]

_NOBODY: Final = Affected([], [])


class ReplayedChanges:
    """What has changed since a target's last cut.

    Attributes:
        everything: an owner's row or a load led to looking at everybody.
    """

    def __init__(self) -> None:
        self.everything = False
        self._ids: dict[str, set[int]] = {"person": set(), "group": set(), "school": set()}

    def add(self, changes: Iterable[ChangedKey]) -> None:
        """Take note of *marks* of the target's owner."""
        for _, kind, id_ in changes:
            if kind == "owner":
                self.everything = True
            else:
                self._ids[kind].add(id_)

    def explained(
        self,
        facts: Facts,
        published: Subjects,
        excluded: Mapping[tuple[RecordKind, int], Reason],
        settings: TargetSettings,
        days: tuple[date, date] | None,
    ) -> Affected:
        """Whom events and the passing of time bear on, if everything is looked at; else it does not matter.

        Args:
            published: whom what was told is about.
            excluded: of the last cut.
            days: as for :func:`consumers.facts.facts_reader.affected`.
        """
        if not self.everything:
            return _NOBODY
        twice = {one for one, reason in excluded.items() if reason is Reason.DUPLICATE_ID}
        groups = self._ids["group"] | {id_ for kind, id_ in twice if kind is RecordKind.GROUP}
        groups |= self._groups_of_schools(facts, published) | _groups_by_date(facts, settings, days)
        groups = _with_same_id(facts, settings, groups)
        persons = self._ids["person"] | {id_ for kind, id_ in twice if kind is RecordKind.PERSON}
        persons |= {one.person_id for one in facts.enrolments.values() if one.group_id in groups}
        persons |= {person for person, group in published.values() if person is not None and group in groups}
        persons |= self._persons_of_schools(facts, published) | _persons_by_date(facts, days)
        return Affected(list(_with_same_national_id(facts, persons)), list(groups))

    def _groups_of_schools(self, facts: Facts, published: Subjects) -> set[int]:
        schools = self._ids["school"]
        found = {group.id for group in facts.groups.values() if group.school_id in schools}
        if schools:
            found |= {
                number
                for key, (_, number) in published.items()
                if key.kind is RecordKind.GROUP and number is not None and key.id.startswith(SCHOOL_PREFIX)
            }
        return found

    def _persons_of_schools(self, facts: Facts, published: Subjects) -> set[int]:
        schools = self._ids["school"]
        found = {employee.person_id for employee in facts.employees.values() if employee.school_id in schools}
        if schools:
            known = {f"{SCHOOL_PREFIX}{school_number(school)}" for school in facts.schools.values()}
            gone = {
                key.id
                for key, (_, number) in published.items()
                if key.kind is RecordKind.GROUP and number is None and key.id.startswith(SCHOOL_PREFIX)
            } - known
            found |= {
                person
                for key, (person, _) in published.items()
                if key.kind is RecordKind.MEMBERSHIP and key.id in gone and person is not None
            }
        return found


def _groups_by_date(facts: Facts, settings: TargetSettings, days: tuple[date, date] | None) -> set[int]:
    if days is None:
        return set()
    published, today = days
    lead, grace = timedelta(days=settings.lead_days), timedelta(days=settings.grace_days)
    return {
        group.id
        for group in facts.groups.values()
        if (group.starts_on is not None and published + lead < group.starts_on <= today + lead)
        or (group.ends_on is not None and published - grace <= group.ends_on < today - grace)
    }


def _persons_by_date(facts: Facts, days: tuple[date, date] | None) -> set[int]:
    if days is None:
        return set()
    published, today = days
    return {
        enrolment.person_id
        for enrolment in facts.enrolments.values()
        if published < enrolment.starts_on <= today
        or (enrolment.ends_on is not None and published <= enrolment.ends_on < today)
    }


def _with_same_id(facts: Facts, settings: TargetSettings, groups: Collection[int]) -> set[int]:
    ids = {group.id: group_id(group, facts.schools.get(group.school_id), settings) for group in facts.groups.values()}
    wanted = {ids[group] for group in groups if group in ids}
    return {*groups, *(group for group, id_ in ids.items() if id_ in wanted)}


def _with_same_national_id(facts: Facts, persons: Collection[int]) -> set[int]:
    numbers = {
        person.id: compact(person.national_id.reveal())
        for person in facts.persons.values()
        if person.national_id is not None
    }
    wanted = {numbers[person] for person in persons if person in numbers}
    return {*persons, *(person for person, number in numbers.items() if number in wanted)}
