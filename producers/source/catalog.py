"""What the source's catalog says of the tables, the publication and the slot; read only."""

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
        columns: all of them, in the table's order.
        types: their types.
        key_columns: the primary key, in its order.
        identity_columns: the columns of the old row that a delete or a change of them tells (replica identity).
    """

    name: TableName
    columns: tuple[str, ...]
    types: dict[str, ColumnType]
    key_columns: tuple[str, ...]
    identity_columns: frozenset[str]


class Loaded(msgspec.Struct, frozen=True):
    """The slot's row in ``imsfeed.capture``.

    Attributes:
        epoch: of the last initial load that was begun, greater than that of any before it; 0 before the first.
        loaded_at: when the last one was complete, or ``None`` while one is needed.
        confirmable_lsn: up to where capture has let itself confirm the slot; ``None`` if nobody has noted it yet.
        rows: how many rows the last load has sent so far.
    """

    epoch: int
    loaded_at: datetime | None
    confirmable_lsn: int | None = None
    rows: int = 0


def tables(connection: Connection, names: Iterable[TableName]) -> dict[TableName, SourceTable]:
    """Those of the tables that exist."""
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
    """Every type that the database knows, by its OID."""
    rows = connection.execute("select oid::bigint, typname::text, typcategory::text from pg_type")
    return {oid: ColumnType(name, category) for oid, name, category in rows}


def published(connection: Connection, publication: str) -> dict[TableName, tuple[str, ...]]:
    """The tables in the publication, each with its published columns; empty also without such a publication."""
    rows = connection.execute(
        "select schemaname::text, tablename::text, attnames::text[] from pg_publication_tables where pubname = %s",
        [publication],
    )
    return {TableName(schema, table): tuple(columns) for schema, table, columns in rows}


def publication(connection: Connection, name: str) -> dict[str, Any] | None:
    """The publication's row of ``pg_publication``."""
    return _row(connection, "select to_jsonb(p) from pg_publication p where pubname = %s", name)


def slot(connection: Connection, name: str) -> dict[str, Any] | None:
    """The slot's row of ``pg_replication_slots``; its columns differ between versions."""
    return _row(connection, "select to_jsonb(s) from pg_replication_slots s where slot_name = %s", name)


def loaded(connection: Connection, slot_name: str) -> Loaded | None:
    """The slot's row in ``imsfeed.capture``, or ``None`` when there is no such row or table."""
    if not exists(connection, "imsfeed.capture"):
        return None
    # Through JSON, since an installation may be older than the last two columns.
    query = (
        "select epoch, loaded_at, ((to_jsonb(c) ->> 'confirmable_lsn')::pg_lsn - '0/0')::bigint,"
        " coalesce((to_jsonb(c) ->> 'loaded_rows')::bigint, 0) from imsfeed.capture c where slot_name = %s"
    )
    row = connection.execute(query, [slot_name]).fetchone()
    return None if row is None else Loaded(*row)


def exists(connection: Connection, relation: str) -> bool:
    """Whether there is a table of that name."""
    return bool(_value(connection, "select to_regclass(%s) is not null", relation))


def current_setting(connection: Connection, name: str) -> str:
    """A setting of the server."""
    return str(_value(connection, "select current_setting(%s)", name))


def database(connection: Connection) -> str:
    """The name of the database of this session."""
    return connection.info.dbname


def _row(connection: Connection, query: str, argument: str) -> dict[str, Any] | None:
    row: dict[str, Any] | None = _value(connection, query, argument)
    return row


def _value(connection: Connection, query: str, argument: str) -> Any:  # noqa: ANN401 - what the query selects
    row = connection.execute(query.encode(), [argument]).fetchone()
    return None if row is None else row[0]
