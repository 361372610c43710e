"""psycopg writing the rows of a topic into the state database's tables: the least that applying them can cost.

Each batch is one transaction, committed and synced as the server does by default. It has, for each table, one
``insert ... select * from unnest(...) on conflict ... do update`` of all rows, each column a Python list that psycopg
adapts, and one ``delete ... using unnest(...)`` of the deleted keys; and one update of the partition's offset. A row
that changes twice in a batch is written once. Nothing is read back, and no pending changes are stored.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from consumers.materialize.batch import Message, Progress, read_batch
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, REFERENCE_MAPPING

_ARRAYS: Final = {int: "bigint[]", str: "text[]", bool: "boolean[]", date: "date[]"}

Rows = dict[Table, list[tuple[Any, ...]]]


class Batch(msgspec.Struct, frozen=True):
    """Messages of one partition that are committed together.

    Attributes:
        written: the rows by table: their columns, the source's epoch and the commit's LSN.
        removed: the keys of deleted rows by table.
    """

    partition: int
    next_offset: int
    written: Rows
    removed: Rows


def batches(values: Mapping[int, Sequence[bytes]], size: int) -> list[Batch]:
    """Return the messages of each partition in batches of at most *size*, as materialize reads them."""
    return [batch for partition, messages in values.items() for batch in _batches(partition, messages, size)]


def _batches(partition: int, values: Sequence[bytes], size: int) -> Iterator[Batch]:
    progress = Progress(0)
    for begin in range(0, len(values), size):
        messages = [Message(begin + n, None, value) for n, value in enumerate(values[begin : begin + size])]
        outcome = read_batch(progress, messages, REFERENCE_MAPPING, 0)
        progress = outcome.progress
        written, removed = defaultdict(list), defaultdict(list)
        for (table, key), row in outcome.rows.items():
            if row.values is None:
                removed[table].append(tuple(key))
            else:
                written[table].append((*(row.values[name] for name in COLUMNS[table]), row.epoch, row.lsn))
        yield Batch(partition, progress.next_offset, dict(written), dict(removed))


def upserting_seconds(dsn: str, given: Sequence[Batch]) -> float:
    """Return how long psycopg takes to commit the batches, one after the other, into an empty state database."""
    upserts = {table: _upsert(table) for table in Table}
    deletes = {table: _delete(table) for table in Table}
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into imsfeed.topic_partition (topic, partition, next_offset) values ('reference', %s, 0)",
            [(partition,) for partition in {batch.partition for batch in given}],
        )
        began = time.monotonic()
        for batch in given:
            with connection.transaction():
                for table, rows in batch.written.items():
                    cursor.execute(upserts[table], [list(column) for column in zip(*rows, strict=True)])
                for table, keys in batch.removed.items():
                    cursor.execute(deletes[table], [list(column) for column in zip(*keys, strict=True)])
                cursor.execute(
                    "update imsfeed.topic_partition set next_offset = %s where topic = 'reference' and partition = %s",
                    (batch.next_offset, batch.partition),
                )
        return time.monotonic() - began


def _upsert(table: Table) -> sql.Composed:
    columns = [*COLUMNS[table], "source_epoch", "commit_lsn"]
    arrays = [*(_ARRAYS[column.type] for column in COLUMNS[table].values()), "bigint[]", "bigint[]"]
    key = [name for name in ("owner_id", "id") if name in columns]
    return sql.SQL(
        "insert into imsfeed.{table} ({columns}) select * from unnest({arrays})"
        " on conflict ({key}) do update set {changes}"
    ).format(
        table=sql.Identifier(table.value),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        arrays=sql.SQL(", ").join(sql.SQL(f"%s::{array}") for array in arrays),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        changes=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in key
        ),
    )


def _delete(table: Table) -> sql.Composed:
    return sql.SQL(
        "delete from imsfeed.{} t using unnest(%s::bigint[], %s::bigint[]) as k(owner_id, id)"
        " where t.owner_id = k.owner_id and t.id = k.id"
    ).format(sql.Identifier(table.value))
