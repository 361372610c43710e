"""Compares the source's tables with the columns and types that the mapping needs, before and during the stream.

A renamed column cannot be distinguished from a dropped one, and the meaning of a column whose type has changed cannot
be guessed. Capture therefore stops and names the column; the operator corrects the mapping.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final, NamedTuple

from ims.errors import InvalidSettingsError
from ims.runtime.logs import get_logger
from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from ims.source.columns import COLUMNS, UNPUBLISHED
from ims.source.facts import Table
from producers.source.captured_table import TableName
from producers.source.pgoutput import Relation

log = get_logger(__name__)

REMEDY: Final = "correct the table, the publication or MAPPING_FILE, then run `imsfeed resync all`"


class ColumnType(NamedTuple):
    """A type, and what a domain takes from its base type.

    Attributes:
        name: the type's own name.
        category: ``pg_type.typcategory``.
        base: the OID of the base type; for a type that is no domain, its own.
        whole: its values are whole numbers, so that each can be an id.
    """

    name: str
    category: str
    base: int = 0
    whole: bool = True


class WantedColumn(NamedTuple):
    """A column that the mapping names.

    Attributes:
        ours: imsfeed's name for it, such as ``person.given_name``.
        kind: imsfeed's type.
        mapped: the mapping says what its values mean, so that they may be words.
        needed: something is published or decided by it; whatever happens to another one stops nothing.
    """

    ours: str
    kind: type
    mapped: bool = False
    needed: bool = True


Columns = Mapping[str, ColumnType | None]
"""A table's published columns; ``None`` stands for an unknown type, which is accepted."""
Wanted = Mapping[TableName, Mapping[str, WantedColumn]]

_SUITABLE: Final[Mapping[type, tuple[str, str]]] = {
    int: ("N", "a whole number (smallint, integer, bigint, or numeric without decimals)"),
    bool: ("BN", "a boolean"),
    date: ("D", "a date"),
    # Numbers too (a school's number), enumerations, and user-defined types (uuid, citext).
    str: ("SNEU", "a text"),
}
"""For each of imsfeed's types, the categories that can be read as it (PostgreSQL's table "typcategory Codes")."""
_LEADING_ZEROS: Final = "person.national_id"
"""This column must be a text: about a third of national ids begin with a zero, which a number would have lost."""


def wanted_columns(settings: Settings) -> dict[TableName, dict[str, WantedColumn]]:
    """Return the columns that the mapping names, by table.

    Raises:
        InvalidSettingsError: the mapping file cannot be read, or is not a valid mapping.
    """
    mapping = read_mapping(settings)
    return {
        TableName(settings.source_schema, mapping.source_table(table)): {
            column: WantedColumn(
                f"{table.value}.{name}",
                COLUMNS[table][name].type,
                mapped=mapping.has_values(table, name),
                needed=name not in UNPUBLISHED.get(table, ()),
            )
            for name, column in mapping.columns(table).items()
        }
        for table in Table
    }


def problems(table: TableName, wanted: Mapping[str, WantedColumn], columns: Columns) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with a table, naming the table and the column.

    Args:
        table: the table's name.
        wanted: the columns that the mapping names.
        columns: the columns that the table publishes.
    """
    missing = [f"{name} ({column.ours})" for name, column in wanted.items() if column.needed and name not in columns]
    if missing:
        others = ", ".join(name for name in columns if name not in wanted) or "none"
        yield (
            f"table {table} has no column {', '.join(missing)}: dropped, renamed or not published;"
            f" its columns that are not mapped: {others}"
        )
    for name, column in wanted.items():
        found = columns.get(name)
        if column.needed and found is not None and not _suits(column, found):
            needed = _SUITABLE[column.kind][1] + (" (or map its values)" if column.kind is bool else "")
            yield f"column {name} of table {table} is of type {found.name}, but {column.ours} must be {needed}"


def _suits(column: WantedColumn, found: ColumnType) -> bool:
    if column.ours == _LEADING_ZEROS and found.category == "N":
        return False
    if column.kind is int and not column.mapped and not found.whole:
        return False
    suitable = _SUITABLE[str if column.mapped else column.kind][0]
    return found.category in suitable + ("B" if column.mapped else "")


class SchemaWatch:
    """Checks every table definition of the stream before the changes that follow it.

    The catalog shows a table as it is now; only the stream shows it as it was when a row was written.

    Args:
        wanted: the columns that the mapping names, by table.
        types: PostgreSQL's types by their OIDs.
        known: the columns of each table when the stream began.
    """

    def __init__(
        self, wanted: Wanted, types: Mapping[int, ColumnType], known: Mapping[TableName, tuple[str, ...]]
    ) -> None:
        self._wanted = wanted
        self._types = types
        self._known = {name: set(columns) for name, columns in known.items()}

    def check(self, relation: Relation) -> None:
        """Check a definition; log a new column that is not mapped, once.

        Raises:
            InvalidSettingsError: a mapped column is missing or of an unsuitable type. No change after it has been sent.
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
            log.warning("source has a new column that is not mapped", table=str(name), column=added)
