"""The reading of JSON values as columns' values, as capture, Debezium or a person wrote them."""

import functools
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from ims.source.events import UNAVAILABLE

_LEAST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_EPOCH: Final = date(1970, 1, 1)
_NORWAY: Final = ZoneInfo("Europe/Oslo")
_WHOLE_NUMBER: Final = re.compile(r" *[+-]?[0-9]+ *")
_NUMBER: Final = re.compile(r" *[+-]?[0-9]+(\.[0-9]*)? *")
_LONGEST_NUMBER: Final = 400
"""Characters of the longest number that is read: PostgreSQL's ``double precision`` prints up to 309 digits."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}Z?")
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
    r" ?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)?"
)
_DATE_LENGTH: Final = 10
_TRUE: Final = frozenset({"t", "true"})
_FALSE: Final = frozenset({"f", "false"})
_INFINITIES: Final[Mapping[int | str, date]] = {
    # PostgreSQL prints these, for dates and for timestamps.
    "infinity": date.max,
    "-infinity": date.min,
    # A date in days: PostgreSQL's own numbers (DATEVAL_NOEND, DATEVAL_NOBEGIN), and Debezium's.
    2**31 - 1: date.max,
    -(2**31): date.min,
    2_146_033_979: date.max,
    -2_147_472_691: date.min,
    # A timestamp in microseconds: PostgreSQL's own numbers (DT_NOEND, DT_NOBEGIN), and those of PostgreSQL's JDBC
    # driver, which Debezium takes over, also shortened to milliseconds, and as the time that the number names.
    2**63 - 1: date.max,
    -(2**63): date.min,
    9_223_372_036_825_200_000: date.max,
    -9_223_372_036_832_400_000: date.min,
    9_223_372_036_825_200: date.max,
    -9_223_372_036_832_400: date.min,
    "+292278994-08-16T23:00:00Z": date.max,
    "-292275055-05-16T23:00:00Z": date.min,
}
"""What stands for an infinite date or timestamp, exactly; any other value out of range is an impossible one.

Sources: PostgreSQL's ``date.h`` and ``timestamp.h``; ``PGStatement`` of its JDBC driver; Debezium's
``PostgresValueConverter``.
"""


def finite(name: str, day: date) -> date | None:
    """Return the day, or ``None`` for an end or start that is infinite: such a limit restricts nothing."""
    limitless = date.max if name.startswith("ends") else date.min
    return None if day == limitless else day


def _read_int(value: Any) -> int:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    if isinstance(value, str) and (len(value) > _LONGEST_NUMBER or not _WHOLE_NUMBER.fullmatch(value)):
        raise ValueError
    number = int(value)
    if not _LEAST <= number <= _LARGEST:
        raise ValueError
    return number


def _read_str(value: Any) -> str:  # noqa: ANN401 - JSON
    """Read a text without the blanks at its end: ``char(n)`` has them, and they mean nothing in PostgreSQL either."""
    if isinstance(value, bool) or not isinstance(value, int | str) or "\0" in (text := str(value)):
        raise ValueError
    return text.rstrip(" ")


def _read_bool(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Read a boolean: JSON's own, PostgreSQL's text, or a number, of which any but 0 is true.

    Other words (yes, J) are read only if the mapping says what they mean.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    word = value.rstrip(" ").lower() if isinstance(value, str) else ""
    if word in _TRUE | _FALSE:
        return word in _TRUE
    if len(word) > _LONGEST_NUMBER or not _NUMBER.fullmatch(word):
        raise ValueError
    return Decimal(word.strip()) != 0


def _read_date(value: Any) -> date:  # noqa: ANN401 - JSON
    """Read a Norwegian date from ISO text, or from days since 1970-01-01.

    A date counts as it stands (Debezium adds a ``Z``), and so does a timestamp without zone. A timestamp with a zone is
    a moment: the date in Norway at that moment counts, in whatever offset the moment is written. PostgreSQL's
    infinities become ``date.max`` and ``date.min``.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    infinite = _INFINITIES.get(value)
    if infinite is not None:
        return infinite
    if isinstance(value, int):
        return _EPOCH + timedelta(days=value)
    text = value.rstrip(" ")
    if _DATE.fullmatch(text):
        return date.fromisoformat(text[:_DATE_LENGTH])
    timestamp = _TIMESTAMP.fullmatch(text)
    if timestamp is None:
        raise ValueError
    if timestamp["zone"] is None:
        return date.fromisoformat(text[:_DATE_LENGTH])
    return datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", "")).astimezone(_NORWAY).date()


READERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    int: _read_int,
    str: _read_str,
    bool: _read_bool,
    date: _read_date,
}
"""The function that reads a value of a column's type; it raises ValueError, OverflowError or TypeError if it cannot."""


def fast_reader(kind: type, limit: str | None, words: Collection[str] | None = None) -> Callable[[Any], Any]:
    """Return a fast function that reads a value written the way capture writes it, and raises ValueError for any other.

    For a value that it reads, the result is that of :data:`READERS` and :func:`finite`, which the caller falls back on
    for the others: a value written in another way, a wrong one, or the placeholder of one that was not sent. Every
    value of every event passes through here, and all but a few are written by capture.

    Args:
        kind: the column's type.
        limit: the column's name, if it is a date that may be without limit.
        words: the only texts that the column may hold, if they are fixed.
    """
    if words is not None:
        return functools.partial(_fast_word, frozenset(words))
    return functools.partial(_fast_date, limit) if kind is date else _FAST_READERS[kind]


def _fast_int(value: Any) -> int:  # noqa: ANN401 - JSON
    if value.__class__ is int and _LEAST <= value <= _LARGEST:
        return value
    raise ValueError


def _fast_str(value: Any) -> str:  # noqa: ANN401 - JSON
    if value.__class__ is str and "\0" not in value and value != UNAVAILABLE:
        return value.rstrip(" ")
    raise ValueError


def _fast_word(words: frozenset[str], value: Any) -> str:  # noqa: ANN401 - JSON
    if value.__class__ is str and value in words:
        return value
    raise ValueError


def _fast_bool(value: Any) -> bool:  # noqa: ANN401 - JSON
    if value is True or value is False:
        return value
    raise ValueError


def _fast_date(limit: str | None, value: Any) -> date | None:  # noqa: ANN401 - JSON
    if value.__class__ is not str or len(value) != _DATE_LENGTH or not value[4] == value[7] == "-":
        raise ValueError
    day = date.fromisoformat(value)
    return day if limit is None else finite(limit, day)


_FAST_READERS: Final[Mapping[type, Callable[[Any], Any]]] = {int: _fast_int, str: _fast_str, bool: _fast_bool}
