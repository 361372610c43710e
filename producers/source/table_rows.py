"""Reads a table's rows from a snapshot, with every value in the same form as in the stream."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from ims.source.events import Row
from producers.source import sessions
from producers.source.captured_table import CapturedTable
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
