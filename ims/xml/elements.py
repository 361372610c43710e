r"""The building blocks of records in every dialect: one element per line, as text.

Each function takes the depth of its element. They join strings instead of building a tree, because a first publication
or a snapshot has millions of elements.

>>> print(block(1, "name", line(2, "fn", "Æ & <Å>") + optional_line(2, "nickname", " ")), end="")
  <name>
    <fn>Æ &amp; &lt;Å&gt;</fn>
  </name>
"""

import functools
from typing import Final

from ims.records.model import GroupRecord
from ims.records.text import clean_text
from ims.records.vocabulary import IDTYPE_PERSON, GroupLevel, RecStatus, RoleType

_ABOVE: Final = {GroupLevel.OWNER: "skoleeier", GroupLevel.SCHOOL: "skoleeier", GroupLevel.GROUP: "skole"}
"""``relationship/label`` by the group's own level: the kind of the group above it (PIFU-IMS 1.3)."""
_INDENT: Final = tuple("  " * depth for depth in range(8))


def line(depth: int, tag: str, text: str, attributes: str = "") -> str:
    """Return an element with a text, which is cleaned and escaped.

    Args:
        attributes: as they are written after the tag, each with a space before it.
    """
    return f"{_INDENT[depth]}<{tag}{attributes}>{escape(text)}</{tag}>\n"


def optional_line(depth: int, tag: str, text: str | None, attributes: str = "") -> str:
    """Return the same as :func:`line` if there is any text, else nothing."""
    escaped = escape(text) if text else ""
    return f"{_INDENT[depth]}<{tag}{attributes}>{escaped}</{tag}>\n" if escaped else ""


def block(depth: int, tag: str, content: str, attributes: str = "") -> str:
    """Return an element with the elements in *content*; nothing if there are none."""
    if not content:
        return ""
    indent = _INDENT[depth]
    return f"{indent}<{tag}{attributes}>\n{content}{indent}</{tag}>\n"


def recstatus_attribute(recstatus: RecStatus | None) -> str:
    """Return the attribute of a person, group or role; nothing in a snapshot."""
    return "" if recstatus is None else f' recstatus="{recstatus.value}"'


def sourcedid(depth: int, source: str, id_: str, attributes: str = "") -> str:
    """Return a ``sourcedid`` element."""
    before, after = _around_id(depth, source, attributes)
    return f"{before}{escape(id_)}{after}"


def member(source: str, person: str, role: RoleType, recstatus: RecStatus | None, subrole: str | None = None) -> str:
    """Return a member of a group.

    There may be a million, which differ in the person's id and little else: the rest is cached.
    """
    before, after = _around_person(source, role, recstatus, subrole)
    return f"{before}{escape(person)}{after}"


def timeframe(depth: int, begin: str | None, end: str | None) -> str:
    """Return a group's first and last day, if it has any."""
    # restrict="0": the days are information only; the memberships give and take access.
    first = optional_line(depth + 1, "begin", begin, ' restrict="0"')
    last = optional_line(depth + 1, "end", end, ' restrict="0"')
    return block(depth, "timeframe", first + last)


def relationship(depth: int, group: GroupRecord) -> str:
    """Return the relationship to the group above; a group without one, such as an owner's, is related to itself."""
    content = sourcedid(depth + 1, group.source, group.parent or group.id) + line(
        depth + 1, "label", _ABOVE[group.level]
    )
    return block(depth, "relationship", content, ' relation="1"')


def escape(text: str) -> str:
    """Return the text, cleaned by :func:`ims.records.text.clean_text`, as character data (XML 1.0, section 2.4)."""
    if text.isalnum() and text.isascii():
        return text  # the fast path: most ids
    return clean_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@functools.lru_cache
def _around_id(depth: int, source: str, attributes: str) -> tuple[str, str]:
    """Return the text before and after the id in a ``sourcedid``."""
    whole = block(depth, "sourcedid", line(depth + 1, "source", source) + line(depth + 1, "id", ""), attributes)
    before, tag, after = whole.rpartition("</id>")
    return before, tag + after


@functools.lru_cache
def _around_person(source: str, role: RoleType, recstatus: RecStatus | None, subrole: str | None) -> tuple[str, str]:
    """Return the text before and after the person's id in a member."""
    content = "" if subrole is None else line(4, "subrole", subrole)
    content += line(4, "status", "0" if recstatus is RecStatus.GONE else "1")
    content = block(3, "role", content, f' roletype="{role.value}"{recstatus_attribute(recstatus)}')
    content = sourcedid(3, source, "") + line(3, "idtype", IDTYPE_PERSON) + content
    before, tag, after = block(2, "member", content).partition("</id>")
    return before, tag + after
