r"""The pieces that records of every dialect are written with: text, one element per line, as it stands in a file.

Each is given the depth at which it stands. Put together from strings rather than from a tree, because a first
publication and a snapshot are millions of them.

>>> print(block(1, "name", line(2, "fn", "Æ & <Å>") + filled(2, "nickname", " ")), end="")
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
"""``relationship/label`` by the group's own level: what the group above it is (PIFU-IMS 1.3)."""
_INDENT: Final = tuple("  " * depth for depth in range(8))


def line(depth: int, tag: str, text: str, attributes: str = "") -> str:
    """An element with a text, which goes through :func:`ims.records.text.clean_text`.

    Args:
        attributes: as they stand after the tag, each with a space before it.
    """
    return f"{_INDENT[depth]}<{tag}{attributes}>{written(text)}</{tag}>\n"


def filled(depth: int, tag: str, text: str | None, attributes: str = "") -> str:
    """The same if there is any text, else nothing."""
    as_written = written(text) if text else ""
    return f"{_INDENT[depth]}<{tag}{attributes}>{as_written}</{tag}>\n" if as_written else ""


def block(depth: int, tag: str, content: str, attributes: str = "") -> str:
    """An element of the elements in *content*; nothing if there are none."""
    if not content:
        return ""
    indent = _INDENT[depth]
    return f"{indent}<{tag}{attributes}>\n{content}{indent}</{tag}>\n"


def recstatus_attribute(recstatus: RecStatus | None) -> str:
    """The attribute of a person, group or role; none in a snapshot."""
    return "" if recstatus is None else f' recstatus="{recstatus.value}"'


def sourcedid(depth: int, source: str, id_: str, attributes: str = "") -> str:
    """A ``sourcedid``."""
    before, after = _around_id(depth, source, attributes)
    return f"{before}{written(id_)}{after}"


def member(source: str, person: str, role: RoleType, recstatus: RecStatus | None, subrole: str | None = None) -> str:
    """A member of a group; of the million that there may be, all but the person's id is the same again and again."""
    before, after = _around_person(source, role, recstatus, subrole)
    return f"{before}{written(person)}{after}"


def timeframe(depth: int, begin: str | None, end: str | None) -> str:
    """The days between which a group is open, if any is told."""
    # restrict="0": the days are told, but it is the memberships that give and take access.
    content = filled(depth + 1, "begin", begin, ' restrict="0"') + filled(depth + 1, "end", end, ' restrict="0"')
    return block(depth, "timeframe", content)


def relationship(depth: int, group: GroupRecord) -> str:
    """The group above a group; an owner is above itself, and so is one that is told without any above it."""
    content = sourcedid(depth + 1, group.source, group.parent or group.id) + line(
        depth + 1, "label", _ABOVE[group.level]
    )
    return block(depth, "relationship", content, ' relation="1"')


def written(text: str) -> str:
    """The text, cleaned, as it stands between two tags (XML 1.0, section 2.4)."""
    if text.isalnum() and text.isascii():
        return text  # as ids are
    return clean_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@functools.lru_cache
def _around_id(depth: int, source: str, attributes: str) -> tuple[str, str]:
    """What stands before and after the id in a ``sourcedid``."""
    whole = block(depth, "sourcedid", line(depth + 1, "source", source) + line(depth + 1, "id", ""), attributes)
    before, tag, after = whole.rpartition("</id>")
    return before, tag + after


@functools.lru_cache
def _around_person(source: str, role: RoleType, recstatus: RecStatus | None, subrole: str | None) -> tuple[str, str]:
    """What stands before and after the person's id in a member."""
    content = "" if subrole is None else line(4, "subrole", subrole)
    content += line(4, "status", "0" if recstatus is RecStatus.GONE else "1")
    content = block(3, "role", content, f' roletype="{role.value}"{recstatus_attribute(recstatus)}')
    content = sourcedid(3, source, "") + line(3, "idtype", IDTYPE_PERSON) + content
    before, tag, after = block(2, "member", content).partition("</id>")
    return before, tag + after
