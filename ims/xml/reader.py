"""Reads XML into records: the files and texts that :mod:`ims.xml.writer` writes, in either dialect, and nothing else.

For the verification of a feed (:mod:`ims.feed.verification`), for tests, and for what has been published of a record
that is removed. A file is read record by record in constant memory, with entities, document types and network access
off: a file with a document type is refused (billion laughs, CWE-776; external entities, CWE-611).

Elements, attributes and values that imsfeed does not write are refused with their line (:mod:`ims.xml.shapes`).
"""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Literal, cast

import msgspec
from lxml import etree

from ims.errors import FeedError
from ims.records.model import MemberRecord, Record, RecordKey
from ims.records.text import clean_text
from ims.records.vocabulary import RecordKind
from ims.xml.decoding import ReadRecord, record_of, sourcedid_of, text_at
from ims.xml.dialect import PIFU_NAMESPACE, Dialect, dialect_of
from ims.xml.fragments import read_as_written, record_as_written
from ims.xml.shapes import SHAPES, check, error_at, local_name, tag_of
from ims.xml.writer import SCHEME, Properties

__all__ = ["ReadRecord", "read", "read_fragment"]


_PARENTS: Final = {
    "properties": "enterprise",
    "person": "enterprise",
    "group": "enterprise",
    "membership": "enterprise",
    "member": "membership",
}
"""The elements that are read one at a time, and the parent that each must have."""
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
_INDENTS: Final = {"person": "  ", "member": "    "}
"""The indentation of an element that may be read as written."""
_XMLNS: Final = f' xmlns="{PIFU_NAMESPACE}"'
_GROUP: Final = "../{*}sourcedid/{*}id"
"""The path from a member to its group's id."""
_TAGS: Final = {RecordKind.PERSON: "person", RecordKind.GROUP: "group", RecordKind.MEMBERSHIP: "member"}


def read(source: bytes | Path | BinaryIO) -> Iterator[Properties | ReadRecord]:
    """Read a file record by record: its :class:`~ims.xml.writer.Properties` first, then its records.

    A membership element gives one record per member.

    Raises:
        FeedError: the file is not XML, has a document type, or has something that imsfeed does not write; names the
            line.
    """
    with source.open("rb") if isinstance(source, Path) else nullcontext(_stream(source)) as stream:
        properties: Properties | None = None
        for dialect, element, record in _elements(stream):
            if properties is None:
                properties = _properties(element, dialect)
                yield properties
            elif record is not None or element.tag in _TAGS.values():
                found = ReadRecord(record, None) if record is not None else _record_of(element)
                if (found.recstatus is None) is not (properties.type == "full"):
                    raise error_at(element, f"recstatus does not go with type {properties.type}")
                yield found
            elif element.tag == "properties":
                raise error_at(element, "occurs twice")
            else:
                sourcedid_of(element)
        if properties is None:
            raise FeedError("a file without <properties>")


def read_fragment(key: RecordKey, xml: str) -> Record:
    """Return the record that was published under a key, from its text (:func:`ims.xml.writer.fragment`).

    The text may be in either dialect, so that a target can change from one to the other.

    Args:
        key: the record's key; a member's text does not say which group it belongs to.
        xml: the text, without recstatus.

    Returns:
        The record, with exactly this key.

    Raises:
        FeedError: the text is not such a record, or has another key.
    """
    return read_as_written(key, xml) or parse_fragment(key, xml)


def parse_fragment(key: RecordKey, xml: str) -> Record:
    """Return the same as :func:`read_fragment`, always by the parser."""
    try:
        element = etree.fromstring(xml, _PARSER)
    except etree.XMLSyntaxError as error:
        raise FeedError(f"a published record, line {error.lineno}: not well-formed XML") from None
    if element.tag != _TAGS[key.kind]:
        raise error_at(element, f"published as a {key.kind.name.lower()}")
    check(element, SHAPES[_dialect_of_fragment(element)])
    record, recstatus = record_of(element, key.id)
    known = key.member or key.id
    if recstatus is not None or clean_text(known) != (record.key.member or record.key.id):
        raise error_at(element, "published with a recstatus or under the key of another")
    changed = {"person": known} if isinstance(record, MemberRecord) else {"id": known}
    return msgspec.structs.replace(record, **changed)


def _stream(source: bytes | BinaryIO) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else source


def _dialect_of_fragment(element: etree._Element) -> Dialect:
    """Return the dialect of a text, known by what only PIFU-IMS has; a text that is the same in both is plain."""
    if element.findtext("grouptype/scheme", SCHEME) != SCHEME:
        return "pifu"
    pifu_only = "sourcedid[@sourcedidtype]", "role/subrole"
    userids = {userid.get("useridtype") for userid in element.iterfind("userid")}
    return "pifu" if userids - {"username"} or any(element.find(path) is not None for path in pifu_only) else "ims"


def _elements(stream: BinaryIO) -> Iterator[tuple[Dialect, etree._Element, Record | None]]:
    """Yield the elements of :data:`_PARENTS`, checked and without namespace; each is freed before the next.

    A person or member whose text is exactly what imsfeed writes needs no check and comes with its record.
    """
    done: etree._Element | None = None
    dialect: Dialect | None = None
    # Every event costs Python time, so none are asked for of the elements in between.
    parsing = etree.iterparse(
        stream,
        events=("start", "end"),
        tag=[f"{{*}}{name}" for name in ("enterprise", *_PARENTS)],
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
    )
    try:
        for event, element in parsing:
            if dialect is None:
                dialect = _dialect(element.getroottree().getroot())
            name = local_name(element)
            if event == "start" or name not in _PARENTS:
                continue
            _free(done)
            record = _as_written(element, name, dialect)
            if record is None:
                _check(element, dialect)
            _check_place(element, name)
            yield dialect, element, record
            done = element
    except etree.XMLSyntaxError as error:
        raise FeedError(f"line {error.lineno}: not well-formed XML") from None
    root = parsing.root
    if root is not None:
        _free(done)
        _check(root, dialect or _dialect(root))
        # The parser knows the encoding only after the end.
        encoding = root.getroottree().docinfo.encoding
        if encoding not in {"UTF-8", None}:
            raise FeedError(f"line 1: the file is in {encoding}; imsfeed writes UTF-8")


def _check(element: etree._Element, dialect: Dialect) -> None:
    """Remove the file's namespace from an element, and check its shape against what imsfeed writes."""
    if dialect == "pifu":
        _leave_namespace(element, PIFU_NAMESPACE)
    elif element.tag != local_name(element):
        raise error_at(element, "is in another namespace than the file")
    check(element, SHAPES[dialect])


def _as_written(element: etree._Element, name: str, dialect: Dialect) -> Record | None:
    """Return the record of a person or member that is exactly as imsfeed writes it, else ``None``."""
    if name not in _INDENTS:
        return None
    group = element.findtext(_GROUP, "") if name == "member" else ""
    text = etree.tostring(element, encoding="unicode", with_tail=False).replace(_XMLNS, "", 1)
    return record_as_written(f"{_INDENTS[name]}{text}\n", group, dialect)


def _record_of(element: etree._Element) -> ReadRecord:
    return record_of(element, text_at(element, _GROUP) if element.tag == "member" else "")


def _leave_namespace(element: etree._Element, namespace: str) -> None:
    """Remove the file's namespace from an element and its content, so that both dialects have the same tags."""
    for part in element.iter(etree.Element):
        name = local_name(part)
        if part.tag != f"{{{namespace}}}{name}" or part.prefix is not None:
            raise error_at(part, "has a prefix, or is in another namespace than the file")
        part.tag = name


def _free(element: etree._Element | None) -> None:
    parent = None if element is None else element.getparent()
    if element is not None and parent is not None:
        if (element.tail or "").strip():
            raise error_at(parent, "text between its elements")
        parent.remove(element)


def _dialect(root: etree._Element) -> Dialect:
    if root.getroottree().docinfo.doctype:
        raise FeedError("a file with a document type (<!DOCTYPE>), which imsfeed never writes; it is not read")
    dialect = dialect_of(tag_of(root))
    if dialect is None:
        raise error_at(root, "is in a namespace in which imsfeed does not write")
    return dialect


def _check_place(element: etree._Element, name: str) -> None:
    parent = element.getparent()
    if parent is None or local_name(parent) != _PARENTS[name]:
        raise error_at(element, f"is outside <{_PARENTS[name]}>")


def _properties(element: etree._Element, dialect: Dialect) -> Properties:
    if element.tag != "properties":
        raise error_at(element, "comes before <properties>")
    kind = text_at(element, "type")
    if kind not in {"full", "delta"}:
        raise error_at(element, "its type is neither full nor delta")
    try:
        at = datetime.strptime(text_at(element, "datetime"), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise error_at(element, "its datetime is not YYYY-MM-DDTHH:MM:SSZ") from None
    type_ = cast("Literal['full', 'delta']", kind)
    return Properties(text_at(element, "datasource"), text_at(element, "target"), type_, at, dialect)
