"""Validates a file as IMS Enterprise 1.1, or by its namespace as PIFU-IMS 1.3, with a schema in ``ims/xml/schemas``.

The reader (:mod:`ims.xml.reader`) knows what imsfeed writes; the schema knows what the standard allows, including the
order of elements. No file is published that the schema refuses.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from lxml import etree

from ims.errors import FeedError
from ims.xml.dialect import Dialect, dialect_of
from ims.xml.shapes import tag_of

_WHAT: Final = {
    "RELAXNG_ERR_NOELEM": "lacks an element",
    "RELAXNG_ERR_ELEMWRONG": "does not belong here",
    "RELAXNG_ERR_ELEMNAME": "does not belong here",
    "RELAXNG_ERR_TEXTWRONG": "holds text between its elements",
    "RELAXNG_ERR_INVALIDATTR": "has a wrong attribute, or a wrong value of one",
    "RELAXNG_ERR_ATTRVALID": "lacks an attribute, or has a wrong one",
    "RELAXNG_ERR_VALUE": "holds a value that is not allowed",
    "RELAXNG_ERR_TYPEVAL": "holds a value that is not allowed",
}
"""The meaning of libxml2's error types; its own messages may quote the file, which is full of personal data."""

_SCHEMAS: Final[dict[Dialect, str]] = {"ims": "ims-enterprise-1.1.rng", "pifu": "pifu-ims-1.3.rng"}

_PART: Final = 500
"""How many of the root's children are validated at a time."""

_REPORTED: Final = 100
"""How many problems are reported at most."""


def problems(source: bytes | Path | BinaryIO) -> list[str]:
    """Return what is wrong with a file, in its order; nothing if it is valid.

    The file is validated in parts, in constant memory, up to the first part that has problems.

    Args:
        source: the file's bytes or path, or the open file.

    Returns:
        At most 100 texts of the form ``line 7: <role> lacks an element``. They name elements, never their contents.
    """
    if isinstance(source, bytes):
        source = BytesIO(source)
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream:
        try:
            return next(filter(None, map(_problems, _parts(stream))), [])
        except etree.XMLSyntaxError as error:
            return [f"line {error.lineno}: not well-formed XML"]
        except FeedError as error:
            return [str(error)]


def _parts(stream: BinaryIO) -> Iterator[etree._Element]:
    """Yield the root element several times, each time with its first two children and the next few hundred.

    RELAX NG validates whole documents only, and so each part is a small document. The first two children are in each,
    because the schema requires them there. The last child of the previous part is repeated, so that the schema sees the
    order across parts.

    Raises:
        FeedError: the file has a document type, or a root with a prefix that is bound to no namespace.
    """
    parsing = etree.iterparse(
        stream,
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    part = etree.Element("enterprise")
    done: list[etree._Element] = []
    for event, element in parsing:
        parent = element.getparent()
        if parent is None and event == "start":
            if element.getroottree().docinfo.doctype:
                raise FeedError("line 1: a document type (<!DOCTYPE>) is not allowed")
            if ":" in tag_of(element).rpartition("}")[2]:
                raise FeedError(f"line {element.sourceline}: a prefix that is bound to no namespace is not allowed")
            part = etree.Element(element.tag, element.attrib)
            part.sourceline = element.sourceline  # type: ignore[misc]  # lxml lets it be set
        elif parent is None:
            part.extend(done)
            part.text = element.text
            yield part
        elif event == "end" and parent.getparent() is None:
            # The parser may still change the newest element (its tail), so that only the ones before it are moved.
            if len(done) == _PART:
                part.extend(done)
                done.clear()
                yield part
                del part[2:-1]
            done.append(element)


def _problems(root: etree._Element) -> list[str]:
    # A file in another namespace is not IMS Enterprise at all, which the plain schema reports.
    schema = _schema(dialect_of(str(root.tag)) or "ims")
    if schema.validate(root):
        return []
    # The first error at an element says most; those that follow at the same place only repeat it.
    places = {(entry.line, entry.path): entry for entry in reversed(list(schema.error_log))}
    return [
        f"line {line}: <{_name(path)}> {_WHAT.get(entry.type_name, 'is not as the schema says')}"
        for (line, path), entry in sorted(places.items(), key=lambda place: place[0][0])
    ][:_REPORTED]


@cache
def _schema(dialect: Dialect) -> etree.RelaxNG:
    return etree.RelaxNG(etree.fromstring((files("ims.xml") / "schemas" / _SCHEMAS[dialect]).read_bytes()))


def _name(path: str | None) -> str:
    """Return the last element of an XPath such as ``/enterprise/person[2]/name``, without a namespace prefix."""
    return (path or "?").rpartition("/")[2].partition("[")[0].rpartition(":")[2]
