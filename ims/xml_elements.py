"""The pieces that records of every dialect are written with."""

from typing import Final

from lxml import etree

from ims.records import GroupRecord
from ims.text import clean_text
from ims.vocabulary import GroupLevel, RecStatus

_ABOVE: Final = {GroupLevel.OWNER: "skoleeier", GroupLevel.SCHOOL: "skoleeier", GroupLevel.GROUP: "skole"}
"""``relationship/label`` by the group's own level: what the group above it is (PIFU-IMS 1.3)."""


def record_element(tag: str, recstatus: RecStatus | None) -> etree._Element:
    """An empty person or group."""
    return etree.Element(tag) if recstatus is None else etree.Element(tag, recstatus=str(recstatus.value))


def add(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
    """Add an element with a text, which goes through :func:`ims.text.clean_text`."""
    etree.SubElement(parent, tag, attributes).text = clean_text(text)


def add_filled(parent: etree._Element, tag: str, text: str | None, **attributes: str) -> None:
    """Add an element with a text, if there is any."""
    if text is not None and clean_text(text):
        add(parent, tag, text, **attributes)


def add_holder(parent: etree._Element, tag: str, **texts: str) -> None:
    """Add an element of the texts that are not empty, in the order given; none if all are."""
    if any(map(clean_text, texts.values())):
        holder = etree.SubElement(parent, tag)
        for child, text in texts.items():
            add_filled(holder, child, text)


def add_sourcedid(parent: etree._Element, source: str, id_: str, **attributes: str) -> etree._Element:
    """Add a ``sourcedid``."""
    sourcedid = etree.SubElement(parent, "sourcedid", attributes)
    add(sourcedid, "source", source)
    add(sourcedid, "id", id_)
    return sourcedid


def add_timeframe(parent: etree._Element, begin: str | None, end: str | None) -> None:
    """Add the days between which a group is open, if any is told."""
    if begin or end:
        timeframe = etree.SubElement(parent, "timeframe")
        # restrict="0": the days are told, but it is the memberships that give and take access.
        add_filled(timeframe, "begin", begin, restrict="0")
        add_filled(timeframe, "end", end, restrict="0")


def add_relationship(parent: etree._Element, group: GroupRecord) -> None:
    """Add the group above a group; an owner is above itself, and so is one that is told without any above it."""
    relationship = etree.SubElement(parent, "relationship", relation="1")
    add_sourcedid(relationship, group.source, group.parent or group.id)
    add(relationship, "label", _ABOVE[group.level])


def lines(element: etree._Element, *, level: int) -> str:
    """The element as text, one element per line, as it stands in a file at this depth."""
    etree.indent(element, level=level)
    return f"{'  ' * level}{etree.tostring(element, encoding='unicode', with_tail=False)}\n"
