"""Arguments that several commands share: the operator's name, and settings as KEY=VALUE."""

import getpass
import os
from collections.abc import Iterable
from typing import Any

import msgspec

from ims.errors import InvalidSettingsError


def caller() -> str:
    """Return the name of the user who runs the command, for an audit; their number if they have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


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
    except msgspec.DecodeError:
        return key, value
