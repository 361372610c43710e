"""Reads a table's rows from a snapshot, with every value in the same form as in the stream; and checks that it is so.

PostgreSQL prints a value alike in both, but each names the value's type in its own way, and the type decides what the
text becomes. If an owner were a number in one and a text in the other, its rows could be sent to two partitions.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from ims.errors import InvalidSettingsError
from ims.source.events import Row
from producers.source import catalog, sessions
from producers.source.captured_table import CapturedTable, TableName
from producers.source.catalog import Connection
from producers.source.row_values import reader_of

_FETCH_ROWS: Final = 2_000


def snapshot_session(dsn: str, name: str, snapshot: str) -> Connection:
    """Open a read-only session that sees the *snapshot* exported by another session; the caller closes it."""
    reader = sessions.connect(dsn, name, autocommit=False)
    try:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.read_only = True
        reader.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
    except BaseException:
        reader.close()
        raise
    return reader


def rows_of(reader: Connection, table: CapturedTable, owner: int | None = None) -> Iterator[list[Row]]:
    """Yield the rows of *table*, or those of one *owner*, some thousands at a time."""
    if owner is not None and table.owner is not None and table.owner != owner:
        return
    query = sql.SQL("declare load_rows no scroll cursor for select {} from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, table.columns)), sql.Identifier(table.name.schema, table.name.table)
    )
    if owner is not None and table.owner is None:
        query += sql.SQL(" where {} = {}").format(sql.Identifier(table.owner_column), owner)
    reader.execute(query)
    while rows := _fetch(reader, table.columns):
        yield rows
    reader.execute("close load_rows")


def _fetch(reader: Connection, names: tuple[str, ...]) -> list[Row]:
    result = reader.execute(f"fetch {_FETCH_ROWS} from load_rows".encode()).pgresult
    if result is None:
        return []
    columns = [(number, name, reader_of(result.ftype(number))) for number, name in enumerate(names)]
    value: Any = result.get_value
    return [
        {name: None if (text := value(row, number)) is None else read(text) for number, name, read in columns}
        for row in range(result.ntuples)
    ]


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
