"""The three records of a feed: person, group and member, in the words of IMS Enterprise.

A record is what an importer is told. It is keyed by what the importer knows it by (``sourcedid/id``), never by our own
running number: when a person's national id arrives, the old record goes and a new one comes.
"""

from typing import NamedTuple

import msgspec

from ims.records.vocabulary import GroupLevel, InstitutionRole, RecordKind, RoleType


class RecordKey(NamedTuple):
    """How an importer knows a record. ``member`` is empty but for a membership.

    Attributes:
        kind: person, group or membership.
        id: ``sourcedid/id`` of the person or group; of the group for a membership.
        member: ``sourcedid/id`` of the member.
    """

    kind: RecordKind
    id: str
    member: str = ""


class UserId(msgspec.Struct, frozen=True, gc=False):
    """A further id of a person: ``type`` is PIFU-IMS's ``useridtype`` (``personNIN``, ``feideID``, ``personLIN``)."""

    type: str
    value: str


class PersonRecord(msgspec.Struct, frozen=True, gc=False):
    """A person as told to an importer.

    Attributes:
        source: ``sourcedid/source``, at most 32 characters.
        id: ``sourcedid/id``: national id or running number, as the target says.
        login: first ``userid`` (Feide name or e-mail), or ``None``; never a national id.
        roles: what the person is at the schools; the first is the primary one.
        userids: further userids, in the order written; only for the ``pifu`` dialect.
        old_id: the ``sourcedid/id`` that the importer knew the person by before; only for the ``pifu`` dialect.
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
        """How the importer knows this person."""
        return RecordKey(RecordKind.PERSON, self.id)


class GroupRecord(msgspec.Struct, frozen=True, gc=False):
    """A group as told to an importer.

    Attributes:
        kind: free text of the source (``class``, ``subject`` ...), written as ``grouptype/typevalue``.
        short: unique at the owner by its id, because Moodle makes it the course's short name.
        long: the group's name.
        owner_name: ``org/orgname``.
        school_name: ``org/orgunit``; Moodle's course category.
        begin: first day as YYYY-MM-DD, or ``None``.
        end: last day as YYYY-MM-DD, or ``None``.
        level: whether it stands for the owner, a school, or is a group of persons.
        parent: ``sourcedid/id`` of the group above it (of an owner: itself), or ``None`` when groups stand alone.
        orgnr: organisation number of the owner or school it stands for, if known.
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
        """How the importer knows this group."""
        return RecordKey(RecordKind.GROUP, self.id)


class MemberRecord(msgspec.Struct, frozen=True, gc=False):
    """One person's one role in one group."""

    source: str
    group: str
    person: str
    role: RoleType

    @property
    def key(self) -> RecordKey:
        """How the importer knows this membership."""
        return RecordKey(RecordKind.MEMBERSHIP, self.group, self.person)


Record = PersonRecord | GroupRecord | MemberRecord
