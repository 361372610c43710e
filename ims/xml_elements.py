r"""The pieces that records of every dialect are written with: text, one element per line, as it stands in a file.

Each is given the depth at which it stands. Put together from strings rather than from a tree, because a first
publication and a snapshot are millions of them.

>>> print(block(1, "name", line(2, "fn", "Æ & <Å>") + filled(2, "nickname", " ")), end="")
  <name>
    <fn>Æ &amp; &lt;Å&gt;</fn>
  </name>
"""

from typing import Final

from ims.records import GroupRecord
from ims.text import clean_text
from ims.vocabulary import GroupLevel, RecStatus

_ABOVE: Final = {GroupLevel.OWNER: "skoleeier", GroupLevel.SCHOOL: "skoleeier", GroupLevel.GROUP: "skole"}
"""``relationship/label`` by the group's own level: what the group above it is (PIFU-IMS 1.3)."""
_INDENT: Final = tuple("  " * depth for depth in range(8))


def line(depth: int, tag: str, text: str, attributes: str = "") -> str:
    """An element with a text, which goes through :func:`ims.text.clean_text`.

    Args:
        attributes: as they stand after the tag, each with a space before it.
    """
    return f"{_INDENT[depth]}<{tag}{attributes}>{escaped(clean_text(text))}</{tag}>\n"


def filled(depth: int, tag: str, text: str | None, attributes: str = "") -> str:
    """The same if there is any text, else nothing."""
    return line(depth, tag, text, attributes) if text and clean_text(text) else ""


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
    return block(depth, "sourcedid", line(depth + 1, "source", source) + line(depth + 1, "id", id_), attributes)


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


def escaped(text: str) -> str:
    """The text as it stands between two tags (XML 1.0, section 2.4)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
