"""Reads an existing nightly file of another exporter into small records: what its importer has got until now.

It reads what real exporters write, not only what a schema allows: plain IMS Enterprise with or without a namespace,
PIFU-IMS 1.1 to 1.3, any declared encoding, with or without a byte order mark, elements in any order, several
``sourcedid``, ``userid`` and ``membership`` elements, role names instead of role codes. Sources: the importers and
exporters named with each rule (Cerebrum's Fronter exports, Moodle's fixtures, PIFU-IMS, IMS Enterprise 1.1).

A document type is ignored: it is never loaded, its entities are never expanded, and nothing is fetched (CWE-611,
CWE-776). A file takes as much memory as its largest record, which is one group's membership element.

>>> from io import BytesIO
>>> file = b'<enterprise><person><sourcedid><source>sas</source><id>7</id></sourcedid></person></enterprise>'
>>> [record.ids for record in read_old_file(BytesIO(file)) if isinstance(record, OldPerson)]
[('7',)]
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, Final, Literal

import msgspec
from lxml import etree

from ims.errors import ImsfeedError
from ims.records.text import clean_text
from ims.records.vocabulary import GroupLevel, RecStatus, RoleType
from ims.xml.shapes import local_name, tag_of


class OldFileError(ImsfeedError):
    """The file cannot be read to its end, and nothing was compared; get a complete file from its exporter."""


class OldHead(msgspec.Struct, frozen=True):
    """The properties of the whole file. ``dialect`` is ``pifu`` for any version of PIFU-IMS, known by its namespace."""

    dialect: Literal["ims", "pifu"]


class OldUserId(msgspec.Struct, frozen=True):
    """An additional id of a person; ``type`` is ``useridtype`` in lower case, empty if there is none."""

    type: str
    value: str


class OldPerson(msgspec.Struct, frozen=True):
    """A person as the importer knows it.

    Attributes:
        source: ``sourcedid/source`` of the current id.
        ids: ``sourcedid/id``: first the current one, then those marked as old; empty if there is none.
        userids: in the order of the file; Moodle uses the first one as the user name.
    """

    source: str
    ids: tuple[str, ...]
    userids: tuple[OldUserId, ...]
    given_name: str
    family_name: str
    full_name: str
    email: str


class OldGroup(msgspec.Struct, frozen=True):
    """A group as the importer knows it.

    Attributes:
        ids: as for a person.
        names: the short, long and full description, without empty ones.
        school: ``org/orgunit``.
        parents: ``sourcedid/id`` of the groups above it; a root points to itself.
        level: owner or school if PIFU-IMS's ``pifu-ims-go-org`` says so; Fronter's bit masks do not count.
    """

    source: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    school: str
    parents: tuple[str, ...]
    level: GroupLevel


class OldMembership(msgspec.Struct, frozen=True):
    """One person in one group.

    Attributes:
        role: IMS Enterprise's two-digit code, or the file's own text if it is no code.
        group_source: ``sourcedid/source`` of the group's id.
        person_source: likewise of the person's.
    """

    group: str
    person: str
    role: str
    group_source: str = ""
    person_source: str = ""


OldRecord = OldPerson | OldGroup | OldMembership

_RECORDS: Final = ("{*}person", "{*}group", "{*}membership")
_PIFU: Final = "http://pifu.no/xsd/pifu-ims_sas/"
_ORGANISATIONS: Final = "pifu-ims-go-org"
_LEVELS: Final = {"1": GroupLevel.OWNER, "2": GroupLevel.SCHOOL}
_PARENT: Final = {"1", "parent"}
_CURRENT: Final = {"", "new"}
_ROLE_NAMES: Final = {
    "learner": "01",
    "student": "01",
    "elev": "01",
    "deltaker": "01",
    "instructor": "02",
    "teacher": "02",
    "faculty": "02",
    "lærer": "02",
    "contentdeveloper": "03",
    "member": "04",
    "manager": "05",
    "mentor": "06",
    "administrator": "07",
    "teachingassistant": "08",
}
"""IMS Enterprise's names of the roles, and the words of exporters that write their own (SchILD-NRW's ``Student``)."""
_TEACHER: Final = "lærer"
_GONE: Final = {str(RecStatus.GONE.value), "delete", "deleted"}
_INACTIVE: Final = {"inactive", "inaktiv", "false", "no"}
_OF_GROUP: Final = {"2", "group"}


def read_old_file(stream: BinaryIO) -> Iterator[OldHead | OldRecord]:
    """Read a file record by record: its :class:`OldHead` first, then its persons, groups and members.

    Persons and groups with recstatus 3 are skipped, as are members that are groups themselves (``idtype`` 2), and
    members all of whose roles have status 0 or recstatus 3.

    Raises:
        OldFileError: the file is not well-formed, has another root than ``<enterprise>``, or uses entities of its
            document type. Names the line, never its contents.
    """
    headed = False
    parsing = etree.iterparse(
        stream,
        events=("start", "end"),
        tag=("{*}enterprise", *_RECORDS),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for event, element in parsing:
            parent = element.getparent()
            if parent is None and event == "start" and not headed:
                headed = True
                yield OldHead("pifu" if tag_of(element).startswith(f"{{{_PIFU}") else "ims")
            elif parent is not None and parent.getparent() is None and event == "end" and headed:
                yield from _records(element)
                _free(element, parent)
    except etree.XMLSyntaxError as error:
        raise OldFileError(_not_well_formed(error, list(parsing.error_log))) from None
    if not headed:
        raise OldFileError("this is not an IMS Enterprise file: its root is not <enterprise>; nothing was compared")


def _not_well_formed(error: etree.XMLSyntaxError, logged: list[etree._LogEntry]) -> str:
    # The parser's own text may quote the file.
    if not error.lineno and not logged:
        return "the file is empty; nothing was compared"
    line, code = (error.lineno, error.code) if error.lineno else (logged[0].line, logged[0].type)
    if code == etree.ErrorTypes.ERR_UNDECLARED_ENTITY:
        return f"line {line}: an entity that is not defined, such as &oslash; nothing was compared"
    encoding = code in {etree.ErrorTypes.ERR_INVALID_CHAR, etree.ErrorTypes.ERR_INVALID_ENCODING}
    hint = "; or it is not in the encoding that its first line declares (UTF-8 if none)" if encoding else ""
    return f"line {line}: not well-formed XML{hint}; nothing was compared"


def _free(element: etree._Element, parent: etree._Element) -> None:
    # Clearing alone would leave one empty element per record below the root.
    element.clear()
    while element.getprevious() is not None:
        del parent[0]


def _records(element: etree._Element) -> Iterator[OldRecord]:
    if next(element.iter(etree.Entity), None) is not None:
        raise OldFileError(
            f"line {element.sourceline}: an entity in <{local_name(element)}> that is defined in a document"
            " type, which is not read; nothing was compared"
        )
    kind = local_name(element)
    if kind == "membership":
        yield from _members(element)
    elif not _is_gone(element):
        yield _person(element) if kind == "person" else _group(element)


def _person(element: etree._Element) -> OldPerson:
    source, ids = _sourcedids(element)
    return OldPerson(
        source=source,
        ids=ids,
        userids=tuple(
            OldUserId(userid.get("useridtype", "").strip().lower(), value)
            for userid in element.iterfind("{*}userid")
            if (value := clean_text(userid.text or ""))
        ),
        given_name=_text(element, "{*}name/{*}n/{*}given"),
        family_name=_text(element, "{*}name/{*}n/{*}family"),
        full_name=_text(element, "{*}name/{*}fn"),
        email=_text(element, "{*}email"),
    )


def _group(element: etree._Element) -> OldGroup:
    source, ids = _sourcedids(element)
    names = (_text(element, f"{{*}}description/{{*}}{name}") for name in ("short", "long", "full"))
    parents = (
        _text(relationship, "{*}sourcedid/{*}id")
        for relationship in element.iterfind("{*}relationship")
        if relationship.get("relation", "1").strip().lower() in _PARENT
    )
    return OldGroup(
        source=source,
        ids=ids,
        names=tuple(dict.fromkeys(filter(None, names))),
        school=_text(element, "{*}org/{*}orgunit"),
        parents=tuple(filter(None, parents)),
        level=_level(element),
    )


def _level(element: etree._Element) -> GroupLevel:
    for grouptype in element.iterfind("{*}grouptype"):
        value = grouptype.find("{*}typevalue")
        if value is not None and _text(grouptype, "{*}scheme") == _ORGANISATIONS:
            return _LEVELS.get(value.get("level", "").strip(), GroupLevel.GROUP)
    return GroupLevel.GROUP


def _members(element: etree._Element) -> Iterator[OldMembership]:
    group_source, groups = _sourcedids(element)
    for member in element.iterfind("{*}member"):
        person_source, persons = _sourcedids(member)
        # Not in the schema of <member>, but some exporters write it there, and Moodle reads it there.
        gone = _is_gone(member)
        roles = [role for role in map(_role, member.iterfind("{*}role")) if role is not None]
        of_person = _text(member, "{*}idtype").casefold() not in _OF_GROUP
        if groups and persons and roles and of_person and not gone:
            yield OldMembership(groups[0], persons[0], roles[0], group_source, person_source)


def _is_gone(element: etree._Element) -> bool:
    return element.get("recstatus", "").strip().casefold() in _GONE


def _role(element: etree._Element) -> str | None:
    """Return the code of an active role, else ``None``."""
    status = _text(element, "{*}status").casefold()
    if _is_gone(element) or status in _INACTIVE or (status.isdecimal() and int(status) == 0):
        return None
    # Fronter uses roletype as a permission, 01 for all persons; subrole says who teaches (Cerebrum's export).
    if _text(element, "{*}subrole").lower() == _TEACHER:
        return RoleType.INSTRUCTOR.value
    value = element.get("roletype", "01").strip() or "01"
    if value.isdecimal():
        return f"{int(value):02}"
    # A role may be a word of any case, with or without spaces, or the end of a URN (learning tools' roles).
    return _ROLE_NAMES.get(re.sub(r"[\s_-]", "", re.split("[/#:]", value)[-1]).casefold(), value)


def _sourcedids(element: etree._Element) -> tuple[str, tuple[str, ...]]:
    """Return the source of the current id, and all ids, the current one first."""
    current: list[tuple[str, str]] = []
    old: list[tuple[str, str]] = []
    for sourcedid in element.iterfind("{*}sourcedid"):
        id_ = _text(sourcedid, "{*}id")
        if id_:
            is_current = sourcedid.get("sourcedidtype", "").strip().lower() in _CURRENT
            (current if is_current else old).append((_text(sourcedid, "{*}source"), id_))
    found = current + old
    return found[0][0] if found else "", tuple(dict.fromkeys(id_ for _, id_ in found))


def _text(element: etree._Element, path: str) -> str:
    return clean_text(element.findtext(path) or "")
