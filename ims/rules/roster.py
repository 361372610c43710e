"""The roster: the records that a target's importer should have today, and the reason for each exclusion.

Of two persons, or two groups, that would have the same id the one that is published under it already stays, and the
other is excluded; if neither is published, both are: an importer would take them for one, and give each the other's
access. For a result that does not depend on which persons and groups are asked for, the caller asks
for all persons with the same national id together, and passes facts with all groups that have the same id as one asked
for (:func:`ims.rules.group_records.group_id`) and with all the owner's schools.
"""

import operator
from collections.abc import Collection, Mapping
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from ims.records.model import MemberRecord, Record, RecordKey, person_ids
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
from ims.rules.overrides import with_same_national_id
from ims.rules.person_records import Candidate, ExportedPerson, exported_person
from ims.rules.shared_ids import PublishedIds, without_duplicates
from ims.source.facts import Enrolment, Facts
from ims.targets.target_settings import TargetSettings, source_of


class Roster(msgspec.Struct, frozen=True):
    """The current records of the persons and groups asked for, and the exclusions among them.

    Attributes:
        records: by key: persons, groups, and the persons' memberships in exported groups. The groups that represent the
            owner and its schools are always among them, if the target has such groups at all.
        subjects: for each key, the running numbers of the person and the course group that the record is about;
            ``None`` if it is about no person, or no course group.
        excluded: for each person and group that exists and is not exported, its one first reason.
        warnings: the warnings of each exported person and course group that has any.
    """

    records: dict[RecordKey, Record]
    subjects: dict[RecordKey, tuple[int | None, int | None]]
    excluded: dict[tuple[RecordKind, int], Reason]
    warnings: dict[tuple[RecordKind, int], tuple[RecordWarning, ...]] = {}

    @property
    def person_ids(self) -> dict[int, str]:
        """``sourcedid/id`` of each exported person, by running number."""
        return person_ids(self.subjects)

    def add(self, record: Record, person: int | None, group: int | None) -> None:
        """Add a record, and the running numbers of its subjects."""
        key = record.key
        self.records[key] = record
        self.subjects[key] = (person, group)


class ExportedGroups(msgspec.Struct, frozen=True):
    """What :func:`roster_of_persons` needs to know of an owner's groups.

    Kept apart, so that the persons of a large owner can be evaluated in parts and the groups only once.

    Attributes:
        reason: why no person and no group of the owner is exported, or ``None``.
        source: ``sourcedid/source`` of every record.
        places: the exported groups, by running number.
        org: the groups that represent the owner and its schools.
    """

    reason: Reason | None
    source: str
    places: dict[int, "_Place"]
    org: OrgGroups


class _Place(NamedTuple):
    """A group in which persons can be members: its ``sourcedid/id``, the day whose enrolments count, and its school."""

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
    published: PublishedIds = PublishedIds(),  # noqa: B008 - it is immutable
) -> Roster:
    """Return the current records of some persons and groups.

    Args:
        orgnr: the target's organisation number, for ``sourcedid/source`` and the owner's group.
        today: the date in the target's time zone.
        persons: running numbers; those not in *facts* give neither a record nor a reason.
        groups: running numbers of course groups; likewise.
        published: under which ids the persons, and all groups in *facts*, are published; needed only if several would
            have the same id.
    """
    roster, exported = roster_of_groups(
        facts, settings, orgnr=orgnr, today=today, groups=groups, first=published.groups
    )
    _add_persons(roster, facts, settings, exported, persons, published.persons)
    return roster


def roster_of_groups(
    facts: Facts,
    settings: TargetSettings,
    *,
    orgnr: str,
    today: date,
    groups: Collection[int],
    first: Mapping[int, str] = MappingProxyType({}),
) -> tuple[Roster, ExportedGroups]:
    """Return the records of some groups, and what :func:`roster_of_persons` needs to know of all groups in *facts*.

    The arguments are those of :func:`roster_of`; *first* are the ids under which groups are published.
    """
    roster, source = Roster({}, {}, {}), source_of(settings, orgnr)
    asked = [id_ for id_ in groups if id_ in facts.groups]
    reason = first_reason(TARGET_RULES, TargetCase(settings, facts.owner))
    if reason is not None:
        roster.excluded.update({(RecordKind.GROUP, id_): reason for id_ in asked})
        return roster, ExportedGroups(reason, source, {}, OrgGroups())
    org = org_groups(facts, settings, source, orgnr)
    outcomes = {id_: group_outcome(group, facts, settings, today) for id_, group in facts.groups.items()}
    outcomes, shared = without_duplicates(outcomes, str, first, org.records.keys())
    for id_ in asked:
        outcome = outcomes[id_]
        if isinstance(outcome, Reason):
            roster.excluded[RecordKind.GROUP, id_] = outcome
            continue
        group = exported_group(facts.groups[id_], outcome, facts, settings, source, org)
        roster.add(group.record, None, id_)
        warnings = _with_duplicate(group.warnings, shared=outcome in shared)
        if warnings:
            roster.warnings[RecordKind.GROUP, id_] = warnings
    for record in org.records.values():
        roster.add(record, None, None)
    places = {
        id_: _Place(outcome, membership_day(facts.groups[id_], today), facts.groups[id_].school_id)
        for id_, outcome in outcomes.items()
        if not isinstance(outcome, Reason)
    }
    return roster, ExportedGroups(None, source, places, org)


def roster_of_persons(
    facts: Facts, settings: TargetSettings, exported: ExportedGroups, persons: Collection[int]
) -> Roster:
    """Return the records of some persons and their memberships, once the groups are known.

    Args:
        facts: needs no groups.
        exported: of facts that had all groups in which the persons are enrolled.
        persons: running numbers; those not in *facts* give neither a record nor a reason.
    """
    roster = Roster({}, {}, {})
    _add_persons(roster, facts, settings, exported, persons)
    return roster


def _add_persons(
    roster: Roster,
    facts: Facts,
    settings: TargetSettings,
    exported: ExportedGroups,
    persons: Collection[int],
    first: Mapping[int, str] = MappingProxyType({}),
) -> None:
    asked = [id_ for id_ in persons if id_ in facts.persons]
    if exported.reason is not None:
        roster.excluded.update({(RecordKind.PERSON, id_): exported.reason for id_ in asked})
        return
    teachers = _teachers(facts)
    outcomes = _persons(facts, settings, exported, asked, teachers)
    outcomes, shared = without_duplicates(outcomes, operator.attrgetter("id"), first)
    for id_, person in outcomes.items():
        if isinstance(person, Reason):
            roster.excluded[RecordKind.PERSON, id_] = person
        else:
            _add_person(roster, id_, person, exported.places)
            if person.id in shared:
                roster.warnings[RecordKind.PERSON, id_] = _with_duplicate(person.warnings, shared=True)
            if exported.org.schools:
                _add_to_schools(roster, id_, person, exported, teachers)


def _add_person(roster: Roster, id_: int, person: ExportedPerson, places: Mapping[int, _Place]) -> None:
    record = person.record
    roster.add(record, id_, None)
    if person.warnings:
        roster.warnings[RecordKind.PERSON, id_] = person.warnings
    for group_id, role in person.roles.items():
        roster.add(MemberRecord(record.source, places[group_id].id, record.id, role), id_, group_id)


def _add_to_schools(
    roster: Roster, id_: int, person: ExportedPerson, exported: ExportedGroups, teachers: Mapping[int, set[int]]
) -> None:
    learns_at = {exported.places[group_id].school_id for group_id in person.learns_in}
    for school, role in exported.org.roles(learns_at, teachers[id_] if person.teaches else ()).items():
        roster.add(MemberRecord(person.record.source, school, person.id, role), id_, None)


def _with_duplicate(warnings: tuple[RecordWarning, ...], *, shared: bool) -> tuple[RecordWarning, ...]:
    """Return the warnings of a person or group that stays though another one has the same id."""
    return (*warnings, RecordWarning.REGISTERED_TWICE) if shared else warnings


def _teachers(facts: Facts) -> dict[int, set[int]]:
    """Return the schools at which each person is employed as a teacher."""
    schools: dict[int, set[int]] = {}
    for employee in facts.employees.values():
        if is_teacher(employee, facts.schools.get(employee.school_id)):
            schools.setdefault(employee.person_id, set()).add(employee.school_id)
    return schools


def _persons(
    facts: Facts,
    settings: TargetSettings,
    exported: ExportedGroups,
    asked: Collection[int],
    teachers: Mapping[int, set[int]],
) -> dict[int, ExportedPerson | Reason]:
    enrolments: dict[int, list[Enrolment]] = {id_: [] for id_ in asked}
    places = exported.places
    for enrolment in facts.enrolments.values():
        place = places.get(enrolment.group_id)
        if place is not None and enrolment.person_id in enrolments and is_effective(enrolment, place.day):
            enrolments[enrolment.person_id].append(enrolment)
    protected = with_same_national_id(facts, (id_ for id_, person in facts.persons.items() if person.protected))
    suppressed = with_same_national_id(facts, facts.suppressed)
    leave_now = with_same_national_id(facts, facts.leave_now)
    return {
        id_: exported_person(
            Candidate(
                facts.persons[id_],
                enrolments[id_],
                id_ in teachers,
                protected=id_ in protected,
                suppressed=id_ in suppressed,
                leave_now=id_ in leave_now,
            ),
            settings,
            exported.source,
        )
        for id_ in asked
    }
