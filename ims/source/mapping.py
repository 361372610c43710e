"""The mapping of the source's tables, columns and values to facts: their names, and what their values mean.

The built-in mapping is the reference schema: every table and column has our name. A mapping file names only what
differs, so that another administration system is connected without code (docs/mapping.md):

>>> mapping = parse_mapping('''
... [person]
... table = "elev"
... columns = { given_name = "fornavn" }
... values.protected = { J = true, N = false }
... ''')
>>> mapping.table_of("elev"), mapping.columns(Table.PERSON)["given_name"]
(<Table.PERSON: 'person'>, 'fornavn')
>>> mapping.read(Table.PERSON, "protected", "J")
True

An optional column that the source does not have gets the empty name and is then null; one that is the same for every
row gets a constant. A column that the mapping names and a row lacks is never taken for null: it was renamed or dropped,
and its value is unknown.
"""

import hashlib
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ims.errors import BadMessageError, InvalidSettingsError
from ims.identifiers.national_id import without_national_ids
from ims.source.column_values import fast_reader
from ims.source.columns import COLUMNS, UNPUBLISHED, Column, missing_columns, read_value
from ims.source.events import UNAVAILABLE, Row
from ims.source.facts import Table
from ims.source.mapped_values import fast_values, read_mapped
from ims.source.mapping_definition import TableMapping, parse
from ims.source.words import WORDS

__all__ = [
    "COLUMNS",
    "REFERENCE_MAPPING",
    "Column",
    "FactChange",
    "FactKey",
    "SourceMapping",
    "UnreadableRowError",
    "missing_columns",
    "parse_mapping",
    "read_value",
]


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


class UnreadableRowError(BadMessageError):
    """A row whose key can be read, and another of its columns cannot.

    Attributes:
        table: the row's table.
        key: its key.
        readable: the values that could be read, by our names.
        unreadable: the columns that could not be read, or that the row lacks.
    """

    def __init__(self, cause: BadMessageError, table: Table, key: FactKey, readable: Row, unreadable: set[str]) -> None:
        super().__init__(cause.reason, cause.detail)
        self.table = table
        self.key = key
        self.readable = readable
        self.unreadable = unreadable


class SourceMapping:
    """The source's table for each of ours, its column for each of ours, and our value for each of its values."""

    def __init__(self, tables: Mapping[Table, TableMapping]) -> None:
        self._columns: dict[Table, dict[str, str]] = {}
        self._values_of: dict[Table, dict[str, dict[str, Any]]] = {}
        self._constants: dict[Table, Row] = {}
        self._readers: dict[Table, list[tuple[str, str, bool, Callable[[Any], Any]]]] = {}
        self._tables: dict[str, Table] = {}
        for table in Table:
            given = tables.get(table, TableMapping())
            named = {name: given.columns.get(name, name) for name in COLUMNS[table] if name not in given.constants}
            self._columns[table] = {name: column for name, column in named.items() if column}
            self._values_of[table] = given.values
            self._constants[table] = given.constants
            self._readers[table] = [
                (name, column, COLUMNS[table][name].optional, self._fast_reader(table, name))
                for name, column in self._columns[table].items()
            ]
            self._tables[given.table or table.value] = table
        if len(self._tables) != len(Table):
            raise InvalidSettingsError("mapping: two of our tables are mapped to the same source table")

    @property
    def digest(self) -> str:
        """A digest of all that the mapping says: facts that were made with another mapping have another one."""
        said = {
            theirs: [table.value, self._columns[table], self._values_of[table], self._constants[table]]
            for theirs, table in self._tables.items()
        }
        return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:16]

    def table_of(self, source_table: str) -> Table | None:
        """Return our table for the source's, or ``None`` if it is not mapped."""
        return self._tables.get(source_table)

    def source_table(self, table: Table) -> str:
        """Return the source's name of *table*."""
        return next(name for name, ours in self._tables.items() if ours is table)

    def columns(self, table: Table) -> Mapping[str, str]:
        """Return the source's column for each of ours, without those that the source does not have."""
        return self._columns[table]

    def constants(self, table: Table) -> Row:
        """Return the values of our columns that are the same in every row of the source."""
        return self._constants[table]

    def has_values(self, table: Table, name: str) -> bool:
        """Return True if the mapping says what the values of this column mean."""
        return name in self._values_of[table]

    def read(self, table: Table, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a value of the source as a value of our column *name*.

        Raises:
            BadMessageError: the value is wrong for the column, as for :func:`ims.source.columns.read_value`.
        """
        values = self._values_of[table].get(name)
        return read_value(table, name, value) if values is None else read_mapped(table, name, value, values)

    def translated(self, table: Table, row: Row) -> Row:
        """Return the row by our names; values that the mapping maps become ours, and the others stay as they are."""
        translated = dict(self._constants[table])
        for name, column in self._columns[table].items():
            if column in row:
                value = row[column]
                translated[name] = value
                if self.has_values(table, name) and value != UNAVAILABLE:
                    try:
                        translated[name] = self.read(table, name, value)
                    except BadMessageError:
                        continue
        return translated

    def fact_change(self, source_table: str, *, after: Row | None, key: Row, sparse: bool = False) -> FactChange:
        """Return a changed row of the source as a change of facts.

        Args:
            source_table: the source's name of the table.
            after: the new row by the source's column names, or ``None`` if it was deleted.
            key: what is known of the old row: for a delete its key columns at least. Nothing else of it is read.
            sparse: *after* may omit columns, as rows written by people do; a producer's rows never do.

        Raises:
            UnreadableRowError: a mapped column is missing, or a value is wrong for its column.
            BadMessageError: the table is unknown, or the row's key cannot be read. Names table and column, never the
                value.
        """
        table = self.table_of(source_table)
        if table is None:
            raise BadMessageError("unknown_table", f"table {without_national_ids(source_table[:63])!r} is not mapped")
        if after is None:
            return FactChange(table, self._key(table, key), None)
        try:
            values: Row = {
                name: None if optional and after[column] is None else read(after[column])
                for name, column, optional, read in self._readers[table]
            }
        except (KeyError, ValueError):  # a column is missing, or a value is not sent, wrong, or written in another way
            return self._read_slowly(table, source_table, after, sparse=sparse)
        if self._constants[table]:
            values |= self._constants[table]
        owner_id: int = values["owner_id"]
        return FactChange(table, FactKey(owner_id, owner_id if table is Table.OWNER else values["id"]), values)

    def row_key(self, source_table: str, row: Row) -> tuple[Table, FactKey] | None:
        """Return the table and key of *row*, whatever else is wrong with it; ``None`` if they cannot be read."""
        table = self.table_of(source_table)
        if table is None:
            return None
        try:
            return table, self._key(table, row)
        except BadMessageError:
            return None

    def _key(self, table: Table, row: Row) -> FactKey:
        names = ("owner_id", "owner_id") if table is Table.OWNER else ("owner_id", "id")
        numbers = []
        for name in names:
            if name in self._constants[table]:
                numbers.append(self._constants[table][name])
                continue
            value = row.get(self._columns[table][name], UNAVAILABLE)
            if value == UNAVAILABLE:
                raise BadMessageError("missing_column", f"{table.value}: the row has no owner_id or no id")
            numbers.append(read_value(table, name, value))
        return FactKey(*numbers)

    def _read_slowly(self, table: Table, source_table: str, row: Row, *, sparse: bool) -> FactChange:
        """Read every column by itself, so that all that can be read is known."""
        key = self._key(table, row)
        values, wrong = dict(self._constants[table]), dict[str, BadMessageError]()
        for name, column in self._columns[table].items():
            unpublished = name in UNPUBLISHED.get(table, ())
            if column not in row:
                if not sparse and not unpublished:
                    wrong[name] = _missing(table, name, source_table, column)
            elif row[column] != UNAVAILABLE:
                try:
                    values[name] = self.read(table, name, row[column])
                except BadMessageError as error:
                    if unpublished:
                        values[name] = None
                    else:
                        wrong[name] = error
        if wrong:
            first = next(iter(wrong.values()))
            raise UnreadableRowError(first, table, key, values, set(wrong))
        return FactChange(table, key, values)

    def _fast_reader(self, table: Table, name: str) -> Callable[[Any], Any]:
        column, values = COLUMNS[table][name], self._values_of[table].get(name)
        if values is not None:
            return fast_values(values)
        return fast_reader(column.type, name if column.optional else None, WORDS.get((table, name)))


def _missing(table: Table, name: str, source_table: str, column: str) -> BadMessageError:
    return BadMessageError(
        "missing_column",
        f"table {source_table[:63]!r} has no column {column[:63]!r} ({table.value}.{name});"
        " correct MAPPING_FILE, then `imsfeed resync all`",
    )


def parse_mapping(text: str) -> SourceMapping:
    """Read a mapping file.

    Raises:
        InvalidSettingsError: the text is not TOML, or names a table, column or value that we do not have.
    """
    return SourceMapping(parse(text))


REFERENCE_MAPPING: Final = SourceMapping({})
"""The reference schema's own names and words."""
