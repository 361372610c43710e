"""Records to XML, in the target's dialect: IMS Enterprise 1.1 that strict and careless importers read alike.

UTF-8, no prefixes, one element per line, no comments, no CDATA, no record written as an empty tag, and attributes only
where every importer expects them: Moodle's importer reads line by line with regular expressions, misses ``<sourcedid>``
or ``<given>`` with an attribute, and wants ``roletype`` to be the first attribute of ``<role>``.

A record's text (:func:`fragment`) is kept as what the importer was told; a snapshot is those texts one after another,
so that the same state gives the same bytes.

>>> from ims.vocabulary import RoleType
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

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from lxml import etree

from ims import xml_pifu
from ims.dialect import NAMESPACES, Dialect
from ims.errors import FeedError
from ims.records import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.text import clean_text
from ims.vocabulary import IDTYPE_PERSON, RecordKind, RecStatus
from ims.xml_elements import (
    add,
    add_filled,
    add_holder,
    add_relationship,
    add_sourcedid,
    add_timeframe,
    lines,
    record_element,
)

SCHEME: Final = "imsfeed"
"""``grouptype/scheme``: whose words the type of a group is in."""

DOCUMENT_END: Final = "</enterprise>\n"
MEMBERSHIP_CLOSE: Final = "  </membership>\n"
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Properties(msgspec.Struct, frozen=True):
    """What a file says about itself.

    Attributes:
        datasource: who made it; the same text as the records' ``sourcedid/source``.
        target: whom it is for; Moodle can be told to refuse files for another target.
        type: ``full`` for a snapshot, ``delta`` for a delta.
        at: when it was made, with a time zone; written in UTC to the second.
        dialect: what its records are written in; shown by the file's namespace.
    """

    datasource: str
    target: str
    type: Literal["full", "delta"]
    at: datetime
    dialect: Dialect = "ims"


def fragment(record: Record, recstatus: RecStatus | None = None, dialect: Dialect = "ims") -> str:
    """One record as text, indented as it stands in a file, ending in a newline.

    Args:
        record: what to write; its texts go through :func:`ims.text.clean_text`, and what is empty is left out where the
            schema allows it.
        recstatus: ``None`` in a snapshot. A person or group that is gone is written with no more than an importer
            needs to find it: the ids, the login (Moodle deletes by user name) and what the schema demands.
            The role of a member who is gone has status 0 as well, for importers that read only the one or the other.
        dialect: of the file.
    """
    match record:
        case PersonRecord():
            write_person = xml_pifu.person_element if dialect == "pifu" else _person
            return lines(write_person(record, recstatus), level=1)
        case GroupRecord():
            write_group = xml_pifu.group_element if dialect == "pifu" else _group
            return lines(write_group(record, recstatus), level=1)
        case MemberRecord():
            write_member = xml_pifu.member_element if dialect == "pifu" else _member
            return lines(write_member(record, recstatus), level=2)


def document_head(properties: Properties) -> str:
    """The beginning of a file, up to its first record."""
    element = etree.Element("properties", lang="no")
    add(element, "datasource", properties.datasource)
    add(element, "target", properties.target)
    add(element, "type", properties.type)
    add(element, "datetime", properties.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    namespace = NAMESPACES[properties.dialect]
    root = "<enterprise>" if namespace is None else f'<enterprise xmlns="{namespace}">'
    return f"{_DECLARATION}{root}\n{lines(element, level=1)}"


def membership_open(source: str, group: str) -> str:
    """The beginning of a group's membership element, up to its first member."""
    holder = etree.Element("membership")
    return "  <membership>\n" + lines(add_sourcedid(holder, source, group), level=2)


def document_parts(properties: Properties, source: str, rows: Iterable[tuple[RecordKey, str]]) -> Iterator[str]:
    """A whole file, in parts.

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


def snapshot_parts(properties: Properties, source: str, rows: Iterable[tuple[RecordKey, str]]) -> Iterator[str]:
    """A snapshot, in parts: what the importer has been told, one record after another, in constant memory.

    Args:
        properties: what the file says about itself.
        source: ``sourcedid/source`` of the groups in the membership elements.
        rows: every published record's key and :func:`fragment`, in the keys' order.

    Raises:
        FeedError: the rows are not in order, so that a group would have two membership elements, which importers
            refuse or read only one of.
    """
    return document_parts(properties, source, _in_order(rows))


def _in_order(rows: Iterable[tuple[RecordKey, str]]) -> Iterator[tuple[RecordKey, str]]:
    previous: RecordKey | None = None
    for key, text in rows:
        if previous is not None and key <= previous:
            raise FeedError(f"the published records are not in the order of their keys, at a {key.kind.name.lower()}")
        previous = key
        yield key, text


def _person(person: PersonRecord, recstatus: RecStatus | None) -> etree._Element:
    element = record_element("person", recstatus)
    add_sourcedid(element, person.source, person.id)
    add_filled(element, "userid", person.login, useridtype="username")
    name = etree.SubElement(element, "name")
    add(name, "fn", f"{clean_text(person.given_name)} {clean_text(person.family_name)}")
    add_holder(name, "n", family=person.family_name, given=person.given_name)
    if recstatus is not RecStatus.GONE:
        add_filled(element, "email", person.email)
        for number, role in enumerate(person.roles):
            primary = "No" if number else "Yes"
            etree.SubElement(element, "institutionrole", primaryrole=primary, institutionroletype=role.value)
    return element


def _group(group: GroupRecord, recstatus: RecStatus | None) -> etree._Element:
    element = record_element("group", recstatus)
    add_sourcedid(element, group.source, group.id)
    gone = recstatus is RecStatus.GONE
    if clean_text(group.kind) and not gone:
        grouptype = etree.SubElement(element, "grouptype")
        add(grouptype, "scheme", SCHEME)
        add(grouptype, "typevalue", group.kind, level="1")
    description = etree.SubElement(element, "description")
    add(description, "short", group.short)
    add_filled(description, "long", group.long)
    if not gone:
        # Moodle sets a course's full name from <full> when it is changed.
        add_filled(description, "full", group.long)
        add_holder(element, "org", orgname=group.owner_name, orgunit=group.school_name)
        add_timeframe(element, group.begin, group.end)
        if group.parent is not None:
            # itslearning builds its hierarchy from it, and Fronter its structure.
            add_relationship(element, group)
    return element


def _member(member: MemberRecord, recstatus: RecStatus | None) -> etree._Element:
    element = etree.Element("member")
    add_sourcedid(element, member.source, member.person)
    add(element, "idtype", IDTYPE_PERSON)
    role = etree.SubElement(element, "role", roletype=member.role.value)
    if recstatus is not None:
        role.set("recstatus", str(recstatus.value))
    add(role, "status", "0" if recstatus is RecStatus.GONE else "1")
    return element
