"""The mapping of the source's tables and columns to facts: their names, and what their values mean.

The built-in mapping is the reference schema: every table and column has our name. A mapping file names only what
differs, so that another administration system is connected without code:

>>> mapping = parse_mapping('''
... [person]
... table = "elev"
... columns = { given_name = "fornavn" }
... ''')
>>> mapping.table_of("elev"), mapping.columns(Table.PERSON)["given_name"]
(<Table.PERSON: 'person'>, 'fornavn')

An optional column that the source does not have gets the empty name and is then null. A column that the mapping names
and a row lacks is never taken for null: it was renamed or dropped, and its value is unknown.
"""

import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

import msgspec

from ims.errors import BadMessageError, InvalidSettingsError
from ims.identifiers.national_id import NationalId, without_national_ids
from ims.source.column_values import READERS, fast_reader, finite
from ims.source.events import UNAVAILABLE, Row, read_too_large
from ims.source.facts import FACT_TYPES, Table


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


class FactKey(typing.NamedTuple):
    """A row's key in its table; for an owner's row both are its ``owner_id``."""

    owner_id: int
    id: int


class FactChange(msgspec.Struct, frozen=True, gc=False):
    """What a change event says of one row.

    Attributes:
        values: the columns that the event has, by our names; ``None`` if the row was deleted. Other columns keep their
            values.
    """

    table: Table
    key: FactKey
    values: Row | None


class _TableMapping(msgspec.Struct, forbid_unknown_fields=True):
    table: str | None = None
    columns: dict[str, str] = {}


class SourceMapping:
    """The source's table for each of ours, and its column for each of ours."""

    def __init__(self, tables: Mapping[Table, _TableMapping]) -> None:
        self._columns: dict[Table, dict[str, str]] = {}
        self._readers: dict[Table, list[tuple[str, str, bool, Callable[[Any], Any]]]] = {}
        self._tables: dict[str, Table] = {}
        for table in Table:
            given = tables.get(table, _TableMapping())
            unknown = given.columns.keys() - COLUMNS[table].keys()
            if unknown:
                raise InvalidSettingsError(f"mapping: {table.value} has no column {', '.join(sorted(unknown))}")
            named = {name: given.columns.get(name, name) for name in COLUMNS[table]}
            self._columns[table] = {name: column for name, column in named.items() if column or _needed(table, name)}
            self._readers[table] = [
                (name, column, COLUMNS[table][name].optional, _fast_reader(table, name))
                for name, column in self._columns[table].items()
            ]
            self._tables[given.table or table.value] = table
        if len(self._tables) != len(Table):
            raise InvalidSettingsError("mapping: two of our tables are mapped to the same source table")

    def table_of(self, source_table: str) -> Table | None:
        """Return our table for the source's, or ``None`` if it is not mapped."""
        return self._tables.get(source_table)

    def source_table(self, table: Table) -> str:
        """Return the source's name of *table*."""
        return next(name for name, ours in self._tables.items() if ours is table)

    def columns(self, table: Table) -> Mapping[str, str]:
        """Return the source's column for each of ours, without those that the source does not have."""
        return self._columns[table]

    def fact_change(self, source_table: str, *, after: Row | None, key: Row, sparse: bool = False) -> FactChange:
        """Return a changed row of the source as a change of facts.

        Args:
            source_table: the source's name of the table.
            after: the new row by the source's column names, or ``None`` if it was deleted.
            key: what is known of the old row: for a delete its key columns at least.
            sparse: *after* may omit columns, as rows written by people do; a producer's rows never do.

        Raises:
            BadMessageError: the table is unknown, a mapped column is missing, or a value is wrong for its column. Names
                table and column, never the value.
        """
        table = self.table_of(source_table)
        if table is None:
            raise BadMessageError("unknown_table", f"table {without_national_ids(source_table[:63])!r} is not mapped")
        values = self._values(table, key if after is None else after)
        owner_id = values.get("owner_id")
        row_id = owner_id if table is Table.OWNER else values.get("id")
        if owner_id is None or row_id is None:
            raise BadMessageError("missing_column", f"{table.value}: the row has no owner_id or no id")
        if after is not None and not sparse and len(values) < len(self._columns[table]):
            self._require_columns(table, source_table, after)
        return FactChange(table, FactKey(owner_id, row_id), None if after is None else values)

    def row_key(self, source_table: str, row: Row) -> tuple[Table, FactKey] | None:
        """Return the table and key of *row*, whatever else is wrong with it; ``None`` if they cannot be read."""
        table = self.table_of(source_table)
        if table is None:
            return None
        names = ("owner_id", "owner_id") if table is Table.OWNER else ("owner_id", "id")
        try:
            owner_id, row_id = (read_value(table, name, row.get(self._columns[table][name])) for name in names)
        except BadMessageError:
            return None
        return table, FactKey(owner_id, row_id)

    def _values(self, table: Table, row: Row) -> Row:
        """Return the values of the table's columns in the row, by our names, without those that were not sent."""
        try:
            return {
                name: None if optional and row[column] is None else read(row[column])
                for name, column, optional, read in self._readers[table]
            }
        except (KeyError, ValueError):  # a column is missing, or a value is not sent, wrong, or written in another way
            return {
                name: read_value(table, name, row[column])
                for name, column in self._columns[table].items()
                if column in row and row[column] != UNAVAILABLE
            }

    def _require_columns(self, table: Table, source_table: str, row: Row) -> None:
        for name, column in self._columns[table].items():
            if column not in row:
                raise BadMessageError(
                    "missing_column",
                    f"table {source_table[:63]!r} has no column {column[:63]!r} ({table.value}.{name});"
                    " correct MAPPING_FILE, then `imsfeed resync all`",
                )


def _fast_reader(table: Table, name: str) -> Callable[[Any], Any]:
    column = COLUMNS[table][name]
    return fast_reader(column.type, name if column.optional else None)


def _needed(table: Table, name: str) -> bool:
    if COLUMNS[table][name].optional:
        return False
    raise InvalidSettingsError(f"mapping: {table.value}.{name} must have a column; its name cannot be empty")


def parse_mapping(text: str) -> SourceMapping:
    """Read a mapping file.

    Raises:
        InvalidSettingsError: the text is not TOML, or names a table or column that we do not have.
    """
    try:
        given = msgspec.convert(tomllib.loads(text), dict[Table, _TableMapping])
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettingsError(f"mapping: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise InvalidSettingsError(f"mapping: {error}") from None
    return SourceMapping(given)


REFERENCE_MAPPING: Final = SourceMapping({})
"""The reference schema's own names."""


def missing_columns(table: Table, values: Row) -> list[str]:
    """Return the columns that a whole row of *table* must have and *values* lacks; optional ones count as null."""
    return [name for name, column in COLUMNS[table].items() if not column.optional and name not in values]


def read_value(table: Table, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return *value* as a value of the column *name* of *table*.

    Raises:
        BadMessageError: the value is wrong for the column. Names table and column, never the value.
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
    except (ValueError, OverflowError, TypeError):
        raise BadMessageError("impossible_value", f"{table.value}.{name} is not a {column.type.__name__}") from None
    return finite(name, read) if column.type is date and column.optional else read
