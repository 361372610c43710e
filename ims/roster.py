"""From facts to records: what a target's importer should know today, and why somebody or something is not in it.

Two persons, or two groups, that would be told under one id are told not at all: an importer would take them for one,
and give each the other's access. So that this comes out the same whoever asks, the caller asks for all persons with
the same national id together, and its facts hold all groups whose ids may coincide (with a ``group_id`` of ``{code}``:
those with the same code).
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date
from typing import TypeVar

import msgspec

from ims.eligibility import (
    GROUP_RULES,
    PERSON_RULES,
    TARGET_RULES,
    GroupCase,
    PersonCase,
    Reason,
    TargetCase,
    first_reason,
    is_effective,
    is_teacher,
)
from ims.facts import CourseGroup, Enrolment, Facts, Person
from ims.national_id import NationalId
from ims.numbers import compact
from ims.numbers.national import kind_of
from ims.records import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.targets import TargetSettings
from ims.text import clean_text
from ims.vocabulary import InstitutionRole, RecordKind, RoleType


class Roster(msgspec.Struct, frozen=True):
    """What is so today of the persons and groups asked for.

    Attributes:
        records: by key: persons, groups, and the persons' memberships in exported groups.
        owners: for each key, the running numbers of the person and the group it is about; ``None`` where it is
            about no person, or no group.
        left_out: for each person and group that exists and is not exported, its one first reason.
    """

    records: dict[RecordKey, Record]
    owners: dict[RecordKey, tuple[int | None, int | None]]
    left_out: dict[tuple[RecordKind, int], Reason]


class _Person(msgspec.Struct, frozen=True):
    """A person who is exported, and as what in which group (by the group's running number)."""

    record: PersonRecord
    roles: dict[int, RoleType]

    @property
    def id(self) -> str:
        return self.record.id


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
        orgnr: the target's organisation number, for ``sourcedid/source``.
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
    group_outcomes = _groups(facts, settings, source, today)
    exported = {id_: group for id_, group in group_outcomes.items() if isinstance(group, GroupRecord)}
    for id_, person in _persons(facts, settings, source, today, asked_persons, exported).items():
        _add_person(roster, id_, person, exported)
    for id_ in asked_groups:
        _add_group(roster, id_, group_outcomes[id_])
    return roster


def _add_person(roster: Roster, id_: int, person: _Person | Reason, exported: Mapping[int, GroupRecord]) -> None:
    if isinstance(person, Reason):
        roster.left_out[RecordKind.PERSON, id_] = person
        return
    record, key = person.record, person.record.key
    roster.records[key] = record
    roster.owners[key] = (id_, None)
    for group_id, role in person.roles.items():
        member = MemberRecord(record.source, exported[group_id].id, record.id, role)
        key = member.key
        roster.records[key] = member
        roster.owners[key] = (id_, group_id)


def _add_group(roster: Roster, id_: int, group: GroupRecord | Reason) -> None:
    if isinstance(group, Reason):
        roster.left_out[RecordKind.GROUP, id_] = group
        return
    roster.records[group.key] = group
    roster.owners[group.key] = (None, id_)


_Told = TypeVar("_Told", GroupRecord, _Person)


def _without_duplicates(outcomes: dict[int, _Told | Reason]) -> dict[int, _Told | Reason]:
    times = Counter(told.id for told in outcomes.values() if not isinstance(told, Reason))
    return {
        id_: told if isinstance(told, Reason) or times[told.id] == 1 else Reason.DUPLICATE_ID
        for id_, told in outcomes.items()
    }


def _groups(facts: Facts, settings: TargetSettings, source: str, today: date) -> dict[int, GroupRecord | Reason]:
    return _without_duplicates({
        id_: _group(group, facts, settings, source, today) for id_, group in facts.groups.items()
    })


def _group(
    group: CourseGroup, facts: Facts, settings: TargetSettings, source: str, today: date
) -> GroupRecord | Reason:
    school = facts.schools.get(group.school_id)
    school_no, school_name = ((school.school_no or "").strip(), school.name) if school is not None else ("", "")
    code = group.code.strip()
    # As it will stand in the file: two ids that differ only there would be told as one.
    sourcedid = clean_text(settings.group_id.format(id=group.id, code=code, school_no=school_no))
    reason = first_reason(GROUP_RULES, GroupCase(group, school, sourcedid, today))
    if reason is not None:
        return reason
    return GroupRecord(
        source=source,
        id=sourcedid,
        kind=group.kind,
        # The same code at two schools is common, and Moodle stops the import at a short name it has already.
        short=f"{code} ({school_no})",
        long=group.name,
        owner_name=facts.owner.name if facts.owner is not None else "",
        school_name=school_name,
        begin=group.starts_on.isoformat() if group.starts_on is not None else None,
        end=group.ends_on.isoformat() if group.ends_on is not None else None,
    )


def _persons(
    facts: Facts,
    settings: TargetSettings,
    source: str,
    today: date,
    asked: Collection[int],
    exported: Mapping[int, GroupRecord],
) -> dict[int, _Person | Reason]:
    enrolments: dict[int, list[Enrolment]] = {id_: [] for id_ in asked}
    for enrolment in facts.enrolments.values():
        if enrolment.person_id in enrolments and enrolment.group_id in exported and is_effective(enrolment, today):
            enrolments[enrolment.person_id].append(enrolment)
    teachers = {
        employee.person_id
        for employee in facts.employees.values()
        if is_teacher(employee, facts.schools.get(employee.school_id))
    }
    return _without_duplicates({
        id_: _person(facts.persons[id_], settings, source, enrolments[id_], teaches=id_ in teachers) for id_ in asked
    })


def _person(
    person: Person, settings: TargetSettings, source: str, enrolments: list[Enrolment], *, teaches: bool
) -> _Person | Reason:
    """A person's outcome; *enrolments* are the effective ones in exported groups."""
    learns = any(enrolment.role == "learner" for enrolment in enrolments)
    number = _valid_id(person.national_id, settings)
    reason = first_reason(PERSON_RULES, PersonCase(person, learns, teaches, number is not None, settings))
    if reason is not None:
        return reason
    counts_as_teacher = teaches and number is not None
    record = PersonRecord(
        source=source,
        id=str(person.id) if number is None or settings.person_id == "running" else number,
        login=_login(person, settings),
        given_name=person.given_name.strip(),
        family_name=person.family_name.strip(),
        email=_text(person.email),
        roles=(InstitutionRole.STAFF,) * counts_as_teacher + (InstitutionRole.STUDENT,) * learns,
    )
    return _Person(record, _roles(enrolments, counts_as_teacher=counts_as_teacher))


def _valid_id(national_id: NationalId | None, settings: TargetSettings) -> str | None:
    """The bare digits of a valid national id, else ``None``."""
    if national_id is None or kind_of(national_id, allow_test_numbers=settings.allow_test_numbers) is None:
        return None
    return compact(national_id.reveal())


def _roles(enrolments: list[Enrolment], *, counts_as_teacher: bool) -> dict[int, RoleType]:
    """One role per group: importers read only a member's first. Who both teaches and learns there is an instructor."""
    roles: dict[int, RoleType] = {}
    for enrolment in enrolments:
        if enrolment.role == "teacher" and counts_as_teacher:
            roles[enrolment.group_id] = RoleType.INSTRUCTOR
        elif enrolment.role == "learner":
            roles.setdefault(enrolment.group_id, RoleType.LEARNER)
    return roles


def _login(person: Person, settings: TargetSettings) -> str | None:
    """The first ``userid``: Feide name, else e-mail, as the target says; in lower case.

    Moodle stores the login as it is written and compares it with case, and so an account would not be found again
    when the source changes a capital letter. A text that is a national id, alone or before the ``@``, is no login:
    everybody in the LMS would read it.
    """
    candidates = {"feide": (person.feide_name, person.email), "email": (person.email,), "none": ()}[settings.login]
    for candidate in candidates:
        text = _text(candidate)
        if text is not None and not _tells_national_id(text, person.national_id):
            return text.lower()
    return None


def _tells_national_id(login: str, own: NationalId | None) -> bool:
    name = compact(login.partition("@")[0])
    if own is not None and name == compact(own.reveal()):
        return bool(name)
    return kind_of(NationalId(name), allow_test_numbers=True) is not None


def _text(value: str | None) -> str | None:
    return (value or "").strip() or None
