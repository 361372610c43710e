"""The reading of JSON values as columns' values, as capture, Debezium or a person wrote them."""

import functools
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from ims.source.events import UNAVAILABLE

_LEAST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_EPOCH: Final = date(1970, 1, 1)
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T Z].*)?")
_DATE_LENGTH: Final = 10
_TRUE: Final = frozenset({"t", "true", "1"})
_FALSE: Final = frozenset({"f", "false", "0"})


def finite(name: str, day: date) -> date | None:
    """Return the day, or ``None`` for an end or start that is infinite: such a limit restricts nothing."""
    limitless = date.max if name.startswith("ends") else date.min
    return None if day == limitless else day


def _read_int(value: Any) -> int:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    number = int(value)
    if not _LEAST <= number <= _LARGEST:
        raise ValueError
    return number


def _read_str(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or not isinstance(value, int | str) or "\0" in (text := str(value)):
        raise ValueError
    return text


def _read_bool(value: Any) -> bool:  # noqa: ANN401 - JSON
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError
    return text in _TRUE


def _read_date(value: Any) -> date:  # noqa: ANN401 - JSON
    """Read a date from ISO text (Debezium adds a ``Z``), with or without a time, or from days since 1970-01-01.

    PostgreSQL's infinities are texts, or numbers of days far out of range; they become ``date.max`` and ``date.min``.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        days = value
        if abs(days) > 2_000_000_000:  # noqa: PLR2004 - only an infinity: PostgreSQL's dates end at 2,145,031,948 days
            return date.max if days > 0 else date.min
        return _EPOCH + timedelta(days=days)
    if value in {"infinity", "-infinity"}:
        return date.max if value == "infinity" else date.min
    parts = _DATE.fullmatch(value)
    if parts is None or value.endswith(" BC"):
        raise ValueError
    return date(int(parts[1]), int(parts[2]), int(parts[3]))


READERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    int: _read_int,
    str: _read_str,
    bool: _read_bool,
    date: _read_date,
}
"""The function that reads a value of a column's type; it raises ValueError, OverflowError or TypeError if it cannot."""


def fast_reader(kind: type, limit: str | None) -> Callable[[Any], Any]:
    """Return a fast function that reads a value written the way capture writes it, and raises ValueError for any other.

    For a value that it reads, the result is that of :data:`READERS` and :func:`finite`, which the caller falls back on
    for the others: a value written in another way, a wrong one, or the placeholder of one that was not sent. Every
    value of every event passes through here, and all but a few are written by capture.

    Args:
        kind: the column's type.
        limit: the column's name, if it is a date that may be without limit.
    """
    return functools.partial(_fast_date, limit) if kind is date else _FAST_READERS[kind]


def _fast_int(value: Any) -> int:  # noqa: ANN401 - JSON
    if value.__class__ is int and _LEAST <= value <= _LARGEST:
        return value
    raise ValueError


def _fast_str(value: Any) -> str:  # noqa: ANN401 - JSON
    if value.__class__ is str and "\0" not in value and value != UNAVAILABLE:
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
