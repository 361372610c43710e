"""The records of a file as an importer reads them: what each says, and which elements are absent.

Unlike :mod:`ims.xml.reader`, it knows an element that is absent from one that is empty, and takes full files with
removed records too (those at a fixed path): importers see both.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from ims.errors import FeedError
from ims.feed.files import OpenFile


class Person(NamedTuple):
    """A person; ``None`` where an element is absent. The login is the first ``userid``, whatever its type."""

    recstatus: int | None
    id: str
    login: str | None
    given_name: str | None
    family_name: str | None
    email: str | None


class Group(NamedTuple):
    """A group; *name* is ``<full>``, or ``<short>`` without one."""

    recstatus: int | None
    id: str
    short: str
    name: str
    parent: str | None


class Member(NamedTuple):
    """A person's role in a group; not *active*: its status is 0."""

    recstatus: int | None
    group: str
    person: str
    role: str
    active: bool


Instruction = Person | Group | Member


def instructions(open_file: OpenFile, path: str) -> Iterator[Instruction]:
    """Yield the records of a file, in its order.

    Raises:
        FeedError: the file is not well-formed; the message begins with the path.
        FileNotFoundError: the file does not exist.
    """
    with open_file(path) as file:
        try:
            for _, element in etree.iterparse(
                file, tag=("{*}person", "{*}group", "{*}membership"), resolve_entities=False, no_network=True
            ):
                yield from _read(element)
                element.clear()
        except etree.XMLSyntaxError as error:
            raise FeedError(f"{path}: line {error.lineno}: not well-formed XML") from None


def _read(element: etree._Element) -> Iterator[Instruction]:
    name = etree.QName(element).localname
    id_, recstatus = _text(element, "sourcedid/id") or "", _recstatus(element)
    if name == "person":
        login, email = _text(element, "userid"), _text(element, "email")
        yield Person(recstatus, id_, login, _text(element, "name/n/given"), _text(element, "name/n/family"), email)
    elif name == "group":
        short = _text(element, "description/short") or ""
        full = _text(element, "description/full")
        yield Group(recstatus, id_, short, full or short, _text(element, "relationship/sourcedid/id"))
    else:
        for member in element.iterfind("{*}member"):
            role = member.find("{*}role")
            if role is not None:
                person, active = _text(member, "sourcedid/id") or "", _text(role, "status") == "1"
                yield Member(_recstatus(role), id_, person, role.get("roletype", "01"), active)


def _recstatus(element: etree._Element) -> int | None:
    value = element.get("recstatus")
    return int(value) if value in {"1", "2", "3"} else None


def _text(element: etree._Element, path: str) -> str | None:
    """Return the text at a path without namespace; empty if the element is, ``None`` if it is absent."""
    found = element.find("/".join(f"{{*}}{step}" for step in path.split("/")))
    return None if found is None else (found.text or "").strip()
