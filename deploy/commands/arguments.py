"""Arguments that several commands share: the operator's name, and settings as KEY=VALUE."""

import getpass
import os
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import typer

from ims.errors import InvalidSettingsError
from ims.identifiers.national_id import without_national_ids

_LONGEST_NUMBER: Final = 18
"""Characters; every such number fits a PostgreSQL ``bigint``."""


def caller() -> str:
    """Return the name of the user who runs the command, for an audit; their number if they have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def whole_number(text: str) -> int:
    """Return a number typed as an argument: of an owner, a hold or a message.

    Raises:
        typer.BadParameter: it is none, or it reads as a national id. The text is not quoted then: a number loses its
            first zero, and is not recognised by any mask afterwards.
    """
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise typer.BadParameter("it must be a whole number")
    if without_national_ids(text) != text:
        raise typer.BadParameter("it must be a number of imsfeed or of the source, and no national id")
    return int(text)


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Return settings given as KEY=VALUE; a value that is not valid JSON is a text.

    Raises:
        InvalidSettingsError: a text has no equals sign.

    >>> assignments(["enabled=true", "scope=grunnskole", "excluded_groups=[1, 2]"])
    {'enabled': True, 'scope': 'grunnskole', 'excluded_groups': [1, 2]}
    """
    return dict(map(_assignment, texts))


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidSettingsError(f"{text!r} is not KEY=VALUE, such as enabled=true")
    try:
        return key, msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return key, value
