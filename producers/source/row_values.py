"""From PostgreSQL's text form of a value to what it is in JSON, by the type's OID.

Numbers that JSON holds exactly and booleans become what they are; everything else (dates, times, numeric, uuid, arrays,
json ...) stays the text that PostgreSQL prints with ``datestyle`` ISO and ``timezone`` UTC.

>>> reader_of(20)(b"7"), reader_of(16)(b"t"), reader_of(1082)(b"2026-08-17")
(7, True, '2026-08-17')
"""

import math
from collections.abc import Callable
from typing import Any, Final

Reader = Callable[[bytes], Any]
"""Reads one value; raises ``ValueError`` (``UnicodeDecodeError`` is one) or ``KeyError`` if it is none of its type."""


def _float(text: bytes) -> float | str:
    """A number, or the text: JSON has neither NaN nor infinity."""
    number = float(text)
    return number if math.isfinite(number) else text.decode()


_BOOL: Final = {b"t": True, b"f": False}

_READERS: Final[dict[int, Reader]] = {
    16: _BOOL.__getitem__,
    20: int,
    21: int,
    23: int,
    700: _float,
    701: _float,
}
"""OIDs of bool, int8, int2, int4, float4, float8 (pg_type.dat, stable over all versions)."""


def reader_of(type_oid: int) -> Reader:
    """The reader of values of a type; text for every type it does not know."""
    return _READERS.get(type_oid, bytes.decode)
