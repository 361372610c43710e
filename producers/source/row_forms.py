"""Compares the two ways in which a row reaches Kafka: read from its table, and decoded from the write-ahead log.

Both print a value alike, but each names the value's type in its own way, and the type decides what the text becomes. If
an owner were a number in one and a text in the other, the owner's rows could be sent to two partitions.
"""

from collections.abc import Iterable, Iterator

from psycopg import sql

from ims.errors import InvalidSettingsError
from producers.source import catalog
from producers.source.captured_table import TableName
from producers.source.catalog import Connection
from producers.source.row_values import reader_of


def require_same_forms(connection: Connection, columns: Iterable[tuple[TableName, Iterable[str]]]) -> None:
    """Check that these columns of each table have the same values in a load and in the stream.

    Raises:
        InvalidSettingsError: one has not; names table and column, and what to do.
        psycopg.errors.InsufficientPrivilege: the session's role may not read a table.
    """
    wanted = {name: tuple(of_table) for name, of_table in columns}
    types = catalog.types(connection)
    base_types = {oid: kind.base for oid, kind in types.items()}
    different = []
    for name, table in catalog.tables(connection, wanted).items():
        loaded = _loaded_types(connection, name, wanted[name])
        for column, oid in loaded:
            streamed = table.oids[column]
            if reader_of(oid) is not reader_of(base_types.get(streamed, streamed)):
                different.append(f"column {column} of table {name}, of type {table.types[column].name}")
    if different:
        raise InvalidSettingsError(
            f"a load and the stream of changes would read a value differently: {'; '.join(different)};"
            " give the column its base type, or map another one in MAPPING_FILE"
        )


def _loaded_types(connection: Connection, name: TableName, columns: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the OID of the type that a query names for each column."""
    query = sql.SQL("select {} from {} limit 0").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(name.schema, name.table)
    )
    result = connection.execute(query).pgresult
    if result is not None:
        yield from ((column, result.ftype(number)) for number, column in enumerate(columns))
