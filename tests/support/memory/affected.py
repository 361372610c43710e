"""Whom a cut must look at, from facts in memory; tests/contract holds it to :mod:`consumers.facts.facts_reader`."""

import re
from collections.abc import Collection, Iterable
from datetime import date, timedelta

from consumers.facts.facts_reader import Affected
from consumers.facts.pending_changes import Pending, looking_at
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.group_records import group_id
from ims.rules.roster import Roster
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings
from tests.support.memory.state import Target

Days = tuple[date, date] | None


def affected(target: Target, facts: Facts, pending: Pending, days: Days) -> Affected:
    """As :func:`consumers.facts.facts_reader.affected`."""
    settings, schools = target.row.settings, pending.schools
    lead, grace = timedelta(days=settings.lead_days), timedelta(days=settings.grace_days)
    groups = set(pending.groups) | {id_ for id_, group in facts.groups.items() if group.school_id in schools}
    for id_, group in facts.groups.items():
        if _passed(group.starts_on, days, lead) or _ended(group.ends_on, days, grace):
            groups.add(id_)
    groups |= _twice(target, RecordKind.GROUP)
    if schools:
        groups |= {group for key, (_, group) in target.subjects.items() if group is not None and _is_school(key.id)}
    groups = _with_same_id(groups, facts, settings)
    persons = set(pending.persons) | {e.person_id for e in facts.enrolments.values() if e.group_id in groups}
    persons |= {person for person, group in target.subjects.values() if person is not None and group in groups}
    persons |= {employee.person_id for employee in facts.employees.values() if employee.school_id in schools}
    nothing = timedelta()
    for e in facts.enrolments.values():
        if _passed(e.starts_on, days, nothing) or _ended(e.ends_on, days, nothing):
            persons.add(e.person_id)
    persons |= _twice(target, RecordKind.PERSON)
    if schools:
        persons |= _members_of_schools_that_are_gone(target, facts)
    return Affected(with_same_id(facts, persons), sorted(groups))


def everything(target: Target, facts: Facts) -> Affected:
    """As :func:`consumers.facts.facts_reader.everything`."""
    persons = {*facts.persons, *(person for person, _ in target.subjects.values() if person is not None)}
    groups = {*facts.groups, *(group for _, group in target.subjects.values() if group is not None)}
    for kind, id_ in target.excluded:
        (persons if kind is RecordKind.PERSON else groups).add(id_)
    return Affected(sorted(persons), sorted(groups))


def with_same_id(facts: Facts, persons: Iterable[int]) -> list[int]:
    """As :func:`consumers.facts.facts_reader.with_same_id`."""
    wanted = set(persons)
    digits = _digits(facts)
    numbers = {digits[id_] for id_ in wanted if id_ in digits}
    return sorted(wanted | {id_ for id_, number in digits.items() if number in numbers})


def logins_elsewhere(target: Target, gone: Collection[str], in_scope: Collection[str]) -> set[str]:
    """As :func:`consumers.published.published_store.logins_elsewhere`, for logins without markup."""
    logins = {
        key.id: found[1].lower()
        for key, xml in target.published.items()
        if key.kind is RecordKind.PERSON and (found := re.search("<userid[^>]*>([^<]*)</userid>", xml))
    }
    elsewhere = {login for id_, login in logins.items() if id_ not in in_scope}
    return {logins[id_] for id_ in gone if id_ in logins} & elsewhere


def connected(target: Target, facts: Facts, in_scope: Affected, roster: Roster) -> Pending | None:
    """As :func:`consumers.publication.delta._connected`."""
    persons = _sharing_an_id(target, facts, in_scope, roster)
    groups = _not_told(target, roster)
    if persons <= set(in_scope.persons) and groups <= set(in_scope.groups):
        return None
    return looking_at({*persons, *in_scope.persons}, {*groups, *in_scope.groups})


def _sharing_an_id(target: Target, facts: Facts, in_scope: Affected, roster: Roster) -> set[int]:
    ids = set(roster.person_ids.values())
    published = {key.id: person for key, (person, _) in target.subjects.items() if key.kind is RecordKind.PERSON}
    persons = {person for id_, person in published.items() if id_ in ids}
    persons |= set(persons_called(facts, target.person_ids(set(in_scope.persons)).values()))
    if target.row.settings.dialect == "pifu":
        persons |= {published[id_] for id_ in _once_called(target, ids)}
    return {person for person in persons if person is not None}


def _not_told(target: Target, roster: Roster) -> set[int]:
    """The groups that somebody is a member of and the importer has not heard of."""
    joined = {group: key.id for key, (_, group) in roster.subjects.items() if key.member and group is not None}
    known = {key.id for key in target.published if key.kind is RecordKind.GROUP}
    return {group for group, id_ in joined.items() if id_ not in known}


def persons_called(facts: Facts, ids: Iterable[str]) -> list[int]:
    """As :func:`consumers.facts.facts_reader.persons_called`."""
    wanted = set(ids)
    return sorted(id_ for id_, number in _digits(facts).items() if number in wanted)


def _once_called(target: Target, ids: set[str]) -> list[str]:
    """The present ids of those who were told with one of *ids* as their old one."""
    persons = {key.id: xml for key, xml in target.published.items() if key.kind is RecordKind.PERSON}
    old = {id_: re.search('sourcedidtype="Old".*?<id>([^<]*)</id>', xml, re.DOTALL) for id_, xml in persons.items()}
    return [id_ for id_, found in old.items() if found is not None and found[1] in ids]


def _digits(facts: Facts) -> dict[int, str]:
    return {
        id_: re.sub(r"\D", "", person.national_id.reveal())
        for id_, person in facts.persons.items()
        if person.national_id is not None
    }


def _passed(starts_on: date | None, days: Days, lead: timedelta) -> bool:
    return days is not None and starts_on is not None and days[0] + lead < starts_on <= days[1] + lead


def _ended(ends_on: date | None, days: Days, grace: timedelta) -> bool:
    return days is not None and ends_on is not None and days[0] - grace <= ends_on < days[1] - grace


def _twice(target: Target, kind: RecordKind) -> set[int]:
    return {id_ for (of, id_), reason in target.excluded.items() if of is kind and reason is Reason.DUPLICATE_ID}


def _is_school(id_: str) -> bool:
    return id_.startswith("school-")


def _with_same_id(groups: set[int], facts: Facts, settings: TargetSettings) -> set[int]:
    if not any(field in settings.group_id for field in ("{code}", "{school_no}")):
        return groups
    ids = {id_: group_id(group, facts.schools.get(group.school_id), settings) for id_, group in facts.groups.items()}
    wanted = {ids[id_] for id_ in groups if id_ in ids}
    return groups | {id_ for id_, name in ids.items() if name in wanted}


def _members_of_schools_that_are_gone(target: Target, facts: Facts) -> set[int]:
    known = {f"school-{(school.school_no or '').strip(' ')}" for school in facts.schools.values() if school.school_no}
    gone = {
        key.id
        for key, (_, group) in target.subjects.items()
        if key.kind is RecordKind.GROUP and group is None and _is_school(key.id) and key.id not in known
    }
    return {
        person
        for key, (person, _) in target.subjects.items()
        if key.kind is RecordKind.MEMBERSHIP and key.id in gone and person is not None
    }
