"""The shapes of imsfeed's own files, by dialect: their elements, attributes and attribute values.

Everything else is refused with its line. The order of the elements is left to :mod:`ims.xml.schema`. Errors name
elements, never their contents.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from lxml import etree

from ims.errors import FeedError
from ims.records.vocabulary import InstitutionRole, RecStatus, RoleType
from ims.xml.dialect import Dialect


class Shape(NamedTuple):
    """What an element may have: child elements, or text if there are none; and its attributes with their values."""

    children: frozenset[str]
    repeated: frozenset[str]
    attributes: Mapping[str, frozenset[str]]


Shapes = Mapping[str, Shape]
"""The shape of each element, by name; an element that is not here has text and no attributes."""


def _shape(children: str = "", **attributes: str) -> Shape:
    """Return a shape from names with a space between them; a star marks a child that may occur several times."""
    names = children.split()
    return Shape(
        frozenset(name.rstrip("*") for name in names),
        frozenset(name.rstrip("*") for name in names if name.endswith("*")),
        {name: frozenset(values.split()) for name, values in attributes.items()},
    )


_RECSTATUS: Final = " ".join(str(status.value) for status in RecStatus)
_BOTH: Final = {
    "enterprise": _shape("properties person group membership"),
    "properties": _shape("datasource target type datetime", lang="no"),
    "sourcedid": _shape("source id"),
    "name": _shape("fn n"),
    "n": _shape("family given"),
    "grouptype": _shape("scheme typevalue"),
    "description": _shape("short long full"),
    "timeframe": _shape("begin end"),
    "begin": _shape(restrict="0"),
    "end": _shape(restrict="0"),
    "membership": _shape("sourcedid member"),
    "member": _shape("sourcedid idtype role"),
}
SHAPES: Final[Mapping[Dialect, Shapes]] = {
    "ims": {
        **_BOTH,
        "person": _shape("sourcedid userid name email institutionrole*", recstatus=_RECSTATUS),
        "userid": _shape(useridtype="username"),
        "institutionrole": _shape(primaryrole="Yes No", institutionroletype=" ".join(InstitutionRole)),
        "group": _shape("sourcedid grouptype description org timeframe relationship", recstatus=_RECSTATUS),
        "relationship": _shape("sourcedid label", relation="1"),
        "typevalue": _shape(level="1"),
        "org": _shape("orgname orgunit"),
        "role": _shape("status", roletype=" ".join(RoleType), recstatus=_RECSTATUS),
    },
    "pifu": {
        **_BOTH,
        "person": _shape("sourcedid* userid* name email", recstatus=_RECSTATUS),
        "sourcedid": _shape("source id", sourcedidtype="New Old"),
        "userid": _shape(useridtype="username feideID personNIN personLIN"),
        "group": _shape("sourcedid grouptype description timeframe relationship extension", recstatus=_RECSTATUS),
        "typevalue": _shape(level="1 2"),
        "relationship": _shape("sourcedid label", relation="1"),
        "extension": _shape("pifu_id pifu_name"),
        "pifu_id": _shape("pifu_value pifu_scope pifu_unique", type="organizationNumber"),
        "pifu_name": _shape("pifu_value", type="legalName"),
        "role": _shape("subrole status", roletype=" ".join(RoleType), recstatus=_RECSTATUS),
    },
}
_LEAF: Final = _shape()


def check(element: etree._Element, shapes: Shapes) -> None:
    """Check that an element and its content have the given shapes.

    Raises:
        FeedError: they do not.
    """
    shape = shapes.get(tag_of(element), _LEAF)
    for name, value in element.attrib.items():
        if value not in shape.attributes.get(str(name), ()):
            raise error_at(element, "an attribute, or an attribute's value, that imsfeed does not write")
    if shape.children and (element.text or "").strip():
        raise error_at(element, "text between its elements")
    seen: set[str] = set()
    for child in element:
        tag = tag_of(child)
        if tag not in shape.children or tag in seen - shape.repeated:
            raise error_at(child, f"is not allowed in <{tag_of(element)}>, or not more than once")
        if (child.tail or "").strip():
            raise error_at(element, "text between its elements")
        seen.add(tag)
        check(child, shapes)


def tag_of(element: etree._Element) -> str:
    """Return the element's tag; ``!`` for a comment, a processing instruction or an entity."""
    tag: Any = element.tag  # those three have a function instead
    return tag if isinstance(tag, str) else "!"


def local_name(element: etree._Element) -> str:
    """Return an element's tag without its namespace.

    Unlike lxml's ``QName`` it does not raise ``ValueError`` for a prefix that is bound to no namespace.
    """
    return tag_of(element).rpartition("}")[2]


def error_at(element: etree._Element, what: str) -> FeedError:
    """Return an error that names the element and its line."""
    return FeedError(f"line {element.sourceline}: <{tag_of(element).rpartition('}')[2]}>: {what}")
