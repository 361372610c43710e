"""The columns of the facts, and the reading of one value of a column."""

import types
import typing
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import msgspec

from ims.errors import BadMessageError
from ims.identifiers.national_id import NationalId
from ims.source.column_values import READERS, finite
from ims.source.events import Row, read_too_large
from ims.source.facts import FACT_TYPES, Table
from ims.source.words import WORDS, shown_word


class Column(msgspec.Struct, frozen=True):
    """A column of a fact: its type, and whether it may be null."""

    type: type
    optional: bool


def _column(annotation: Any) -> Column:  # noqa: ANN401 - an annotation has no common type
    if isinstance(annotation, types.UnionType):
        (kind,) = (member for member in typing.get_args(annotation) if member is not types.NoneType)
        return Column(str if kind is NationalId else kind, optional=True)
    return Column(annotation, optional=False)


COLUMNS: Final[dict[Table, dict[str, Column]]] = {
    table: {name: _column(annotation) for name, annotation in typing.get_type_hints(fact).items()}
    for table, fact in FACT_TYPES.items()
}
"""The columns of each table of facts, in order; a national id is plain text here."""

UNPUBLISHED: Final[Mapping[Table, frozenset[str]]] = {Table.PERSON: frozenset({"birth_date", "mobile"})}
"""Columns that no file and no rule has: a value that cannot be read counts as none, and keeps no row out."""


def missing_columns(table: Table, values: Row) -> list[str]:
    """Return the columns that a whole row of *table* must have and *values* lacks; optional ones count as null."""
    return [name for name, column in COLUMNS[table].items() if not column.optional and name not in values]


def read_value(table: Table, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return *value* as a value of the column *name* of *table*.

    Raises:
        BadMessageError: the value is wrong for the column. Names table and column, and of the values only a word that
            is not in the column's list.
    """
    column = COLUMNS[table][name]
    if value is None:
        if column.optional:
            return None
        raise BadMessageError("impossible_value", f"{table.value}.{name} is null")
    size = read_too_large(value)
    if size is not None:
        raise BadMessageError("too_large", f"{table.value}.{name} has {size}, too many for Kafka; shorten it")
    try:
        read = READERS[column.type](value)
    except (ValueError, OverflowError, TypeError, ArithmeticError):
        raise BadMessageError("impossible_value", f"{table.value}.{name} is not a {column.type.__name__}") from None
    words = WORDS.get((table, name))
    if words is not None and read not in words:
        raise BadMessageError("unknown_word", f"{table.value}.{name} has the unknown word {shown_word(read)}")
    return finite(name, read) if column.type is date and column.optional else read
