"""Writes records as XML, in the target's dialect: IMS Enterprise 1.1 that strict and lenient importers read alike.

UTF-8, no prefixes, one element per line, no comments, no CDATA, no record as an empty tag, and attributes only where
every importer expects them: Moodle's importer reads line by line with regular expressions, does not recognise
``<sourcedid>`` or ``<given>`` with an attribute, and needs ``roletype`` as the first attribute of ``<role>``.

A record's text (:func:`fragment`) is stored as what has been published; a snapshot is those texts one after another, so
that the same state gives the same bytes.

>>> from ims.records.vocabulary import RoleType
>>> print(fragment(MemberRecord("imsfeed@100000008", "group-8A", "1001", RoleType.LEARNER), RecStatus.GONE), end="")
    <member>
      <sourcedid>
        <source>imsfeed@100000008</source>
        <id>1001</id>
      </sourcedid>
      <idtype>1</idtype>
      <role roletype="01" recstatus="3">
        <status>0</status>
      </role>
    </member>
"""

import functools
import operator
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from ims.errors import FeedError
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.text import clean_text
from ims.records.vocabulary import InstitutionRole, RecordKind, RecStatus
from ims.xml import pifu
from ims.xml.dialect import NAMESPACES, Dialect
from ims.xml.elements import (
    block,
    escape,
    line,
    member,
    optional_line,
    recstatus_attribute,
    relationship,
    sourcedid,
    timeframe,
)

SCHEME: Final = "imsfeed"
"""``grouptype/scheme``: the name of our own group types."""

DOCUMENT_END: Final = "</enterprise>\n"
MEMBERSHIP_CLOSE: Final = "  </membership>\n"
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Properties(msgspec.Struct, frozen=True):
    """The properties in the head of a file.

    Attributes:
        datasource: who made the file; the same text as the records' ``sourcedid/source``.
        target: the target's name; Moodle can be set to refuse files for another target.
        type: ``full`` for a snapshot, ``delta`` for a delta.
        at: when the file was made, with a time zone; written in UTC to the second.
        dialect: the dialect of the records; shown by the file's namespace.
    """

    datasource: str
    target: str
    type: Literal["full", "delta"]
    at: datetime
    dialect: Dialect = "ims"


def fragment(record: Record, recstatus: RecStatus | None = None, dialect: Dialect = "ims") -> str:
    """Return one record as text, indented as in a file, ending in a newline.

    Args:
        record: what to write; its texts are cleaned (:func:`ims.records.text.clean_text`), and empty ones are omitted
            where the schema allows it.
        recstatus: ``None`` in a snapshot. A removed person or group is written with no more than an importer needs to
            find it: the ids, the login (Moodle deletes by user name) and what the schema requires. The role of a
            removed member also has status 0, because some importers read the one and some the other.
        dialect: the file's dialect.
    """
    match record:
        case PersonRecord():
            return pifu.person(record, recstatus) if dialect == "pifu" else _person(record, recstatus)
        case GroupRecord():
            return pifu.group(record, recstatus) if dialect == "pifu" else _group(record, recstatus)
        case MemberRecord():
            if dialect == "pifu":
                return pifu.member(record, recstatus)
            return member(record.source, record.person, record.role, recstatus)


def with_recstatus(text: str, recstatus: RecStatus) -> str:
    """Return what :func:`fragment` writes with *recstatus* (not ``GONE``), from what it writes without one.

    Cheaper than writing the record again: a delta adds and changes records whose text without recstatus is stored.
    """
    if text.startswith("    <member>"):
        return text.replace('">', f'"{recstatus_attribute(recstatus)}>', 1)  # only <role> has an attribute
    return text.replace(">", f"{recstatus_attribute(recstatus)}>", 1)


def with_empty_email(text: str, dialect: Dialect) -> str:
    """Return a person's text with an empty e-mail element if it has none.

    Moodle leaves an address that is absent, and removes one that is empty. PIFU-IMS allows no empty address.
    """
    if dialect == "pifu" or "<email>" in text:
        return text
    return text.replace("    </name>\n", "    </name>\n    <email></email>\n", 1)


def document_head(properties: Properties) -> str:
    """Return the beginning of a file, up to its first record."""
    content = (
        line(2, "datasource", properties.datasource)
        + line(2, "target", properties.target)
        + line(2, "type", properties.type)
        + line(2, "datetime", properties.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    )
    head = block(1, "properties", content, ' lang="no"')
    namespace = NAMESPACES[properties.dialect]
    root = "<enterprise>" if namespace is None else f'<enterprise xmlns="{namespace}">'
    return f"{_DECLARATION}{root}\n{head}"


def membership_open(source: str, group: str) -> str:
    """Return the beginning of a group's membership element, up to its first member."""
    return "  <membership>\n" + sourcedid(2, source, group)


def document_parts(properties: Properties, source: str, rows: Iterable[tuple[RecordKey, str]]) -> Iterator[str]:
    """Yield a whole file in parts.

    Args:
        properties: what the file says about itself.
        source: ``sourcedid/source`` of the groups in the membership elements.
        rows: records and their texts, persons before groups before memberships, those of one group together.
    """
    yield document_head(properties)
    group: str | None = None
    for key, text in rows:
        if key.kind is RecordKind.MEMBERSHIP and key.id != group:
            if group is not None:
                yield MEMBERSHIP_CLOSE
            group = key.id
            yield membership_open(source, group)
        yield text
    if group is not None:
        yield MEMBERSHIP_CLOSE
    yield DOCUMENT_END


class Run(NamedTuple):
    """Consecutive records of a snapshot, with their texts joined.

    Attributes:
        kind: the kind of all of them.
        group: ``sourcedid/id`` of the memberships' group; empty for persons and groups.
        ids: ``sourcedid/id`` of each person or group, or of each member.
        text: the records' :func:`fragment`, one after another.
    """

    kind: RecordKind
    group: str
    ids: list[str]
    text: str

    @property
    def first(self) -> RecordKey:
        """The key of the first record."""
        return self._key(self.ids[0])

    @property
    def last(self) -> RecordKey:
        """The key of the last record."""
        return self._key(self.ids[-1])

    def _key(self, id_: str) -> RecordKey:
        if self.kind is RecordKind.MEMBERSHIP:
            return RecordKey(self.kind, self.group, id_)
        return RecordKey(self.kind, id_)


def snapshot_parts(properties: Properties, source: str, rows: Iterable[tuple[RecordKey, str]]) -> Iterator[str]:
    """Yield a snapshot in parts: all published records, one after another, in constant memory.

    Args:
        properties: what the file says about itself.
        source: ``sourcedid/source`` of the groups in the membership elements.
        rows: every published record's key and :func:`fragment`, in the order of the keys.

    Raises:
        FeedError: the rows are not in order. A group would have two membership elements, and importers refuse that or
            read only one of the two.
    """
    return document_parts(properties, source, _in_order(rows))


def rows_of_runs(runs: Iterable[Run]) -> Iterator[tuple[RecordKey, str]]:
    """Yield runs as rows of :func:`snapshot_parts`: the first key of each, and its text.

    Raises:
        FeedError: the records are not in order.
    """
    previous: RecordKey | None = None
    for run in runs:
        if (previous is not None and run.first <= previous) or not all(map(operator.lt, run.ids, run.ids[1:])):
            raise _not_in_order(run.kind)
        previous = run.last
        yield run.first, run.text


def _in_order(rows: Iterable[tuple[RecordKey, str]]) -> Iterator[tuple[RecordKey, str]]:
    previous: RecordKey | None = None
    for key, text in rows:
        if previous is not None and key <= previous:
            raise _not_in_order(key.kind)
        previous = key
        yield key, text


def _not_in_order(kind: RecordKind) -> FeedError:
    return FeedError(f"the published records are not in the order of their keys, at a {kind.name.lower()}")


def _person(person: PersonRecord, recstatus: RecStatus | None) -> str:
    gone = recstatus is RecStatus.GONE
    given, family = escape(person.given_name), escape(person.family_name)
    login, email = escape(person.login or ""), "" if gone else escape(person.email or "")
    parts = (f"        <family>{family}</family>\n" if family else "") + (
        f"        <given>{given}</given>\n" if given else ""
    )
    return (
        f"  <person{recstatus_attribute(recstatus)}>\n"
        + sourcedid(2, person.source, person.id)
        + (f'    <userid useridtype="username">{login}</userid>\n' if login else "")
        + f"    <name>\n      <fn>{f'{given} {family}'.strip()}</fn>\n{block(3, 'n', parts)}    </name>\n"
        + (f"    <email>{email}</email>\n" if email else "")
        + ("" if gone else _institution_roles(person.roles))
        + "  </person>\n"
    )


@functools.lru_cache
def _institution_roles(roles: tuple[InstitutionRole, ...]) -> str:
    return "".join(
        f'    <institutionrole primaryrole="{"No" if number else "Yes"}" institutionroletype="{role.value}"/>\n'
        for number, role in enumerate(roles)
    )


def _group(group: GroupRecord, recstatus: RecStatus | None) -> str:
    gone = recstatus is RecStatus.GONE
    content = sourcedid(2, group.source, group.id)
    if clean_text(group.kind) and not gone:
        type_ = line(3, "scheme", SCHEME) + line(3, "typevalue", group.kind, ' level="1"')
        content += block(2, "grouptype", type_)
    description = line(3, "short", group.short) + optional_line(3, "long", group.long)
    if gone:
        return block(1, "group", content + block(2, "description", description), recstatus_attribute(recstatus))
    # Moodle sets the full name of an existing course from <full>.
    content += block(2, "description", description + optional_line(3, "full", group.long))
    org = optional_line(3, "orgname", group.owner_name) + optional_line(3, "orgunit", group.school_name)
    content += block(2, "org", org)
    content += timeframe(2, group.begin, group.end)
    if group.parent is not None:
        # itslearning builds its hierarchy from it, and Fronter its structure.
        content += relationship(2, group)
    return block(1, "group", content, recstatus_attribute(recstatus))
