"""SQL for the fact tables: read, write and delete rows by key, many at a time, in any of the tables."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from operator import itemgetter
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection
from consumers.materialize.batch import Load, RowState
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, FactKey

Cursor = psycopg.Cursor[tuple[Any, ...]]

_ARRAYS: Final[Mapping[type, LiteralString]] = {int: "bigint[]", str: "text[]", bool: "boolean[]", date: "date[]"}


def read_rows(
    cursor: Cursor, table: Table, keys: list[FactKey], columns: tuple[str, ...] | None = None
) -> dict[FactKey, dict[str, Any]]:
    """Return the stored rows of *keys*, with their columns by our names; keys without a row are absent.

    Args:
        columns: the columns to read, with those of the key; all if ``None``.
    """
    if not keys:
        return {}
    columns = columns or tuple(COLUMNS[table])
    cursor.execute(_select_statement(table, columns), _key_arrays(table, keys))
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return {FactKey(row["owner_id"], row.get("id", row["owner_id"])): row for row in rows}


def delete(cursor: Cursor, table: Table, keys: list[FactKey]) -> None:
    """Delete the rows of *keys*."""
    if keys:
        cursor.execute(_delete_statement(table), _key_arrays(table, keys))


def upsert(cursor: Cursor, table: Table, rows: Sequence[RowState]) -> None:
    """Insert or update the rows. Each has all of its key among its values; a column without a value becomes null."""
    if not rows:
        return
    names, seen = tuple(COLUMNS[table]), [[row.epoch for row in rows], [row.lsn for row in rows]]
    nothing = dict.fromkeys(names)
    pick = itemgetter(*names)
    values = [
        pick(row.values if len(row.values) == len(names) else {**nothing, **row.values}) for row in rows if row.values
    ]
    cursor.execute(_upsert_statement(table), [array_literal(column) for column in (*zip(*values, strict=True), *seen)])


def mark_seen(cursor: Cursor, table: Table, seen: Mapping[FactKey, tuple[int, int]]) -> None:
    """Record that the rows were seen at that epoch and LSN, unless they were seen later; their values stay.

    It keeps :func:`sweep` from deleting them.
    """
    if not seen:
        return
    epochs, lsns = zip(*seen.values(), strict=True)
    key = _key_columns(table)
    cursor.execute(
        sql.SQL(
            "update imsfeed.{table} t set source_epoch = k.epoch, commit_lsn = k.lsn"
            " from unnest({arrays}) as k({names}) where {matches} and (t.source_epoch, t.commit_lsn) < (k.epoch, k.lsn)"
        ).format(
            table=sql.Identifier(table.value),
            arrays=sql.SQL(", ").join(sql.SQL("%s::bigint[]") for _ in (*key, "epoch", "lsn")),
            names=sql.SQL(", ").join(map(sql.Identifier, (*key, "epoch", "lsn"))),
            matches=sql.SQL(" and ").join(sql.SQL("t.{0} = k.{0}").format(sql.Identifier(c)) for c in key),
        ),
        [*_key_arrays(table, seen), array_literal(epochs), array_literal(lsns)],
    )


def mark_rows_seen(cursor: Cursor, seen: Mapping[tuple[Table, FactKey], tuple[int, int]]) -> None:
    """Record of rows of any table when they were seen, as :func:`mark_seen` does."""
    for table in Table:
        mark_seen(cursor, table, {key: at for (of, key), at in seen.items() if of is table})


def sweep(cursor: Cursor, table: Table, load: Load, partitions: int, partition: int) -> set[int]:
    """Delete the rows of the load's owners that were last seen before it.

    A load sends every row that exists, with its own epoch and LSN, and changes made meanwhile have a later LSN. So a
    row that is still older when the load is complete was deleted in the source, in a change that was never captured.

    Args:
        partitions: how many there are; an owner's partition is its number modulo this.
        partition: the one in which the load was completed.

    Returns:
        The owners of whom a row was deleted.
    """
    whose, parameters = "owner_id = %s", [load.owner_id]
    if load.owner_id is None:
        # SQL's remainder of a negative number is negative; that of capture is not.
        whose, parameters = "mod(mod(owner_id, %s) + %s, %s) = %s", [partitions, partitions, partitions, partition]
    cursor.execute(
        sql.SQL("delete from imsfeed.{} where (source_epoch, commit_lsn) < (%s, %s) and {} returning owner_id").format(
            sql.Identifier(table.value), sql.SQL(whose)
        ),
        [load.epoch, load.lsn, *parameters],
    )
    return {owner_id for (owner_id,) in cursor.fetchall()}


def any_seen_before(cursor: Cursor, epoch: int, lsn: int) -> bool:
    """Return whether a row of any owner was last seen before that epoch and LSN."""
    for table in Table:
        cursor.execute(
            sql.SQL("select exists (select from imsfeed.{} where (source_epoch, commit_lsn) < (%s, %s))").format(
                sql.Identifier(table.value)
            ),
            (epoch, lsn),
        )
        if cursor.fetchone() == (True,):
            return True
    return False


def all_seen_after(connection: Connection, owner_id: int, epoch: int, lsn: int) -> bool:
    """Return whether the owner has rows and all of them were seen after that epoch and LSN, as after a load."""
    seen = [
        connection.execute(
            sql.SQL(
                "select count(*), count(*) filter (where (source_epoch, commit_lsn) <= (%s, %s)) from imsfeed.{}"
                " where owner_id = %s"
            ).format(sql.Identifier(table.value)),
            (epoch, lsn, owner_id),
        ).fetchone()
        or (0, 0)
        for table in Table
    ]
    return any(rows for rows, _ in seen) and not any(older for _, older in seen)


def _key_columns(table: Table) -> list[str]:
    return ["owner_id"] if table is Table.OWNER else ["owner_id", "id"]


def _key_arrays(table: Table, keys: Iterable[FactKey]) -> list[str]:
    """Return the parameters of :func:`_given_keys`."""
    return [array_literal(column) for column in zip(*keys, strict=True)][: len(_key_columns(table))]


def _given_keys(table: Table) -> sql.Composed:
    """Return the SQL that unnests arrays of keys into rows."""
    columns = _key_columns(table)
    arrays = sql.SQL(", ").join(sql.SQL("%s::bigint[]") for _ in columns)
    return sql.SQL("unnest({}) as k({})").format(arrays, sql.SQL(", ").join(map(sql.Identifier, columns)))


@cache
def _select_statement(table: Table, columns: tuple[str, ...]) -> bytes:
    statement = sql.SQL("select {columns} from imsfeed.{table} join {given} using ({key})").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        table=sql.Identifier(table.value),
        given=_given_keys(table),
        key=sql.SQL(", ").join(map(sql.Identifier, _key_columns(table))),
    )
    return statement.as_bytes()


@cache
def _delete_statement(table: Table) -> bytes:
    matches = sql.SQL(" and ").join(sql.SQL("t.{0} = k.{0}").format(sql.Identifier(c)) for c in _key_columns(table))
    statement = sql.SQL("delete from imsfeed.{} t using {} where {}")
    return statement.format(sql.Identifier(table.value), _given_keys(table), matches).as_bytes()


@cache
def _upsert_statement(table: Table) -> bytes:
    columns = [*COLUMNS[table], "source_epoch", "commit_lsn"]
    kinds = [*(_ARRAYS[column.type] for column in COLUMNS[table].values()), "bigint[]", "bigint[]"]
    key = _key_columns(table)
    statement = sql.SQL(
        "insert into imsfeed.{table} ({columns}) select * from unnest({arrays})"
        " on conflict ({key}) do update set {changes}"
    ).format(
        table=sql.Identifier(table.value),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        arrays=sql.SQL(", ").join(sql.SQL("%s::" + kind) for kind in kinds),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        changes=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in columns if c not in key
        ),
    )
    return statement.as_bytes()
