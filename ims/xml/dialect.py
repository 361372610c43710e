"""The dialects in which a feed is written, and the namespace by which a file shows its dialect.

``ims`` is plain IMS Enterprise 1.1 without a namespace, as most importers expect it. ``pifu`` is PIFU-IMS 1.3, the
Norwegian profile of it (Utdanningsdirektoratet), whose importers recognise a file by its namespace.

>>> dialect_of("enterprise"), dialect_of("{http://pifu.no/xsd/pifu-ims_sas/pifu-ims_sas-v1}enterprise")
('ims', 'pifu')
>>> dialect_of("{urn:other}enterprise") is None
True
"""

from typing import Final, Literal

Dialect = Literal["ims", "pifu"]

PIFU_NAMESPACE: Final = "http://pifu.no/xsd/pifu-ims_sas/pifu-ims_sas-v1"
"""The namespace of version 1.3 and of later minor versions."""

NAMESPACES: Final[dict[Dialect, str | None]] = {"ims": None, "pifu": PIFU_NAMESPACE}


def dialect_of(root_tag: str) -> Dialect | None:
    """Return the dialect of a file whose root element has this tag (``{namespace}name``); ``None`` if it is neither."""
    namespace = root_tag[1:].partition("}")[0] if root_tag.startswith("{") else None
    return next((dialect for dialect, own in NAMESPACES.items() if own == namespace), None)
