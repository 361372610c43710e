"""The reading of a column whose values the mapping file maps: our value for each of the source's words."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from ims.errors import BadMessageError
from ims.source.columns import COLUMNS, read_value
from ims.source.facts import Table
from ims.source.words import WORDS, shown_word

OTHERWISE: Final = "*"
"""The word of a mapping that stands for every word that it does not list."""
_BLANK: Final = ""
"""The word of a mapping that stands for null, and for a text of blanks."""


def read_mapped(table: Table, name: str, value: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return a value of the source as a value of our column *name*.

    A word that the mapping does not list is read as without a mapping, so that our own words need not be listed; then
    what the mapping gives for every other word counts.

    Args:
        table: the column's table.
        name: the column.
        value: the source's value.
        values: our value for each of the source's words.

    Raises:
        BadMessageError: the word is unknown, or the value is wrong for the column.
    """
    word = _word(value)
    if word is not None and word in values:
        return values[word]
    otherwise = values.get(OTHERWISE) if word else None
    is_boolean = COLUMNS[table][name].type is bool
    if otherwise is not None and not is_boolean and (table, name) not in WORDS:
        return otherwise
    try:
        return read_value(table, name, value)
    except BadMessageError:
        if otherwise is not None:
            return otherwise
        if is_boolean and word:
            text = f"{table.value}.{name} has the unknown word {shown_word(word)}"
            raise BadMessageError("unknown_word", text) from None
        raise


def fast_values(values: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return a fast function that reads the texts that a mapping lists, and raises ValueError for any other value."""
    return functools.partial(_fast_value, {word: value for word, value in values.items() if word != OTHERWISE})


def _fast_value(values: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401 - JSON
    if value.__class__ is str and value in values:
        return values[value]
    raise ValueError


def _word(value: Any) -> str | None:  # noqa: ANN401 - JSON
    """Return a value of the source as a mapping file writes it, or ``None`` if it cannot be written there."""
    if value is None:
        return _BLANK
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        word = str(value).rstrip(" ")
        return None if word == OTHERWISE or "\0" in word else word
    return None
