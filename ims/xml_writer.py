"""Records to XML: plain IMS Enterprise 1.1 that strict and careless importers read alike.

UTF-8, no namespace, one element per line, no comments, no CDATA, no record written as an empty tag, and attributes only
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

from ims.errors import FeedError
from ims.records import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.text import clean_text
from ims.vocabulary import IDTYPE_PERSON, RecordKind, RecStatus

SCHEME: Final = "imsfeed"
"""``grouptype/scheme``: whose words the type of a group is in."""

DOCUMENT_END: Final = "</enterprise>\n"
MEMBERSHIP_CLOSE: Final = "  </membership>\n"
_DOCUMENT_START: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<enterprise>\n'


class Properties(msgspec.Struct, frozen=True):
    """What a file says about itself.

    Attributes:
        datasource: who made it; the same text as the records' ``sourcedid/source``.
        target: whom it is for; Moodle can be told to refuse files for another target.
        type: ``full`` for a snapshot, ``delta`` for a delta.
        at: when it was made, with a time zone; written in UTC to the second.
    """

    datasource: str
    target: str
    type: Literal["full", "delta"]
    at: datetime


def fragment(record: Record, recstatus: RecStatus | None = None) -> str:
    """One record as text, indented as it stands in a file, ending in a newline.

    Args:
        record: what to write; its texts go through :func:`clean_text`, and what is empty is left out where the schema
            allows it.
        recstatus: ``None`` in a snapshot. A person or group that is gone is written with no more than an importer
            needs to find it: the ids, the login (Moodle deletes by user name) and the names that the schema demands.
            The role of a member who is gone has status 0 as well, for importers that read only the one or the other.
    """
    match record:
        case PersonRecord():
            return _lines(_person(record, recstatus), level=1)
        case GroupRecord():
            return _lines(_group(record, recstatus), level=1)
        case MemberRecord():
            return _lines(_member(record, recstatus), level=2)


def document_head(properties: Properties) -> str:
    """The beginning of a file, up to its first record."""
    element = etree.Element("properties", lang="no")
    _add(element, "datasource", properties.datasource)
    _add(element, "target", properties.target)
    _add(element, "type", properties.type)
    _add(element, "datetime", properties.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return _DOCUMENT_START + _lines(element, level=1)


def membership_open(source: str, group: str) -> str:
    """The beginning of a group's membership element, up to its first member."""
    holder = etree.Element("membership")
    return "  <membership>\n" + _lines(_add_sourcedid(holder, source, group), level=2)


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
    element = _record("person", recstatus)
    _add_sourcedid(element, person.source, person.id)
    _add_filled(element, "userid", person.login, useridtype="username")
    name = etree.SubElement(element, "name")
    _add(name, "fn", f"{clean_text(person.given_name)} {clean_text(person.family_name)}")
    _add_holder(name, "n", family=person.family_name, given=person.given_name)
    if recstatus is not RecStatus.GONE:
        _add_filled(element, "email", person.email)
        for number, role in enumerate(person.roles):
            primary = "No" if number else "Yes"
            etree.SubElement(element, "institutionrole", primaryrole=primary, institutionroletype=role.value)
    return element


def _group(group: GroupRecord, recstatus: RecStatus | None) -> etree._Element:
    element = _record("group", recstatus)
    _add_sourcedid(element, group.source, group.id)
    gone = recstatus is RecStatus.GONE
    if clean_text(group.kind) and not gone:
        grouptype = etree.SubElement(element, "grouptype")
        _add(grouptype, "scheme", SCHEME)
        _add(grouptype, "typevalue", group.kind, level="1")
    description = etree.SubElement(element, "description")
    _add(description, "short", group.short)
    _add_filled(description, "long", group.long)
    if not gone:
        # Moodle sets a course's full name from <full> when it is changed.
        _add_filled(description, "full", group.long)
        _add_holder(element, "org", orgname=group.owner_name, orgunit=group.school_name)
        _add_timeframe(element, group)
    return element


def _add_timeframe(element: etree._Element, group: GroupRecord) -> None:
    if group.begin or group.end:
        timeframe = etree.SubElement(element, "timeframe")
        # restrict="0": the days are told, but it is the memberships that give and take access.
        _add_filled(timeframe, "begin", group.begin, restrict="0")
        _add_filled(timeframe, "end", group.end, restrict="0")


def _member(member: MemberRecord, recstatus: RecStatus | None) -> etree._Element:
    element = etree.Element("member")
    _add_sourcedid(element, member.source, member.person)
    _add(element, "idtype", IDTYPE_PERSON)
    role = etree.SubElement(element, "role", roletype=member.role.value)
    if recstatus is not None:
        role.set("recstatus", str(recstatus.value))
    _add(role, "status", "0" if recstatus is RecStatus.GONE else "1")
    return element


def _record(tag: str, recstatus: RecStatus | None) -> etree._Element:
    return etree.Element(tag) if recstatus is None else etree.Element(tag, recstatus=str(recstatus.value))


def _add_sourcedid(parent: etree._Element, source: str, id_: str) -> etree._Element:
    sourcedid = etree.SubElement(parent, "sourcedid")
    _add(sourcedid, "source", source)
    _add(sourcedid, "id", id_)
    return sourcedid


def _add(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
    etree.SubElement(parent, tag, attributes).text = clean_text(text)


def _add_filled(parent: etree._Element, tag: str, text: str | None, **attributes: str) -> None:
    if text is not None and clean_text(text):
        _add(parent, tag, text, **attributes)


def _add_holder(parent: etree._Element, tag: str, **texts: str) -> None:
    """An element of the texts that are not empty, in the order given; none if all are."""
    if any(map(clean_text, texts.values())):
        holder = etree.SubElement(parent, tag)
        for child, text in texts.items():
            _add_filled(holder, child, text)


def _lines(element: etree._Element, *, level: int) -> str:
    etree.indent(element, level=level)
    return f"{'  ' * level}{etree.tostring(element, encoding='unicode', with_tail=False)}\n"
