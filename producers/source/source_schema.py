"""What the mapping needs of the source's tables, and what is wrong with a table that has it not, or no longer.

A column that was renamed and one that was dropped look the same from here, and what a column of another type holds is
nobody's guess: capture stops and names the column, and a person says what it is now.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final, NamedTuple

from ims.errors import InvalidSettingsError
from ims.runtime.logs import get_logger
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from ims.source.facts import Table
from ims.source.mapping import COLUMNS
from producers.source.captured_table import TableName
from producers.source.pgoutput import Relation

log = get_logger(__name__)

REMEDY: Final = "mend the table, the publication or MAPPING_FILE, then run `imsfeed resync all`"


class ColumnType(NamedTuple):
    """A type by its name and ``pg_type.typcategory``, which a domain has from what it is made of."""

    name: str
    category: str


class WantedColumn(NamedTuple):
    """A column that the mapping names: what it is to us, as in ``person.given_name``, and the type of it there."""

    ours: str
    kind: type


Columns = Mapping[str, ColumnType | None]
"""A table's published columns; a type that nobody knows is ``None`` and is not judged."""
Wanted = Mapping[TableName, Mapping[str, WantedColumn]]

_SUITABLE: Final[Mapping[type, tuple[str, str]]] = {
    int: ("N", "a number"),
    bool: ("BN", "a boolean"),
    date: ("D", "a date"),
    # Numbers too (a school's number), enumerations, and what users define (uuid, citext).
    str: ("SNEU", "a text"),
}
"""For each of our types the categories that can be read as it (PostgreSQL's table "typcategory Codes")."""
_LEADING_ZEROS: Final = "person.national_id"
"""A text that begins with a zero for every third of people; a number has lost it."""


def wanted_columns(settings: Settings) -> dict[TableName, dict[str, WantedColumn]]:
    """The columns that the mapping names, table by table.

    Raises:
        InvalidSettingsError: the mapping file cannot be read, or is no mapping.
    """
    mapping = read_mapping(settings)
    return {
        TableName(settings.source_schema, mapping.source_table(table)): {
            column: WantedColumn(f"{table.value}.{name}", COLUMNS[table][name].type)
            for name, column in mapping.columns(table).items()
        }
        for table in Table
    }


def problems(table: TableName, wanted: Mapping[str, WantedColumn], columns: Columns) -> Iterator[str]:
    """What is wrong with a table, each with the table's and the column's name.

    Args:
        table: its name.
        wanted: the columns that the mapping names.
        columns: the columns that it has.
    """
    missing = [f"{name} ({column.ours})" for name, column in wanted.items() if name not in columns]
    if missing:
        others = ", ".join(name for name in columns if name not in wanted) or "none"
        yield (
            f"table {table} has no column {', '.join(missing)}: dropped, renamed or not published;"
            f" there and not mapped: {others}"
        )
    for name, column in wanted.items():
        found = columns.get(name)
        if found is not None and not _suits(column, found):
            needed = _SUITABLE[column.kind][1]
            yield f"column {name} of table {table} is of type {found.name}, and {column.ours} is {needed}"


def _suits(column: WantedColumn, found: ColumnType) -> bool:
    if column.ours == _LEADING_ZEROS and found.category == "N":
        return False
    return found.category in _SUITABLE[column.kind][0]


class SchemaWatch:
    """Looks at every definition of a table that the stream tells before the first change that has it.

    The catalog says how a table is now, the stream how it was when a row was written.

    Args:
        wanted: the columns that the mapping names.
        types: PostgreSQL's types by their OIDs.
        known: the columns of each table when the stream began.
    """

    def __init__(
        self, wanted: Wanted, types: Mapping[int, ColumnType], known: Mapping[TableName, tuple[str, ...]]
    ) -> None:
        self._wanted = wanted
        self._types = types
        self._known = {name: set(columns) for name, columns in known.items()}

    def see(self, relation: Relation) -> None:
        """Take note of a definition; a column that is new and not mapped is logged once.

        Raises:
            InvalidSettingsError: a mapped column is missing or of another type. Nothing after it has been sent.
        """
        name = TableName(relation.schema, relation.table)
        if name not in self._wanted:
            return
        columns = {column.name: self._types.get(column.type_oid) for column in relation.columns}
        found = "; ".join(problems(name, self._wanted[name], columns))
        if found:
            raise InvalidSettingsError(f"the source has changed: {found}; {REMEDY}")
        for added in columns.keys() - self._known.setdefault(name, set()):
            self._known[name].add(added)
            log.warning("a column that is not mapped was added to the source", table=str(name), column=added)
