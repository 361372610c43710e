"""The captured tables: their names, the column that holds a row's owner, and the columns that identify a row."""

import msgspec

from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from ims.source.events import HEARTBEAT_TABLE
from ims.source.facts import Table

OWN_SCHEMA = "imsfeed"
"""Schema of imsfeed's own tables in the source: the heartbeat, capture's position, and the requests for a resync."""

OWNER_COLUMN = "owner_id"
"""The column that decides a row's partition, unless the mapping names another one for the table."""


class TableName(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """A table's schema and name."""

    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


HEARTBEAT = TableName(OWN_SCHEMA, HEARTBEAT_TABLE)
CAPTURE = TableName(OWN_SCHEMA, "capture")


class CapturedTable(msgspec.Struct, frozen=True):
    """A table whose changes are published.

    Attributes:
        name: schema and table.
        owner_column: column of the owner's id, which modulo the number of partitions is the row's partition; empty if
            every row is of one owner.
        key_columns: columns of the primary key, in the key's order; empty without a key.
        columns: the columns that are sent, in the table's order.
        unmapped: the other published columns: no column of ours has them, so their values are never sent.
        owner: the owner of every row, if the mapping has a constant for it.
    """

    name: TableName
    owner_column: str
    key_columns: tuple[str, ...]
    columns: tuple[str, ...]
    unmapped: tuple[str, ...] = ()
    owner: int | None = None


def constant_owners(settings: Settings) -> dict[TableName, int]:
    """Return the owner of every row of each table for which the mapping has a constant.

    Raises:
        InvalidSettingsError: as for :func:`owner_columns`.
    """
    mapping = read_mapping(settings)
    return {
        TableName(settings.source_schema, mapping.source_table(table)): mapping.constants(table)[OWNER_COLUMN]
        for table in Table
        if OWNER_COLUMN in mapping.constants(table)
    }


def owner_columns(settings: Settings) -> dict[TableName, str]:
    """Return the owner column of every table to be captured, in the order of the initial load: the heartbeat is last.

    It is empty for a table whose rows are all of one owner.

    Raises:
        InvalidSettingsError: the mapping file cannot be read, or is not a valid mapping.
    """
    mapping = read_mapping(settings)
    columns = {
        TableName(settings.source_schema, mapping.source_table(table)): mapping.columns(table).get(OWNER_COLUMN, "")
        for table in Table
    }
    return {**columns, HEARTBEAT: OWNER_COLUMN}
