"""Reads the source's catalog: tables, publication and slot, and capture's own row in ``imsfeed.capture``."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from producers.source.captured_table import TableName
from producers.source.source_schema import ColumnType

Connection = psycopg.Connection[tuple[Any, ...]]

_TABLES = """
select n.nspname::text, c.relname::text,
       array(select attname::text from pg_attribute
             where attrelid = c.oid and attnum > 0 and not attisdropped order by attnum),
       array(select t.typname::text from pg_attribute a join pg_type t on t.oid = a.atttypid
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
       array(select t.typcategory::text from pg_attribute a join pg_type t on t.oid = a.atttypid
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
       array(select a.attname::text
             from pg_index i cross join unnest(i.indkey) with ordinality as k (attnum, place)
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
             where i.indrelid = c.oid and i.indisprimary order by k.place),
       case c.relreplident when 'f' then
             array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped)
       else  array(select a.attname::text
             from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
             where i.indrelid = c.oid
               and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end)
       end
from unnest(%s::text[], %s::text[]) as wanted (schema_name, table_name)
join pg_namespace n on n.nspname = wanted.schema_name
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.table_name and c.relkind in ('r', 'p')
"""


class SourceTable(msgspec.Struct, frozen=True):
    """A table of the source.

    Attributes:
        columns: all columns, in the table's order.
        types: the type of each column.
        key_columns: columns of the primary key, in the key's order.
        identity_columns: columns of the replica identity: those of the old row that a delete sends, and an update that
            changes one of them.
    """

    name: TableName
    columns: tuple[str, ...]
    types: dict[str, ColumnType]
    key_columns: tuple[str, ...]
    identity_columns: frozenset[str]


class LoadState(msgspec.Struct, frozen=True):
    """The slot's row in ``imsfeed.capture``.

    Attributes:
        epoch: epoch of the last initial load that was begun, greater than that of any load before it; 0 before the
            first.
        loaded_at: when the last load was complete; ``None`` while a load is needed.
        confirmable_lsn: position up to which capture may confirm the slot; ``None`` if none has been stored yet.
        rows: number of rows that the last load has sent so far.
    """

    epoch: int
    loaded_at: datetime | None
    confirmable_lsn: int | None = None
    rows: int = 0


def tables(connection: Connection, names: Iterable[TableName]) -> dict[TableName, SourceTable]:
    """Return those of the tables that exist."""
    wanted = list(names)
    rows = connection.execute(_TABLES, [[name.schema for name in wanted], [name.table for name in wanted]])
    found = (
        SourceTable(
            name=TableName(schema, table),
            columns=tuple(columns),
            types=dict(zip(columns, map(ColumnType, types, categories), strict=True)),
            key_columns=tuple(key),
            identity_columns=frozenset(identity),
        )
        for schema, table, columns, types, categories, key, identity in rows
    )
    return {table.name: table for table in found}


def types(connection: Connection) -> dict[int, ColumnType]:
    """Return every type of the database by its OID."""
    rows = connection.execute("select oid::bigint, typname::text, typcategory::text from pg_type")
    return {oid: ColumnType(name, category) for oid, name, category in rows}


def published(connection: Connection, publication: str) -> dict[TableName, tuple[str, ...]]:
    """Return the tables of a publication, each with its published columns; none if the publication does not exist."""
    rows = connection.execute(
        "select schemaname::text, tablename::text, attnames::text[] from pg_publication_tables where pubname = %s",
        [publication],
    )
    return {TableName(schema, table): tuple(columns) for schema, table, columns in rows}


def publication(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return the publication's row of ``pg_publication``, or ``None`` if it does not exist."""
    return _row(connection, "select to_jsonb(p) from pg_publication p where pubname = %s", name)


def slot(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return the slot's row of ``pg_replication_slots``, or ``None``; its columns depend on the server's version."""
    return _row(connection, "select to_jsonb(s) from pg_replication_slots s where slot_name = %s", name)


def load_state(connection: Connection, slot_name: str) -> LoadState | None:
    """Return the slot's row of ``imsfeed.capture``, or ``None`` if the row or the table does not exist."""
    if not exists(connection, "imsfeed.capture"):
        return None
    # Read through JSON, since a source may have been set up before the last two columns were added.
    query = (
        "select epoch, loaded_at, ((to_jsonb(c) ->> 'confirmable_lsn')::pg_lsn - '0/0')::bigint,"
        " coalesce((to_jsonb(c) ->> 'loaded_rows')::bigint, 0) from imsfeed.capture c where slot_name = %s"
    )
    row = connection.execute(query, [slot_name]).fetchone()
    return None if row is None else LoadState(*row)


def exists(connection: Connection, relation: str) -> bool:
    """Return True if a table of that name exists."""
    return bool(_value(connection, "select to_regclass(%s) is not null", relation))


def current_setting(connection: Connection, name: str) -> str:
    """Return the value of a server setting."""
    return str(_value(connection, "select current_setting(%s)", name))


def database(connection: Connection) -> str:
    """Return the name of the session's database."""
    return connection.info.dbname


def _row(connection: Connection, query: str, argument: str) -> dict[str, Any] | None:
    row: dict[str, Any] | None = _value(connection, query, argument)
    return row


def _value(connection: Connection, query: str, argument: str) -> Any:  # noqa: ANN401 - what the query selects
    row = connection.execute(query.encode(), [argument]).fetchone()
    return None if row is None else row[0]
