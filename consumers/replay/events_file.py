"""A file of change events for a replay: one JSON object a line, each with the time at which it happens.

    {"at": "2026-10-15T10:00:00Z", "value": {…}}                                a change event (Debezium's envelope)
    {"at": "2026-10-15T10:00:00Z", "raw": "…"}                                  a message that is no JSON, as its text
    {"at": "2026-10-15T10:00:00Z", "settings": {"target": "lms", "set": {…}}}   a target's settings change
    {"at": "2026-10-15T10:00:00Z"}                                              a tick: time has passed

Times never go back. A message may also name its ``partition``. docs/events-file.md describes all of it.

>>> tick, = read([b'{"at": "2026-10-15T12:00:00+02:00"}'], "events.jsonl")
>>> tick.at.isoformat()
'2026-10-15T12:00:00+02:00'
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from ims.errors import InvalidSettingsError


class MessageLine(msgspec.Struct, frozen=True):
    """A message of the topic. ``value`` is its value; ``None`` is a tombstone."""

    number: int
    at: datetime
    partition: int
    value: bytes | None


class SettingsLine(msgspec.Struct, frozen=True):
    """A change of some keys of a target's settings; ``target`` is its name, or OWNER/NAME."""

    number: int
    at: datetime
    target: str
    set: dict[str, Any]


class TickLine(msgspec.Struct, frozen=True):
    """A tick: only time has passed."""

    number: int
    at: datetime


Line = MessageLine | SettingsLine | TickLine


class EventsFileError(InvalidSettingsError):
    """A line of a file of events that is wrong; the text names the file, the line number and what is expected."""

    def __init__(self, name: str, number: int, problem: str) -> None:
        super().__init__(f"{name}, line {number}: {problem}; docs/events-file.md describes the format")


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    target: str
    set: dict[str, Any]


class _Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    partition: Annotated[int, msgspec.Meta(ge=0)] = 0
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    raw: str | msgspec.UnsetType = msgspec.UNSET
    settings: _Settings | msgspec.UnsetType = msgspec.UNSET


_DECODER = msgspec.json.Decoder(_Line)
_ENCODER = msgspec.json.Encoder()
_NULL = b"null"


def read(lines: Iterable[bytes], name: str) -> Iterator[Line]:
    """Yield the lines of a file.

    Args:
        lines: each with or without its line break.
        name: the file's name, for errors.

    Raises:
        EventsFileError: a line is none of the four kinds, or its time is earlier than that of the line before.
    """
    before = None
    for number, text in enumerate(lines, 1):
        try:
            line = _line(number, _DECODER.decode(text))
        except msgspec.ValidationError as error:
            raise EventsFileError(name, number, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise EventsFileError(name, number, "expected one JSON object") from None
        if before is not None and line.at < before:
            raise EventsFileError(name, number, f"`at` must not be earlier than in the line before, {_text(before)}")
        before = line.at
        yield line


def _line(number: int, line: _Line) -> Line:
    if [line.value, line.raw, line.settings].count(msgspec.UNSET) < 2:  # noqa: PLR2004 - all but one
        raise msgspec.ValidationError("expected at most one of `value`, `raw` and `settings`")
    if isinstance(line.settings, _Settings):
        return SettingsLine(number, line.at, line.settings.target, line.settings.set)
    if isinstance(line.raw, str):
        return MessageLine(number, line.at, line.partition, line.raw.encode())
    if isinstance(line.value, msgspec.Raw):
        value = bytes(line.value)
        return MessageLine(number, line.at, line.partition, None if value == _NULL else value)
    return TickLine(number, line.at)


def message_line(at: datetime, value: bytes, partition: int = 0) -> bytes:
    """Return the line of a change event with *value* as its JSON."""
    return _encoded(_Line(at.astimezone(UTC), partition, value=msgspec.Raw(value)))


def raw_line(at: datetime, text: str, partition: int = 0) -> bytes:
    """Return the line of a message that is no JSON."""
    return _encoded(_Line(at.astimezone(UTC), partition, raw=text))


def settings_line(at: datetime, target: str, changes: dict[str, Any]) -> bytes:
    """Return the line of changed settings."""
    return _encoded(_Line(at.astimezone(UTC), settings=_Settings(target, changes)))


def tick_line(at: datetime) -> bytes:
    """Return the line of a tick."""
    return _encoded(_Line(at.astimezone(UTC)))


def _encoded(line: _Line) -> bytes:
    return _ENCODER.encode(line) + b"\n"


def _text(at: datetime) -> str:
    return at.isoformat()
