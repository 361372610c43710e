r"""A column of values as PostgreSQL's text for an array, many times faster than psycopg adapts a list.

JSON is all but that text: numbers, ``true``, ``null`` and whatever stands in double quotes mean the same in both. Only
a backslash does not: ``\n`` is a line end in JSON and an ``n`` in PostgreSQL.

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
    """The values as an array's text, to be cast to an array of their type; a datetime is a date too, and has a zone."""
    text = _JSON.encode(values).decode()
    if "\\" in text:
        text = f"[{','.join(map(_element, values))}]"
    return f"{{{text[1:-1]}}}"


def _element(value: int | str | bool | date | None) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return _JSON.encode(value).decode()
