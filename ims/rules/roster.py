"""From facts to records: what a target's importer should know today, and why somebody or something is not in it.

Two persons, or two groups, that would be told under one id are told not at all: an importer would take them for one,
and give each the other's access. So that this comes out the same whoever asks, the caller asks for all persons with
the same national id together, and its facts hold all groups that have the same id as one of those asked for
(:func:`ims.rules.group_records.group_id`), and all the owner's schools.
"""

import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from typing import NamedTuple, TypeVar

import msgspec

from ims.records.model import MemberRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import (
    TARGET_RULES,
    Reason,
    TargetCase,
    first_reason,
    is_effective,
    is_teacher,
    membership_day,
)
from ims.rules.group_records import exported_group, group_outcome
from ims.rules.normalisation import RecordWarning
from ims.rules.org_groups import OrgGroups, org_groups
from ims.rules.overrides import same_persons
from ims.rules.person_records import ExportedPerson, exported_person
from ims.source.facts import Enrolment, Facts
from ims.targets.target_settings import TargetSettings, source_of


class Roster(msgspec.Struct, frozen=True):
    """What is so today of the persons and groups asked for.

    Attributes:
        records: by key: persons, groups, and the persons' memberships in exported groups. The groups that stand for the
            owner and its schools are always among them, if the target has such groups at all.
        subjects: for each key, the running numbers of the person and the course group it is about; ``None`` where it is
            about no person, or no course group.
        excluded: for each person and group that exists and is not exported, its one first reason.
        warnings: for each person and course group that is exported, what was not as it should be; only where something
            was not.
    """

    records: dict[RecordKey, Record]
    subjects: dict[RecordKey, tuple[int | None, int | None]]
    excluded: dict[tuple[RecordKind, int], Reason]
    warnings: dict[tuple[RecordKind, int], tuple[RecordWarning, ...]] = {}

    @property
    def person_ids(self) -> dict[int, str]:
        """``sourcedid/id`` of the persons who are exported, by running number."""
        return {
            person: key.id
            for key, (person, _) in self.subjects.items()
            if key.kind is RecordKind.PERSON and person is not None
        }

    def add(self, record: Record, person: int | None, group: int | None) -> None:
        """Add a record, and whose it is."""
        key = record.key
        self.records[key] = record
        self.subjects[key] = (person, group)


class PublishedGroups(msgspec.Struct, frozen=True):
    """What has to be known of an owner's groups in order to work out its persons, in however many parts.

    Attributes:
        reason: why nobody and nothing of the owner is told, or ``None``.
        source: ``sourcedid/source`` of every record.
        places: the groups that are exported, by running number.
        org: the groups that stand for the owner and its schools.
    """

    reason: Reason | None
    source: str
    places: dict[int, "_Place"]
    org: OrgGroups


class _Place(NamedTuple):
    """Where one can be a member: the group's ``sourcedid/id``, the day whose enrolments count, and its school."""

    id: str
    day: date
    school_id: int


def roster_of(
    facts: Facts,
    settings: TargetSettings,
    *,
    orgnr: str,
    today: date,
    persons: Collection[int],
    groups: Collection[int],
) -> Roster:
    """The records of some persons and groups as they are today.

    Args:
        orgnr: the target's organisation number, for ``sourcedid/source`` and the owner's group.
        today: the date in the target's time zone.
        persons: running numbers; those not in *facts* lead to neither a record nor a reason.
        groups: ids of groups; likewise.
    """
    roster, published = roster_of_groups(facts, settings, orgnr=orgnr, today=today, groups=groups)
    _add_persons(roster, facts, settings, published, persons)
    return roster


def roster_of_groups(
    facts: Facts, settings: TargetSettings, *, orgnr: str, today: date, groups: Collection[int]
) -> tuple[Roster, PublishedGroups]:
    """The records of some groups, and what :func:`roster_of_persons` has to know of all groups in *facts*.

    The arguments are those of :func:`roster_of`.
    """
    roster, source = Roster({}, {}, {}), source_of(settings, orgnr)
    asked = [id_ for id_ in groups if id_ in facts.groups]
    reason = first_reason(TARGET_RULES, TargetCase(settings, facts.owner))
    if reason is not None:
        roster.excluded.update({(RecordKind.GROUP, id_): reason for id_ in asked})
        return roster, PublishedGroups(reason, source, {}, OrgGroups())
    org = org_groups(facts, settings, source, orgnr)
    outcomes = {id_: group_outcome(group, facts, settings, today) for id_, group in facts.groups.items()}
    outcomes = _without_duplicates(outcomes, str, org.records.keys())
    for id_ in asked:
        outcome = outcomes[id_]
        if isinstance(outcome, Reason):
            roster.excluded[RecordKind.GROUP, id_] = outcome
            continue
        group = exported_group(facts.groups[id_], outcome, facts, settings, source, org)
        roster.add(group.record, None, id_)
        if group.warnings:
            roster.warnings[RecordKind.GROUP, id_] = group.warnings
    for record in org.records.values():
        roster.add(record, None, None)
    places = {
        id_: _Place(outcome, membership_day(facts.groups[id_], today), facts.groups[id_].school_id)
        for id_, outcome in outcomes.items()
        if not isinstance(outcome, Reason)
    }
    return roster, PublishedGroups(None, source, places, org)


def roster_of_persons(
    facts: Facts, settings: TargetSettings, published: PublishedGroups, persons: Collection[int]
) -> Roster:
    """The records of some persons and their memberships, once the groups are known.

    Args:
        facts: needs no groups.
        published: of facts that had all groups in which the persons are enrolled.
        persons: running numbers; those not in *facts* lead to neither a record nor a reason.
    """
    roster = Roster({}, {}, {})
    _add_persons(roster, facts, settings, published, persons)
    return roster


def _add_persons(
    roster: Roster, facts: Facts, settings: TargetSettings, published: PublishedGroups, persons: Collection[int]
) -> None:
    asked = [id_ for id_ in persons if id_ in facts.persons]
    if published.reason is not None:
        roster.excluded.update({(RecordKind.PERSON, id_): published.reason for id_ in asked})
        return
    teachers = _teachers(facts)
    for id_, person in _persons(facts, settings, published, asked, teachers).items():
        if isinstance(person, Reason):
            roster.excluded[RecordKind.PERSON, id_] = person
        else:
            _add_person(roster, id_, person, published.places)
            if published.org.schools:
                _add_to_schools(roster, id_, person, published, teachers)


def _add_person(roster: Roster, id_: int, person: ExportedPerson, places: Mapping[int, _Place]) -> None:
    record = person.record
    roster.add(record, id_, None)
    if person.warnings:
        roster.warnings[RecordKind.PERSON, id_] = person.warnings
    for group_id, role in person.roles.items():
        roster.add(MemberRecord(record.source, places[group_id].id, record.id, role), id_, group_id)


def _add_to_schools(
    roster: Roster, id_: int, person: ExportedPerson, published: PublishedGroups, teachers: Mapping[int, set[int]]
) -> None:
    learns_at = {published.places[group_id].school_id for group_id in person.learns_in}
    for school, role in published.org.roles(learns_at, teachers[id_] if person.teaches else ()).items():
        roster.add(MemberRecord(person.record.source, school, person.id, role), id_, None)


_Exported = TypeVar("_Exported", str, ExportedPerson)


def _without_duplicates(
    outcomes: dict[int, _Exported | Reason], id_of: Callable[[_Exported], str], taken: Iterable[str] = ()
) -> dict[int, _Exported | Reason]:
    """The outcomes without those of which two, or one and something of *taken*, would have the same id."""
    times = Counter(id_of(outcome) for outcome in outcomes.values() if not isinstance(outcome, Reason))
    times.update(taken)
    return {
        id_: outcome if isinstance(outcome, Reason) or times[id_of(outcome)] == 1 else Reason.DUPLICATE_ID
        for id_, outcome in outcomes.items()
    }


def _teachers(facts: Facts) -> dict[int, set[int]]:
    """The schools at which each person is employed as a teacher."""
    schools: dict[int, set[int]] = {}
    for employee in facts.employees.values():
        if is_teacher(employee, facts.schools.get(employee.school_id)):
            schools.setdefault(employee.person_id, set()).add(employee.school_id)
    return schools


def _persons(
    facts: Facts,
    settings: TargetSettings,
    published: PublishedGroups,
    asked: Collection[int],
    teachers: Mapping[int, set[int]],
) -> dict[int, ExportedPerson | Reason]:
    enrolments: dict[int, list[Enrolment]] = {id_: [] for id_ in asked}
    places = published.places
    for enrolment in facts.enrolments.values():
        place = places.get(enrolment.group_id)
        if place is not None and enrolment.person_id in enrolments and is_effective(enrolment, place.day):
            enrolments[enrolment.person_id].append(enrolment)
    suppressed, told_to_leave = same_persons(facts, facts.suppressed), same_persons(facts, facts.told_to_leave)
    outcomes = {
        id_: exported_person(
            facts.persons[id_],
            settings,
            published.source,
            enrolments[id_],
            teaches=id_ in teachers,
            suppressed=id_ in suppressed,
            told_to_leave=id_ in told_to_leave,
        )
        for id_ in asked
    }
    return _without_duplicates(outcomes, operator.attrgetter("id"))
