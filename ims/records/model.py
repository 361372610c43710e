"""The three records of a feed: person, group and member, in the terms of IMS Enterprise.

A record is what is published to an importer. Its key is the id by which the importer knows it (``sourcedid/id``), never
our own running number: when a person's national id arrives, the old record is removed and a new one added.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ims.records.vocabulary import GroupLevel, InstitutionRole, RecordKind, RoleType


class RecordKey(NamedTuple):
    """The key by which an importer knows a record.

    Attributes:
        kind: person, group or membership.
        id: ``sourcedid/id`` of the person or group; of the group for a membership.
        member: ``sourcedid/id`` of a membership's person; empty for a person or group.
    """

    kind: RecordKind
    id: str
    member: str = ""


Subjects = Mapping[RecordKey, tuple[int | None, int | None]]
"""The subjects of records: the running numbers of the person and the group that each record is about."""


def person_ids(subjects: Subjects) -> dict[int, str]:
    """Return the ``sourcedid/id`` of each person who has a person record, by running number."""
    return {
        person: key.id for key, (person, _) in subjects.items() if key.kind is RecordKind.PERSON and person is not None
    }


class UserId(msgspec.Struct, frozen=True, gc=False):
    """An additional id of a person, by PIFU-IMS's ``useridtype``: ``personNIN``, ``feideID`` or ``personLIN``."""

    type: str
    value: str


class PersonRecord(msgspec.Struct, frozen=True, gc=False):
    """A person as published to an importer.

    Attributes:
        source: ``sourcedid/source``, at most 32 characters.
        id: ``sourcedid/id``: national id or running number, by the target's settings.
        login: first ``userid`` (Feide name or e-mail), or ``None``; never a national id.
        roles: the person's roles at the schools; the first is the primary one.
        userids: additional userids, in the order written; only for the ``pifu`` dialect.
        old_id: the ``sourcedid/id`` by which the importer knew the person before; only for the ``pifu`` dialect.
    """

    source: str
    id: str
    login: str | None
    given_name: str
    family_name: str
    email: str | None
    roles: tuple[InstitutionRole, ...]
    userids: tuple[UserId, ...] = ()
    old_id: str | None = None

    @property
    def key(self) -> RecordKey:
        """The key by which the importer knows this person."""
        return RecordKey(RecordKind.PERSON, self.id)


class GroupRecord(msgspec.Struct, frozen=True, gc=False):
    """A group as published to an importer.

    Attributes:
        kind: free text of the source (``class``, ``subject`` ...), written as ``grouptype/typevalue``.
        short: made unique at the owner by the group's id, because Moodle makes it the course's short name.
        long: the group's name.
        owner_name: ``org/orgname``.
        school_name: ``org/orgunit``; Moodle's course category.
        begin: first day as YYYY-MM-DD, or ``None``.
        end: last day as YYYY-MM-DD, or ``None``.
        level: whether it represents the owner or a school, or is a group of persons.
        parent: ``sourcedid/id`` of the group above it (for the owner's group: itself), or ``None`` if the target has no
            group hierarchy.
        orgnr: organisation number of the owner or school that it represents, if known.
    """

    source: str
    id: str
    kind: str
    short: str
    long: str
    owner_name: str
    school_name: str
    begin: str | None
    end: str | None
    level: GroupLevel = GroupLevel.GROUP
    parent: str | None = None
    orgnr: str | None = None

    @property
    def key(self) -> RecordKey:
        """The key by which the importer knows this group."""
        return RecordKey(RecordKind.GROUP, self.id)


class MemberRecord(msgspec.Struct, frozen=True, gc=False):
    """One person's membership in one group, with one role."""

    source: str
    group: str
    person: str
    role: RoleType

    @property
    def key(self) -> RecordKey:
        """The key by which the importer knows this membership."""
        return RecordKey(RecordKind.MEMBERSHIP, self.group, self.person)


Record = PersonRecord | GroupRecord | MemberRecord
