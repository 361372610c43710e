"""XML to records: the files and texts that :mod:`ims.xml_writer` writes, and nothing else.

For proving a feed (:mod:`ims.feed_proof`), for tests, and for saying what an importer was told about a record that is
gone. A file is read record by record in constant memory, with entities, document types and network access off: a file
that has a document type is refused (billion laughs, CWE-776; external entities, CWE-611).

Elements, attributes and values that imsfeed does not write are refused with their line; the order of the elements is
left to :mod:`ims.xml_schema`. Errors name elements, never what they hold.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple, cast

import msgspec
from lxml import etree

from ims.errors import FeedError
from ims.records import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.text import clean_text
from ims.vocabulary import IDTYPE_PERSON, InstitutionRole, RecordKind, RecStatus, RoleType
from ims.xml_writer import Properties


class ReadRecord(NamedTuple):
    """A record of a file, and what it asks the importer to do: ``None`` in a snapshot.

    Of a person or group that is gone only what :func:`ims.xml_writer.fragment` writes is known; the rest is empty.
    """

    record: Record
    recstatus: RecStatus | None


class _Shape(NamedTuple):
    """What an element may hold: child elements, or text if there are none; and its attributes with their values."""

    children: frozenset[str]
    attributes: Mapping[str, frozenset[str]]


def _shape(children: str = "", **attributes: str) -> _Shape:
    return _Shape(frozenset(children.split()), {name: frozenset(values.split()) for name, values in attributes.items()})


_RECSTATUS: Final = " ".join(str(status.value) for status in RecStatus)
_LEAF: Final = _shape()
_SHAPES: Final = {
    "enterprise": _shape("properties person group membership"),
    "properties": _shape("datasource target type datetime", lang="no"),
    "person": _shape("sourcedid userid name email institutionrole", recstatus=_RECSTATUS),
    "sourcedid": _shape("source id"),
    "userid": _shape(useridtype="username"),
    "name": _shape("fn n"),
    "n": _shape("family given"),
    "institutionrole": _shape(primaryrole="Yes No", institutionroletype=" ".join(InstitutionRole)),
    "group": _shape("sourcedid grouptype description org timeframe", recstatus=_RECSTATUS),
    "grouptype": _shape("scheme typevalue"),
    "typevalue": _shape(level="1"),
    "description": _shape("short long full"),
    "org": _shape("orgname orgunit"),
    "timeframe": _shape("begin end"),
    "begin": _shape(restrict="0"),
    "end": _shape(restrict="0"),
    "membership": _shape("sourcedid member"),
    "member": _shape("sourcedid idtype role"),
    "role": _shape("status", roletype=" ".join(RoleType), recstatus=_RECSTATUS),
}
_REPEATED: Final = frozenset({"institutionrole"})
_PARENTS: Final = {
    "properties": "enterprise",
    "person": "enterprise",
    "group": "enterprise",
    "membership": "enterprise",
    "member": "membership",
}
"""The elements that are read one at a time, and where each must stand."""
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
_TAGS: Final = {RecordKind.PERSON: "person", RecordKind.GROUP: "group", RecordKind.MEMBERSHIP: "member"}


def read(source: bytes | Path | BinaryIO) -> Iterator[Properties | ReadRecord]:
    """Read a file record by record: its :class:`~ims.xml_writer.Properties` first, then its records.

    A membership element gives one record per member.

    Raises:
        FeedError: the file is no XML, has a document type, or holds what imsfeed does not write; says in which line.
    """
    with source.open("rb") if isinstance(source, Path) else nullcontext(_stream(source)) as stream:
        properties: Properties | None = None
        for element in _elements(stream):
            if properties is None:
                properties = _properties(element)
                yield properties
            elif element.tag in _TAGS.values():
                found = _record(element, _text(element, "../sourcedid/id") if element.tag == "member" else "")
                if (found.recstatus is None) is not (properties.type == "full"):
                    raise _error(element, f"recstatus does not go with type {properties.type}")
                yield found
            elif element.tag == "properties":
                raise _error(element, "a second one")
        if properties is None:
            raise FeedError("a file without <properties>")


def read_fragment(key: RecordKey, xml: str) -> Record:
    """The record that was told under a key, from the text it was told in (:func:`ims.xml_writer.fragment`).

    Args:
        key: the record's key; a member's text does not say which group it belongs to.
        xml: the text, without recstatus.

    Returns:
        The record, with exactly this key.

    Raises:
        FeedError: the text is no such record, or that of another key.
    """
    try:
        element = etree.fromstring(xml, _PARSER)
    except etree.XMLSyntaxError as error:
        raise FeedError(f"a published record, line {error.lineno}: not well-formed XML") from None
    if element.tag != _TAGS[key.kind]:
        raise _error(element, f"published as a {key.kind.name.lower()}")
    _check(element)
    record, recstatus = _record(element, key.id)
    known = key.member or key.id
    if recstatus is not None or clean_text(known) != (record.key.member or record.key.id):
        raise _error(element, "published with a recstatus or under the key of another")
    changed = {"person": known} if isinstance(record, MemberRecord) else {"id": known}
    return msgspec.structs.replace(record, **changed)


def _stream(source: bytes | BinaryIO) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else source


def _elements(stream: BinaryIO) -> Iterator[etree._Element]:
    """The elements of :data:`_PARENTS`, checked, each freed when the next one is asked for."""
    done: etree._Element | None = None
    parsing = etree.iterparse(stream, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False)
    try:
        for event, element in parsing:
            if event == "start":
                if element.getparent() is None:
                    _check_document(element)
            elif _tag(element) in _PARENTS:
                _free(done)
                _check(element)
                _check_place(element)
                yield element
                done = element
            elif element.getparent() is None:
                _free(done)
                _check(element)
    except etree.XMLSyntaxError as error:
        raise FeedError(f"line {error.lineno}: not well-formed XML") from None
    # Not known before the end.
    encoding = None if parsing.root is None else parsing.root.getroottree().docinfo.encoding
    if encoding not in {"UTF-8", None}:
        raise FeedError(f"line 1: the file is in {encoding}; imsfeed writes UTF-8")


def _free(element: etree._Element | None) -> None:
    parent = None if element is None else element.getparent()
    if element is not None and parent is not None:
        if (element.tail or "").strip():
            raise _error(parent, "text between its elements")
        parent.remove(element)


def _check_document(root: etree._Element) -> None:
    if root.getroottree().docinfo.doctype:
        raise FeedError("a file with a document type (<!DOCTYPE>), which imsfeed never writes; it is not read")


def _check_place(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is None or parent.tag != _PARENTS[_tag(element)]:
        raise _error(element, f"outside <{_PARENTS[_tag(element)]}>")


def _check(element: etree._Element) -> None:
    """See that an element and all in it is as :data:`_SHAPES` says."""
    shape = _SHAPES.get(_tag(element), _LEAF)
    for name, value in element.attrib.items():
        if value not in shape.attributes.get(str(name), ()):
            raise _error(element, "an attribute or a value of one that imsfeed does not write")
    if shape.children and (element.text or "").strip():
        raise _error(element, "text between its elements")
    seen: set[str] = set()
    for child in element:
        tag = _tag(child)
        if tag not in shape.children or tag in seen - _REPEATED:
            raise _error(child, f"does not belong in <{_tag(element)}>, or not more than once")
        if (child.tail or "").strip():
            raise _error(element, "text between its elements")
        seen.add(tag)
        _check(child)


def _properties(element: etree._Element) -> Properties:
    if element.tag != "properties":
        raise _error(element, "stands before <properties>")
    kind = _text(element, "type")
    if kind not in {"full", "delta"}:
        raise _error(element, "its type is neither full nor delta")
    try:
        at = datetime.strptime(_text(element, "datetime"), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise _error(element, "its datetime is not YYYY-MM-DDTHH:MM:SSZ") from None
    type_ = cast("Literal['full', 'delta']", kind)
    return Properties(_text(element, "datasource"), _text(element, "target"), type_, at)


def _record(element: etree._Element, group: str) -> ReadRecord:
    holder = element.find("role") if element.tag == "member" else element
    number = None if holder is None else holder.get("recstatus")
    recstatus = None if number is None else RecStatus(int(number))
    if element.tag == "person":
        return ReadRecord(_person(element), recstatus)
    if element.tag == "group":
        return ReadRecord(_group(element), recstatus)
    return ReadRecord(_member(element, group, gone=recstatus is RecStatus.GONE), recstatus)


def _person(element: etree._Element) -> PersonRecord:
    roles = element.findall("institutionrole")
    if [role.get("primaryrole") for role in roles] != ["No" if number else "Yes" for number in range(len(roles))]:
        raise _error(element, "its first institutionrole, and no other, must be the primary one")
    _text(element, "name/fn")
    return PersonRecord(
        source=_text(element, "sourcedid/source"),
        id=_text(element, "sourcedid/id"),
        login=element.findtext("userid") or None,
        given_name=element.findtext("name/n/given", ""),
        family_name=element.findtext("name/n/family", ""),
        email=element.findtext("email") or None,
        roles=tuple(InstitutionRole(_attribute(role, "institutionroletype")) for role in roles),
    )


def _group(element: etree._Element) -> GroupRecord:
    return GroupRecord(
        source=_text(element, "sourcedid/source"),
        id=_text(element, "sourcedid/id"),
        kind=element.findtext("grouptype/typevalue", ""),
        short=_text(element, "description/short"),
        long=element.findtext("description/long", ""),
        owner_name=element.findtext("org/orgname", ""),
        school_name=element.findtext("org/orgunit", ""),
        begin=element.findtext("timeframe/begin") or None,
        end=element.findtext("timeframe/end") or None,
    )


def _member(element: etree._Element, group: str, *, gone: bool) -> MemberRecord:
    role = element.find("role")
    if role is None or _text(element, "idtype") != IDTYPE_PERSON:
        raise _error(element, "not a person (idtype 1) with a role")
    if _text(role, "status") != ("0" if gone else "1"):
        raise _error(role, "its status contradicts its recstatus")
    return MemberRecord(
        source=_text(element, "sourcedid/source"),
        group=group,
        person=_text(element, "sourcedid/id"),
        role=RoleType(_attribute(role, "roletype")),
    )


def _text(element: etree._Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise _error(element, f"lacks {path}")
    return text


def _attribute(element: etree._Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise _error(element, f"lacks the attribute {name}")
    return str(value)


def _tag(element: etree._Element) -> str:
    # A comment, a processing instruction and an entity have a function as their tag.
    tag: Any = element.tag
    return tag if isinstance(tag, str) else "!"


def _error(element: etree._Element, what: str) -> FeedError:
    return FeedError(f"line {element.sourceline}: <{_tag(element)}>: {what}")
