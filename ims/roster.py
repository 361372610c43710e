"""From facts to records: what a target's importer should know today, and why somebody or something is not in it.

Two persons, or two groups, that would be told under one id are told not at all: an importer would take them for one,
and give each the other's access. So that this comes out the same whoever asks, the caller asks for all persons with
the same national id together, and its facts hold all groups that have the same id as one of those asked for
(:func:`ims.group_records.group_id`), and all the owner's schools.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import TypeVar

import msgspec

from ims.eligibility import TARGET_RULES, Reason, TargetCase, first_reason, is_effective, is_teacher, membership_day
from ims.emergency import same_persons
from ims.facts import Enrolment, Facts
from ims.group_records import ExportedGroup, exported_group
from ims.org_groups import OrgGroups, org_groups
from ims.person_records import ExportedPerson, exported_person
from ims.records import MemberRecord, Record, RecordKey
from ims.targets import TargetSettings
from ims.vocabulary import RecordKind
from ims.wording import Remark


class Roster(msgspec.Struct, frozen=True):
    """What is so today of the persons and groups asked for.

    Attributes:
        records: by key: persons, groups, and the persons' memberships in exported groups. The groups that stand for the
            owner and its schools are always among them, if the target has such groups at all.
        owners: for each key, the running numbers of the person and the course group it is about; ``None`` where it is
            about no person, or no course group.
        left_out: for each person and group that exists and is not exported, its one first reason.
        warnings: for each person and course group that is exported, what was not as it should be; only where something
            was not.
    """

    records: dict[RecordKey, Record]
    owners: dict[RecordKey, tuple[int | None, int | None]]
    left_out: dict[tuple[RecordKind, int], Reason]
    warnings: dict[tuple[RecordKind, int], tuple[Remark, ...]] = {}

    @property
    def person_ids(self) -> dict[int, str]:
        """``sourcedid/id`` of the persons who are exported, by running number."""
        return {
            person: key.id
            for key, (person, _) in self.owners.items()
            if key.kind is RecordKind.PERSON and person is not None
        }

    def add(self, record: Record, person: int | None, group: int | None) -> None:
        """Add a record, and whose it is."""
        key = record.key
        self.records[key] = record
        self.owners[key] = (person, group)


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
    roster = Roster({}, {}, {})
    asked_persons = [id_ for id_ in persons if id_ in facts.persons]
    asked_groups = [id_ for id_ in groups if id_ in facts.groups]
    reason = first_reason(TARGET_RULES, TargetCase(settings, facts.owner))
    if reason is not None:
        roster.left_out.update({(RecordKind.PERSON, id_): reason for id_ in asked_persons})
        roster.left_out.update({(RecordKind.GROUP, id_): reason for id_ in asked_groups})
        return roster
    source = settings.source or f"imsfeed@{orgnr}"
    org = org_groups(facts, settings, source, orgnr)
    outcomes = _groups(facts, settings, source, today, org)
    exported = {id_: group for id_, group in outcomes.items() if isinstance(group, ExportedGroup)}
    teachers = _teachers(facts)
    for id_, person in _persons(facts, settings, source, today, asked_persons, exported, teachers).items():
        if isinstance(person, Reason):
            roster.left_out[RecordKind.PERSON, id_] = person
        else:
            _add_person(roster, id_, person, exported)
            if org.schools:
                _add_to_schools(roster, id_, person, org, facts, teachers)
    for id_ in asked_groups:
        _add_group(roster, id_, outcomes[id_])
    for record in org.records.values():
        roster.add(record, None, None)
    return roster


def _add_person(roster: Roster, id_: int, person: ExportedPerson, exported: Mapping[int, ExportedGroup]) -> None:
    record = person.record
    roster.add(record, id_, None)
    if person.remarks:
        roster.warnings[RecordKind.PERSON, id_] = person.remarks
    for group_id, role in person.roles.items():
        roster.add(MemberRecord(record.source, exported[group_id].id, record.id, role), id_, group_id)


def _add_to_schools(
    roster: Roster, id_: int, person: ExportedPerson, org: OrgGroups, facts: Facts, teachers: Mapping[int, set[int]]
) -> None:
    learns_at = {facts.groups[group_id].school_id for group_id in person.learns_in}
    for school, role in org.roles(learns_at, teachers[id_] if person.teaches else ()).items():
        roster.add(MemberRecord(person.record.source, school, person.id, role), id_, None)


def _add_group(roster: Roster, id_: int, group: ExportedGroup | Reason) -> None:
    if isinstance(group, Reason):
        roster.left_out[RecordKind.GROUP, id_] = group
        return
    roster.add(group.record, None, id_)
    if group.remarks:
        roster.warnings[RecordKind.GROUP, id_] = group.remarks


_Told = TypeVar("_Told", ExportedGroup, ExportedPerson)


def _without_duplicates(outcomes: dict[int, _Told | Reason], taken: Iterable[str] = ()) -> dict[int, _Told | Reason]:
    """The outcomes without those of which two, or one and something of *taken*, would have the same id."""
    times = Counter(told.id for told in outcomes.values() if not isinstance(told, Reason))
    times.update(taken)
    return {
        id_: told if isinstance(told, Reason) or times[told.id] == 1 else Reason.DUPLICATE_ID
        for id_, told in outcomes.items()
    }


def _groups(
    facts: Facts, settings: TargetSettings, source: str, today: date, org: OrgGroups
) -> dict[int, ExportedGroup | Reason]:
    outcomes = {id_: exported_group(group, facts, settings, source, today, org) for id_, group in facts.groups.items()}
    return _without_duplicates(outcomes, org.records.keys())


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
    source: str,
    today: date,
    asked: Collection[int],
    exported: Mapping[int, ExportedGroup],
    teachers: Mapping[int, set[int]],
) -> dict[int, ExportedPerson | Reason]:
    enrolments: dict[int, list[Enrolment]] = {id_: [] for id_ in asked}
    days = {id_: membership_day(facts.groups[id_], today) for id_ in exported}
    for enrolment in facts.enrolments.values():
        day = days.get(enrolment.group_id)
        if day is not None and enrolment.person_id in enrolments and is_effective(enrolment, day):
            enrolments[enrolment.person_id].append(enrolment)
    suppressed, told_to_leave = same_persons(facts, facts.suppressed), same_persons(facts, facts.told_to_leave)
    return _without_duplicates({
        id_: exported_person(
            facts.persons[id_],
            settings,
            source,
            enrolments[id_],
            teaches=id_ in teachers,
            suppressed=id_ in suppressed,
            told_to_leave=id_ in told_to_leave,
        )
        for id_ in asked
    })
