"""Turns PostgreSQL's text form of a value into its JSON form, by the type's OID.

Booleans, and numbers that JSON can hold exactly, become JSON's own; every other value (dates, times, numeric, uuid,
arrays, json ...) stays the text that PostgreSQL prints with ``datestyle`` ISO and ``timezone`` UTC.

>>> reader_of(20)(b"7"), reader_of(16)(b"t"), reader_of(1082)(b"2026-08-17")
(7, True, '2026-08-17')
"""

import math
from collections.abc import Callable
from typing import Any, Final

Reader = Callable[[bytes], Any]
"""Reads one value; raises ``ValueError`` (``UnicodeDecodeError`` is one) or ``KeyError`` if it is not of the type."""


def _float(text: bytes) -> float | str:
    """Return the number, or the text of NaN and infinity, which JSON does not have."""
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
"""Readers by the OIDs of bool, int8, int2, int4, float4 and float8 (pg_type.dat; the same in all versions)."""


def reader_of(type_oid: int) -> Reader:
    """Return the reader of a type's values; values of other types are read as text."""
    return _READERS.get(type_oid, bytes.decode)
