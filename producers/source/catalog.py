"""Reads the source's catalog: tables, publication and slot, and capture's own row in ``imsfeed.capture``."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg

from producers.source.captured_table import TableName
from producers.source.source_schema import ColumnType

Connection = psycopg.Connection[tuple[Any, ...]]

_TABLES = """
select n.nspname::text, c.relname::text,
       (select coalesce(json_agg(json_build_array(attname, atttypid::bigint, atttypmod, attgenerated)
                                 order by attnum), '[]')
             from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped),
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
       end,
       c.relkind::text, c.relpersistence::text,
       case when c.relkind in ('r', 'p') and row_security_active(c.oid) then current_user::text end,
       c.relkind = 'r' and exists (select from pg_inherits where inhparent = c.oid),
       c.relreplident::text,
       (select coalesce(json_object_agg(quote_ident(s.nspname) || '.' || quote_ident(l.relname), l.relreplident), '{}')
             from pg_partition_tree(c.oid) p join pg_class l on l.oid = p.relid
             join pg_namespace s on s.oid = l.relnamespace
             where c.relkind = 'p' and p.isleaf and l.oid <> c.oid)
from unnest(%s::text[], %s::text[]) as wanted (schema_name, table_name)
join pg_namespace n on n.nspname = wanted.schema_name
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.table_name and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

_TYPES = """
with recursive domain (oid, base, modifier) as (
    select oid, oid, -1 from pg_type where %(wanted)s::oid[] is null or oid = any (%(wanted)s::oid[])
    union all
    select d.oid, t.typbasetype, case d.modifier when -1 then t.typtypmod else d.modifier end
    from domain d join pg_type t on t.oid = d.base where t.typtype = 'd'
)
select t.oid::bigint, t.typname::text, t.typcategory::text, d.base::bigint, d.modifier
from domain d join pg_type t using (oid) join pg_type b on b.oid = d.base and b.typtype <> 'd'
"""
"""Types with the types on which they are based: a domain's base type with its modifier, or a type itself."""

_INTEGERS: Final = frozenset({20, 21, 23})
_NUMERIC: Final = 1700
_NO_MODIFIER: Final = -1


class SourceTable(msgspec.Struct, frozen=True):
    """A table of the source.

    Attributes:
        columns: all columns, in the table's order.
        types: the type of each column.
        key_columns: columns of the primary key, in the key's order.
        identity_columns: columns of the replica identity: those of the old row that a delete sends, and an update that
            changes one of them.
        oids: the OID of each column's type, as the stream sends it: a domain's own.
        generated: the columns that PostgreSQL computes, with ``s`` for stored and ``v`` for virtual.
        kind: ``pg_class.relkind``: ``r`` table, ``p`` partitioned table, ``v`` view, ``m`` materialized view, ``f``
            foreign table.
        unlogged: the table's changes are not in the write-ahead log.
        hidden_from: the session's role, if row security hides rows from it; else ``None``.
        has_children: other tables inherit from it.
        identity: ``pg_class.relreplident``: ``d`` the primary key, ``i`` an index, ``f`` the whole row, ``n`` nothing.
        partitions: the same of each of its partitions that has rows, by their quoted names.
    """

    name: TableName
    columns: tuple[str, ...]
    types: dict[str, ColumnType]
    key_columns: tuple[str, ...]
    identity_columns: frozenset[str]
    oids: dict[str, int] = {}
    generated: dict[str, str] = {}
    kind: str = "r"
    unlogged: bool = False
    hidden_from: str | None = None
    has_children: bool = False
    identity: str = "d"
    partitions: dict[str, str] = {}


class LoadState(msgspec.Struct, frozen=True):
    """The slot's row in ``imsfeed.capture``.

    Attributes:
        epoch: epoch of the last initial load that was begun, greater than that of any load before it; 0 before the
            first.
        loaded_at: when the last load was complete; ``None`` while a load is needed.
        confirmable_lsn: position up to which capture may confirm the slot; ``None`` if none has been stored yet.
        rows: number of rows that the last load has sent so far.
        partitions: number of the topic's partitions when the last load was complete; ``None`` if it was not stored.
    """

    epoch: int
    loaded_at: datetime | None
    confirmable_lsn: int | None = None
    rows: int = 0
    partitions: int | None = None


def tables(connection: Connection, names: Iterable[TableName]) -> dict[TableName, SourceTable]:
    """Return those of the tables that exist, views and foreign tables among them."""
    wanted = list(names)
    rows = connection.execute(_TABLES, [[name.schema for name in wanted], [name.table for name in wanted]]).fetchall()
    used = {oid for row in rows for _, oid, *_ in row[2]}
    known = {oid: rest for oid, *rest in connection.execute(_TYPES, {"wanted": list(used)})}
    return {table.name: table for table in (_table(row, known) for row in rows)}


def types(connection: Connection) -> dict[int, ColumnType]:
    """Return every type of the database by its OID."""
    rows = connection.execute(_TYPES, {"wanted": None})
    # A column's own modifier is not known here: a numeric may be one without decimals.
    return {
        oid: ColumnType(name, category, base, _is_whole(base, modifier) or (base, modifier) == (_NUMERIC, _NO_MODIFIER))
        for oid, name, category, base, modifier in rows
    }


def _table(row: tuple[Any, ...], known: Mapping[int, list[Any]]) -> SourceTable:
    schema, table, columns, key, identity, kind, persistence, hidden_from, has_children, replident, partitions = row
    types: dict[str, ColumnType] = {}
    for name, oid, modifier, _ in columns:
        typname, category, base, domain_modifier = known[oid]
        whole = _is_whole(base, domain_modifier if modifier == _NO_MODIFIER else modifier)
        types[name] = ColumnType(typname, category, base, whole)
    return SourceTable(
        name=TableName(schema, table),
        columns=tuple(name for name, *_ in columns),
        types=types,
        key_columns=tuple(key),
        identity_columns=frozenset(identity),
        oids={name: oid for name, oid, *_ in columns},
        generated={name: generated for name, *_, generated in columns if generated},
        kind=kind,
        unlogged=persistence == "u",
        hidden_from=hidden_from,
        has_children=has_children,
        identity=replident,
        partitions=partitions,
    )


def _is_whole(base: int, modifier: int) -> bool:
    """Return whether the values of a type are whole numbers, as those of a numeric with a scale of 0 or less are.

    A numeric's scale is in the lower 11 bits of its modifier less 4, as a number with sign (numeric.c, PostgreSQL 15).
    """
    if base == _NUMERIC and modifier != _NO_MODIFIER:
        return (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400 <= 0
    return base in _INTEGERS


def published(connection: Connection, publication: str) -> dict[TableName, tuple[str, ...]]:
    """Return the tables of a publication, each with its published columns; none if the publication does not exist."""
    rows = connection.execute(
        "select schemaname::text, tablename::text, attnames::text[] from pg_publication_tables where pubname = %s",
        [publication],
    )
    return {TableName(schema, table): tuple(columns) for schema, table, columns in rows}


def members(connection: Connection, publication: str) -> frozenset[TableName]:
    """Return the tables that a publication names, also those whose changes it sends by their partitions' names."""
    rows = connection.execute(
        "select n.nspname::text, c.relname::text from pg_publication p join pg_publication_rel r on r.prpubid = p.oid"
        " join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace where p.pubname = %s",
        [publication],
    )
    return frozenset(TableName(schema, table) for schema, table in rows)


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
    # Read through JSON, since a source may have been set up before the last three columns were added.
    query = (
        "select epoch, loaded_at, ((to_jsonb(c) ->> 'confirmable_lsn')::pg_lsn - '0/0')::bigint,"
        " coalesce((to_jsonb(c) ->> 'loaded_rows')::bigint, 0), (to_jsonb(c) ->> 'partitions')::integer"
        " from imsfeed.capture c where slot_name = %s"
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
