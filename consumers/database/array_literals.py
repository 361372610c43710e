r"""Columns of values as PostgreSQL array literals, built many times faster than psycopg adapts a list.

JSON is almost that literal already: numbers, ``true``, ``null`` and double-quoted strings mean the same in both. Only
the backslash differs: ``\n`` is a line end in JSON and an ``n`` in PostgreSQL.

>>> print(array_literal([1, None, -2]))
{1,null,-2}
>>> print(array_literal(["NULL", r'say "a\b"', None, "{æ, ø}"]))
{"NULL","say \"a\\b\"",null,"{æ, ø}"}
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

_JSON: Final = msgspec.json.Encoder()


def array_literal(values: Sequence[int | str | bool | date | None]) -> str:
    """Return *values* as an array literal, to be cast to an array of their type.

    A datetime counts as a date here; it must have a time zone.
    """
    text = _JSON.encode(values).decode()
    # JSON's escapes are not PostgreSQL's. They are rare, so only a column that has one is escaped value by value.
    if "\\" in text:
        text = f"[{','.join(map(_element, values))}]"
    return f"{{{text[1:-1]}}}"


def _element(value: int | str | bool | date | None) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return _JSON.encode(value).decode()
