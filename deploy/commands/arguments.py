"""What several commands take from the person who types them: who it is, and settings as KEY=VALUE."""

import getpass
import os
from collections.abc import Iterable
from typing import Any

import msgspec

from ims.errors import InvalidSettingsError


def caller() -> str:
    """Who runs the command, for an audit; in a container a user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Settings given as KEY=VALUE; a value is read as JSON, and is a text where it is none.

    Raises:
        InvalidSettingsError: one has no equals sign.

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
