"""A committed transaction as the messages that PostgreSQL's output plugin sends."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

from ims.source.facts import Fact, Table
from ims.source.mapping import COLUMNS
from producers.source.replication import Data
from tests.simulation.pipeline.source import Beat, Transaction, Truncated, Written, key_of, table_of
from tests.support.pipeline import row_of
from tests.unit.producers.source import pgoutput_bytes as pg

_OIDS: Final = {int: pg.INT8, str: pg.TEXT, bool: pg.BOOL, date: pg.DATE}
_RELATIONS: Final = {table: number for number, table in enumerate(Table, 16_400)}
_HEARTBEAT: Final = 16_500
_KEYS: Final = {"owner_id", "id"}
_2000: Final = datetime(2000, 1, 1, tzinfo=UTC)


def messages(transaction: Transaction, published: set[str]) -> Iterator[Data]:
    """Yield the transaction's messages in order.

    Args:
        published: tables that this connection has described; grows.
    """
    committed_us = int((transaction.committed_at - _2000).total_seconds() * 1_000_000)
    first = transaction.changes[0].lsn if transaction.changes else transaction.commit_lsn
    yield Data(first, pg.begin(transaction.commit_lsn, committed_us, transaction.xid))
    for change in transaction.changes:
        table = _table_name(change)
        if table not in published:
            published.add(table)
            yield Data(change.lsn, _relation(table))
        yield Data(change.lsn, _change(change))
    yield Data(transaction.commit_lsn, pg.commit(transaction.end_lsn))


def _table_name(change: Written | Truncated | Beat) -> str:
    if isinstance(change, Beat):
        return "heartbeat"
    if isinstance(change, Truncated):
        return change.table.value
    return table_of(_row(change)).value


def _row(change: Written) -> Fact:
    row = change.new or change.old
    assert row is not None
    return row


def _relation(name: str) -> bytes:
    if name == "heartbeat":
        columns = [("owner_id", pg.INT4, True), ("beat_at", pg.TEXT, False)]
        return pg.relation(_HEARTBEAT, columns, "imsfeed", name)
    table = Table(name)
    columns = [(column, _OIDS[kind.type], column in _KEYS) for column, kind in COLUMNS[table].items()]
    return pg.relation(_RELATIONS[table], columns, "public", name)


def _change(change: Written | Truncated | Beat) -> bytes:
    if isinstance(change, Beat):
        return pg.update(_HEARTBEAT, [str(change.partition).encode(), b"now"])
    if isinstance(change, Truncated):
        return pg.truncate(_RELATIONS[change.table])
    relation = _RELATIONS[table_of(_row(change))]
    old, new = change.old, change.new
    if new is None:
        assert old is not None
        return pg.delete(relation, b"K", _key(old))
    if old is None:
        return pg.insert(relation, _values(new))
    values = _values(new)
    if change.sparing:
        values = [
            pg.NOT_SENT if before == after and name not in _KEYS else after
            for name, before, after in zip(row_of(new), _values(old), values, strict=True)
        ]
    return pg.update(relation, values, old=None if key_of(old) == key_of(new) else (b"K", _key(old)))


def _key(row: Fact) -> list[bytes | str | None]:
    """Return the old row with its key columns alone, as PostgreSQL sends it."""
    return [value if name in _KEYS else None for name, value in zip(row_of(row), _values(row), strict=True)]


def _values(row: Fact) -> list[bytes | str | None]:
    return [_text(value) for value in row_of(row).values()]


def _text(value: Any) -> bytes | None:
    if value is None or isinstance(value, bool):
        return None if value is None else (b"t" if value else b"f")
    return str(value).encode()
