"""The tables of ``targets.toml``, and values as TOML writes them; what the keys mean is not known here."""

import tomllib
from typing import Any

import msgspec

from ims.errors import InvalidSettingsError


def toml_tables(text: str) -> list[dict[str, Any]]:
    """Return the ``[[target]]`` tables of the text, unchecked.

    Raises:
        InvalidSettingsError: the text is not TOML, or has something else than such tables.
    """
    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettingsError(f"targets.toml is not TOML: {error}") from None
    except (RecursionError, ValueError):
        # Python's own limits: of nested brackets, and of the digits of a number.
        raise InvalidSettingsError("targets.toml is nested too deeply, or has a number with too many digits") from None
    unknown = sorted(file.keys() - {"target"})
    tables = file.get("target", [])
    if unknown:
        raise InvalidSettingsError(f"targets.toml: there is no key `{unknown[0][:64]}`; each target is a [[target]]")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidSettingsError("targets.toml: each target must be a table of its own that begins with [[target]]")
    return tables


def toml_value(value: object) -> str:
    """Return a value of a setting as TOML writes it."""
    # JSON's strings, booleans, integers and arrays are TOML's as well, except one character that only TOML must escape;
    # and a terminal obeys others.
    text = msgspec.json.encode(value).decode()
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)
