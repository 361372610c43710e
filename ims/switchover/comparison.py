"""The comparison of an existing file with ours: what would change for the importer on the day of the switch.

Persons and groups that are in both (:mod:`ims.switchover.matching`) are compared by what an importer identifies them
by: ``sourcedid/source`` and ``id``, and the login; memberships by person, group and role. Other texts, such as names,
do not count: an importer applies such a change like any other. A membership of a person or group that the existing file
itself does not contain is ignored, as importers do.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from ims.records.model import GroupRecord, MemberRecord, PersonRecord
from ims.records.text import clean_text
from ims.records.vocabulary import GroupLevel, RecordKind
from ims.rules.eligibility import Reason
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Facts
from ims.switchover.existing_file import OldGroup, OldPerson
from ims.switchover.matching import Matches, OldRoster
from ims.targets.target_settings import TargetSettings


class DifferenceType(StrEnum):
    """What is different about a person, group, membership or the file."""

    ID = "id_changes"
    SOURCE = "source_changes"
    LOGIN = "login_changes"
    ROLE = "role_changes"
    MISSING = "missing"
    NEW = "new"
    DIALECT = "dialect_changes"


class MissingReason(StrEnum):
    """Why something is missing on our side though no rule of ours excludes it."""

    NOT_REGISTERED = "not_registered"
    """No person or group in the administration system's facts matches the existing file's ids and names."""
    NOT_ENROLLED = "not_enrolled"
    """Person and group are both exported, but no enrolment today makes the person a member of the group."""
    ORGANISATION = "organisation"
    """It represents an owner or a school, and the target's ``org_groups`` is off or names it in another way."""


KINDS: Final = ("person", "group", "membership", "file")

GroupToken = int | str
"""Our running number of a group; for an owner's or school's group its ``sourcedid/id``."""


class Difference(NamedTuple):
    """One difference.

    Attributes:
        kind: one of :data:`KINDS`.
        old: the record of the existing file; ``None`` for what is new, a membership, and the file.
        new: our record; ``None`` for what is missing, and the file.
        number: our running number of the person, if the difference is about one of ours.
        group: likewise of the group.
        reason: why it is missing.
    """

    kind: str
    what: DifferenceType
    old: OldPerson | OldGroup | None = None
    new: PersonRecord | GroupRecord | MemberRecord | None = None
    number: int | None = None
    group: GroupToken | None = None
    reason: Reason | MissingReason | None = None


class Comparison(msgspec.Struct, frozen=True):
    """All differences, the counts of persons, groups and memberships on each side, and the groups that both have."""

    differences: list[Difference]
    old: dict[str, int]
    new: dict[str, int]
    kept: set[GroupToken]


class _Published(NamedTuple):
    """Our side: what would be published to the target's importer today."""

    persons: dict[int, PersonRecord]
    groups: dict[GroupToken, GroupRecord]
    members: dict[tuple[int, GroupToken], MemberRecord]
    excluded: Mapping[tuple[RecordKind, int], Reason]


def compare(
    old: OldRoster, matches: Matches, facts: Facts, settings: TargetSettings, *, orgnr: str, today: date
) -> Comparison:
    """Compare an existing file with what would be published to a target's importer, as if the target were enabled.

    Args:
        matches: the existing file's persons and groups among *facts*.
        facts: all facts of the owner.
        orgnr: the owner's organisation number.
        today: the date in the target's time zone.
    """
    enabled = msgspec.structs.replace(settings, enabled=True)
    published = _published(
        roster_of(facts, enabled, orgnr=orgnr, today=today, persons=facts.persons, groups=facts.groups), facts
    )
    groups = {**_organisations(old, published), **matches.groups}
    differences = [
        *_dialect(old, settings),
        *_persons(old, matches.persons, published),
        *_groups(old, groups, published),
    ]
    members = _old_members(old)
    differences += _members(members, matches.persons, groups, published)
    return Comparison(
        differences,
        old={"person": len(old.persons), "group": len(old.groups), "membership": len(members)},
        new={"person": len(published.persons), "group": len(published.groups), "membership": len(published.members)},
        kept=set(groups.values()) & published.groups.keys(),
    )


def _published(roster: Roster, facts: Facts) -> _Published:
    published = _Published({}, {}, {}, roster.excluded)
    for key, record in roster.records.items():
        person, group = roster.subjects[key]
        match record:
            case PersonRecord() if person is not None:
                published.persons[person] = record
            case GroupRecord():
                plain = record.level is GroupLevel.GROUP and group in facts.groups
                published.groups[group if plain and group is not None else record.id] = record
            case _:
                pass
    tokens = {record.id: token for token, record in published.groups.items()}
    for key, record in roster.records.items():
        person, _ = roster.subjects[key]
        if isinstance(record, MemberRecord) and person is not None:
            published.members[person, tokens.get(record.group, record.group)] = record
    return published


def _organisations(old: OldRoster, published: _Published) -> dict[str, GroupToken]:
    """Return the existing file's groups that represent our owner or schools, found by id or name."""
    ours = [group for group in published.groups.values() if group.level is not GroupLevel.GROUP]
    return {
        key: ours_.id
        for key, group in old.groups.items()
        for ours_ in ours
        if ours_.id in group.ids or {name.casefold() for name in group.names} & {ours_.long.casefold()}
    }


def _dialect(old: OldRoster, settings: TargetSettings) -> Iterator[Difference]:
    if old.head.dialect != settings.dialect:
        yield Difference("file", DifferenceType.DIALECT)


def _persons(old: OldRoster, known: Mapping[str, int], published: _Published) -> Iterator[Difference]:
    for key, person in old.persons.items():
        number = known.get(key)
        new = None if number is None else published.persons.get(number)
        if new is None:
            unknown = MissingReason.NOT_REGISTERED
            reason = unknown if number is None else published.excluded.get((RecordKind.PERSON, number))
            yield Difference("person", DifferenceType.MISSING, person, None, number, None, reason)
            continue
        for what in _changes(person, new):
            yield Difference("person", what, person, new, number)
        if login_of(person) != login_of(new):
            yield Difference("person", DifferenceType.LOGIN, person, new, number)
    found = set(known.values())
    for number, record in published.persons.items():
        if number not in found:
            yield Difference("person", DifferenceType.NEW, None, record, number)


def _groups(old: OldRoster, known: Mapping[str, GroupToken], published: _Published) -> Iterator[Difference]:
    above = {parent for group in old.groups.values() for parent in group.parents}
    with_members = {membership.group for membership in old.memberships}
    for key, group in old.groups.items():
        token = known.get(key)
        new = None if token is None else published.groups.get(token)
        if new is None:
            organisation = group.level is not GroupLevel.GROUP or (key in above and key not in with_members)
            unknown = MissingReason.ORGANISATION if organisation else MissingReason.NOT_REGISTERED
            reason = published.excluded.get((RecordKind.GROUP, token)) if isinstance(token, int) else unknown
            yield Difference("group", DifferenceType.MISSING, group, None, None, token, reason)
            continue
        for what in _changes(group, new):
            yield Difference("group", what, group, new, None, token)
    found = set(known.values())
    for token, record in published.groups.items():
        if token not in found:
            yield Difference("group", DifferenceType.NEW, None, record, None, token)


def _changes(old: OldPerson | OldGroup, new: PersonRecord | GroupRecord) -> Iterator[DifferenceType]:
    if (old.ids or ("",))[0] != clean_text(new.id):
        yield DifferenceType.ID
    if old.source != clean_text(new.source):
        yield DifferenceType.SOURCE


def login_of(person: OldPerson | PersonRecord) -> str:
    """Return a person's login: the first ``userid``, whatever its type, unless it is known to be another id.

    Exporters write their own types (``Logon ID``), and importers take the first one (Moodle). Empty if there is none.
    """
    own = person.login if isinstance(person, PersonRecord) else None
    if own:
        return clean_text(own)
    for userid in person.userids:
        if userid.type.lower() not in _OTHER_IDS:
            return clean_text(userid.value)
    return ""


_OTHER_IDS: Final = {
    *("personnin", "personninencrypted", "personlin", "personfin", "studentid", "workforceid", "sisid"),
    *("sctid", "udcidentifier", "pidm", "uuid", "email id"),
}
"""The types of userids that are no logins, in lower case: those of PIFU-IMS 1.3 but user name, Feide name and UPN, and
Luminis's."""


def _old_members(old: OldRoster) -> dict[tuple[str, str], str]:
    """Return the roles of the existing file's memberships by person and group; the first one of each pair counts."""
    persons, groups = _keys(old.persons), _keys(old.groups)
    members: dict[tuple[str, str], str] = {}
    for membership in old.memberships:
        if membership.person in persons and membership.group in groups:
            members.setdefault((persons[membership.person], groups[membership.group]), membership.role)
    return members


def _keys(records: Mapping[str, OldPerson] | Mapping[str, OldGroup]) -> dict[str, str]:
    """Return each record's key by all its ids; if one record's old id is another's current id, the other's key."""
    return {id_: key for key, record in records.items() for id_ in record.ids} | {key: key for key in records}


def _members(
    old: Mapping[tuple[str, str], str],
    persons: Mapping[str, int],
    groups: Mapping[str, GroupToken],
    published: _Published,
) -> Iterator[Difference]:
    found = set()
    for (person, group), role in old.items():
        number, token = persons.get(person), groups.get(group)
        new = None if number is None or token is None else published.members.get((number, token))
        if new is None:
            reason = _reason(number, token, published)
            yield Difference("membership", DifferenceType.MISSING, None, None, number, token, reason)
        elif new.role.value != role:
            yield Difference("membership", DifferenceType.ROLE, None, new, number, token)
        found.add((number, token))
    for (number, token), record in published.members.items():
        if (number, token) not in found:
            yield Difference("membership", DifferenceType.NEW, None, record, number, token)


def _reason(number: int | None, token: GroupToken | None, published: _Published) -> Reason | MissingReason | None:
    if number is None or token is None:
        return MissingReason.NOT_REGISTERED
    person = published.excluded.get((RecordKind.PERSON, number))
    group = published.excluded.get((RecordKind.GROUP, token)) if isinstance(token, int) else None
    return group or person or MissingReason.NOT_ENROLLED
