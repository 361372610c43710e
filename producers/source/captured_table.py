"""The tables that are captured: where a row's owner stands, and what identifies a row."""

import msgspec

from ims.runtime.mapping_file import read_mapping
from ims.runtime.settings import Settings
from ims.source.events import HEARTBEAT_TABLE
from ims.source.facts import Table

OWN_SCHEMA = "imsfeed"
"""Schema of imsfeed's own tables in the source: the heartbeat, and how far capture is."""

OWNER_COLUMN = "owner_id"
"""The column that chooses the partition, unless the mapping names another one for the table."""


class TableName(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """A table by schema and name."""

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
        owner_column: the column whose value modulo the number of partitions is the partition.
        key_columns: the primary key, in its order; empty without one.
        columns: the published columns, in the table's order.
    """

    name: TableName
    owner_column: str
    key_columns: tuple[str, ...]
    columns: tuple[str, ...]


def owner_columns(settings: Settings) -> dict[TableName, str]:
    """The owner column of every table to be captured, in the order of the initial load: the heartbeat is last.

    Raises:
        InvalidSettingsError: the mapping file cannot be read, or is no mapping.
    """
    mapping = read_mapping(settings)
    columns = {
        TableName(settings.source_schema, mapping.source_table(table)): mapping.columns(table)["owner_id"]
        for table in Table
    }
    return {**columns, HEARTBEAT: OWNER_COLUMN}
