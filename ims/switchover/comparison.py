"""What would change for an importer on the day it reads our files instead of those it has read until now.

Persons and groups that both sides mean (:mod:`ims.switchover.matching`) are compared by what an importer knows them by:
``sourcedid/source`` and ``id``, and the login; memberships by who is in what, as what. Other texts, such as names, are
changes that an importer takes as such, and do not count. A membership of a person or group that the old file itself
does not have is passed over, as importers do.
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
from ims.switchover.matching import OldRoster, Recognised
from ims.targets.target_settings import TargetSettings


class What(StrEnum):
    """What is different about a person, group or membership."""

    ID = "id_changes"
    SOURCE = "source_changes"
    LOGIN = "login_changes"
    ROLE = "role_changes"
    MISSING = "missing"
    NEW = "new"
    DIALECT = "dialect_changes"


class Unlike(StrEnum):
    """Why something is missing where no rule of ours leaves it out."""

    NOT_REGISTERED = "not_registered"
    """Nobody, or no group, of the old file's ids and names is in the administration system's facts."""
    NOT_ENROLLED = "not_enrolled"
    """Both are exported, but there is no enrolment today that makes the one a member of the other."""
    ORGANISATION = "organisation"
    """It stands for an owner or a school, and the target's ``org_groups`` is off or names it otherwise."""


KINDS: Final = ("person", "group", "membership", "file")

GroupToken = int | str
"""Our running number of a group; of an owner or school its ``sourcedid/id``."""


class Difference(NamedTuple):
    """One difference.

    Attributes:
        kind: one of :data:`KINDS`.
        old: the old record; ``None`` for what is new, a membership, and the file.
        new: our record; ``None`` for what is missing, and the file.
        number: our running number of the person, if it is about one we have.
        group: likewise of the group.
        reason: why it is missing.
    """

    kind: str
    what: What
    old: OldPerson | OldGroup | None = None
    new: PersonRecord | GroupRecord | MemberRecord | None = None
    number: int | None = None
    group: GroupToken | None = None
    reason: Reason | Unlike | None = None


class Comparison(msgspec.Struct, frozen=True):
    """All differences, how many persons, groups and memberships each side has, and which groups both have."""

    differences: list[Difference]
    old: dict[str, int]
    new: dict[str, int]
    kept: set[GroupToken]


class _Published(NamedTuple):
    """Our side: what the target's importer would be told today."""

    persons: dict[int, PersonRecord]
    groups: dict[GroupToken, GroupRecord]
    members: dict[tuple[int, GroupToken], MemberRecord]
    excluded: Mapping[tuple[RecordKind, int], Reason]


def compare(
    old: OldRoster, recognised: Recognised, facts: Facts, settings: TargetSettings, *, orgnr: str, today: date
) -> Comparison:
    """Compare an existing file with what a target's importer would be told, as if the target were enabled.

    Args:
        facts: all facts of the owner.
        orgnr: the owner's organisation number.
        today: the date in the target's time zone.
    """
    enabled = msgspec.structs.replace(settings, enabled=True)
    published = _published(
        roster_of(facts, enabled, orgnr=orgnr, today=today, persons=facts.persons, groups=facts.groups), facts
    )
    groups = {**_organisations(old, published), **recognised.groups}
    differences = [
        *_dialect(old, settings),
        *_persons(old, recognised.persons, published),
        *_groups(old, groups, published),
    ]
    members = _old_members(old)
    differences += _members(members, recognised.persons, groups, published)
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
    """The old file's groups that stand for our owner or schools, by id or name."""
    ours = [group for group in published.groups.values() if group.level is not GroupLevel.GROUP]
    return {
        key: ours_.id
        for key, group in old.groups.items()
        for ours_ in ours
        if ours_.id in group.ids or {name.casefold() for name in group.names} & {ours_.long.casefold()}
    }


def _dialect(old: OldRoster, settings: TargetSettings) -> Iterator[Difference]:
    if old.head.dialect != settings.dialect:
        yield Difference("file", What.DIALECT)


def _persons(old: OldRoster, known: Mapping[str, int], published: _Published) -> Iterator[Difference]:
    for key, person in old.persons.items():
        number = known.get(key)
        new = None if number is None else published.persons.get(number)
        if new is None:
            reason = Unlike.NOT_REGISTERED if number is None else published.excluded.get((RecordKind.PERSON, number))
            yield Difference("person", What.MISSING, person, None, number, None, reason)
            continue
        for what in _changes(person, new):
            yield Difference("person", what, person, new, number)
        if login_of(person) != login_of(new):
            yield Difference("person", What.LOGIN, person, new, number)
    found = set(known.values())
    for number, record in published.persons.items():
        if number not in found:
            yield Difference("person", What.NEW, None, record, number)


def _groups(old: OldRoster, known: Mapping[str, GroupToken], published: _Published) -> Iterator[Difference]:
    above = {parent for group in old.groups.values() for parent in group.parents}
    with_members = {membership.group for membership in old.memberships}
    for key, group in old.groups.items():
        token = known.get(key)
        new = None if token is None else published.groups.get(token)
        if new is None:
            organisation = group.level is not GroupLevel.GROUP or (key in above and key not in with_members)
            unknown = Unlike.ORGANISATION if organisation else Unlike.NOT_REGISTERED
            reason = published.excluded.get((RecordKind.GROUP, token)) if isinstance(token, int) else unknown
            yield Difference("group", What.MISSING, group, None, None, token, reason)
            continue
        for what in _changes(group, new):
            yield Difference("group", what, group, new, None, token)
    found = set(known.values())
    for token, record in published.groups.items():
        if token not in found:
            yield Difference("group", What.NEW, None, record, None, token)


def _changes(old: OldPerson | OldGroup, new: PersonRecord | GroupRecord) -> Iterator[What]:
    if (old.ids or ("",))[0] != clean_text(new.id):
        yield What.ID
    if old.source != clean_text(new.source):
        yield What.SOURCE


def login_of(person: OldPerson | PersonRecord) -> str:
    """What a person logs in with: the first ``userid`` that is of that type, or of none; empty if there is none."""
    own = person.login if isinstance(person, PersonRecord) else None
    if own:
        return clean_text(own)
    for userid in person.userids:
        if userid.type.lower() in _LOGINS:
            return clean_text(userid.value)
    return ""


_LOGINS: Final = {"", "username", "feideid"}


def _old_members(old: OldRoster) -> dict[tuple[str, str], str]:
    """The old memberships' roles, each person once in each group."""
    persons, groups = _keys(old.persons), _keys(old.groups)
    members: dict[tuple[str, str], str] = {}
    for membership in old.memberships:
        if membership.person in persons and membership.group in groups:
            members.setdefault((persons[membership.person], groups[membership.group]), membership.role)
    return members


def _keys(records: Mapping[str, OldPerson] | Mapping[str, OldGroup]) -> dict[str, str]:
    """Each record's key by its ids; where one's old id is another's in force, the latter's."""
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
            yield Difference("membership", What.MISSING, None, None, number, token, reason)
        elif new.role.value != role:
            yield Difference("membership", What.ROLE, None, new, number, token)
        found.add((number, token))
    for (number, token), record in published.members.items():
        if (number, token) not in found:
            yield Difference("membership", What.NEW, None, record, number, token)


def _reason(number: int | None, token: GroupToken | None, published: _Published) -> Reason | Unlike | None:
    if number is None or token is None:
        return Unlike.NOT_REGISTERED
    person = published.excluded.get((RecordKind.PERSON, number))
    group = published.excluded.get((RecordKind.GROUP, token)) if isinstance(token, int) else None
    return group or person or Unlike.NOT_ENROLLED
