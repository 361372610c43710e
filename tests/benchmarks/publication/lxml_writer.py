"""The reference for everything that writes XML: lxml, a C library, writing the same elements of the same records.

It has nothing to decide: no rules, no comparison, no digest, no order.
"""

from collections.abc import Iterable
from pathlib import Path

from lxml import etree

from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.writer import SCHEME, Properties

_new = etree.SubElement


def write_tree(path: Path, properties: Properties, records: Iterable[tuple[Record, RecStatus | None]]) -> None:
    """Build a file as a tree, and write it."""
    root = etree.Element("enterprise")
    _properties(root, properties)
    group, membership = "", root
    for record, recstatus in records:
        if isinstance(record, MemberRecord):
            if record.group != group:
                group, membership = record.group, _new(root, "membership")
                _sourcedid(membership, record.source, group)
            _member(membership, record, recstatus)
        else:
            _one(root, record, recstatus)
    etree.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def write_streamed(path: Path, properties: Properties, records: Iterable[Record]) -> None:
    """Write a file record by record (``lxml.etree.xmlfile``), in constant memory."""
    with etree.xmlfile(path, encoding="UTF-8") as file:
        file.write_declaration()
        with file.element("enterprise"):
            head = etree.Element("enterprise")
            _properties(head, properties)
            file.write(head[0])
            membership: etree._Element | None = None
            group = ""
            for record in records:
                if not isinstance(record, MemberRecord):
                    parent = etree.Element("enterprise")
                    _one(parent, record, None)
                    file.write(parent[0])
                    continue
                if record.group != group:
                    if membership is not None:
                        file.write(membership)
                    group, membership = record.group, etree.Element("membership")
                    _sourcedid(membership, record.source, group)
                assert membership is not None
                _member(membership, record, None)
            if membership is not None:
                file.write(membership)


def canonical(path: Path) -> str:
    """Return the file's canonical form without white space between its elements."""
    return str(etree.canonicalize(from_file=str(path), strip_text=True))


def _one(parent: etree._Element, record: Record, recstatus: RecStatus | None) -> None:
    if record.key.kind is RecordKind.PERSON:
        assert isinstance(record, PersonRecord)
        _person(parent, record, recstatus)
    else:
        assert isinstance(record, GroupRecord)
        _group(parent, record)


def _text(parent: etree._Element, tag: str, text: str) -> None:
    _new(parent, tag).text = text


def _properties(root: etree._Element, properties: Properties) -> None:
    element = _new(root, "properties", lang="no")
    _text(element, "datasource", properties.datasource)
    _text(element, "target", properties.target)
    _text(element, "type", properties.type)
    _text(element, "datetime", properties.at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _sourcedid(parent: etree._Element, source: str, id_: str) -> None:
    element = _new(parent, "sourcedid")
    _text(element, "source", source)
    _text(element, "id", id_)


def _person(parent: etree._Element, person: PersonRecord, recstatus: RecStatus | None) -> None:
    element = _new(parent, "person")
    if recstatus is not None:
        element.set("recstatus", str(recstatus.value))
    _sourcedid(element, person.source, person.id)
    if person.login is not None:
        _new(element, "userid", useridtype="username").text = person.login
    name = _new(element, "name")
    _text(name, "fn", f"{person.given_name} {person.family_name}")
    parts = _new(name, "n")
    _text(parts, "family", person.family_name)
    _text(parts, "given", person.given_name)
    if recstatus is RecStatus.GONE:
        return
    if person.email is not None:
        _text(element, "email", person.email)
    for number, role in enumerate(person.roles):
        primary = "No" if number else "Yes"
        _new(element, "institutionrole", primaryrole=primary, institutionroletype=role.value)


def _group(parent: etree._Element, group: GroupRecord) -> None:
    element = _new(parent, "group")
    _sourcedid(element, group.source, group.id)
    type_ = _new(element, "grouptype")
    _text(type_, "scheme", SCHEME)
    _new(type_, "typevalue", level="1").text = group.kind
    description = _new(element, "description")
    _text(description, "short", group.short)
    _text(description, "long", group.long)
    _text(description, "full", group.long)
    org = _new(element, "org")
    _text(org, "orgname", group.owner_name)
    _text(org, "orgunit", group.school_name)
    timeframe = _new(element, "timeframe")
    if group.begin is not None:
        _new(timeframe, "begin", restrict="0").text = group.begin
    if group.end is not None:
        _new(timeframe, "end", restrict="0").text = group.end


def _member(membership: etree._Element, member: MemberRecord, recstatus: RecStatus | None) -> None:
    element = _new(membership, "member")
    _sourcedid(element, member.source, member.person)
    _text(element, "idtype", "1")
    role = _new(element, "role", roletype=member.role.value)
    if recstatus is not None:
        role.set("recstatus", str(recstatus.value))
    _text(role, "status", "0" if recstatus is RecStatus.GONE else "1")
