"""The events of one transaction, numbered, each partition's last one marked as such.

A change's identity is (epoch, commit LSN, number in the transaction). The numbers depend only on what PostgreSQL sends,
so a transaction that is sent again after a crash gives the same events.
"""

from importlib.metadata import version
from typing import Final

import msgspec

from ims.source.events import Envelope, Row, Source, Transaction, encode
from producers.source.captured_table import CapturedTable, TableName

VERSION: Final = version("imsfeed")


class Origin(msgspec.Struct, frozen=True):
    """What all events of one run of capture have in common.

    Attributes:
        database: name of the source database.
        epoch: of the source's history, counted by initial loads.
    """

    database: str
    epoch: int


class TransactionContext(msgspec.Struct, frozen=True):
    """What all events of one transaction have in common.

    Attributes:
        prefix: what stands before the LSN in ``transaction.id``: the transaction's id, ``load`` or ``resync``.
        commit_lsn: orders transactions.
        committed_ms: time of the commit, in milliseconds since 1970.
        transaction_id: PostgreSQL's, or ``None`` for an initial load.
        loading: whether it is an initial load, or the resync of one owner.
        resync_owner: that owner.
    """

    prefix: str
    commit_lsn: int
    committed_ms: int
    transaction_id: int | None
    loading: bool = False
    resync_owner: int | None = None


class KafkaMessage(msgspec.Struct, frozen=True, gc=False):
    """An event ready to be sent; ``table``, ``op`` and ``committed_ms`` are for the metrics."""

    partition: int
    key: bytes
    value: bytes
    table: str
    op: str
    committed_ms: int


class RowEvent(msgspec.Struct, frozen=True):
    """One event before it is numbered: ``op`` as in the envelope, ``key`` the primary key's columns."""

    table: CapturedTable
    op: str
    key: Row
    before: Row | None
    after: Row | None
    partition: int


class _Numbered(msgspec.Struct, frozen=True):
    """An event with its position in the WAL, its number in the transaction, and that among those of its table."""

    event: RowEvent
    lsn: int
    total: int
    ordinal: int


class OrderedEvents:
    """Numbers the events of one transaction, and holds each partition's newest back until another one follows."""

    def __init__(self, origin: Origin, transaction: TransactionContext) -> None:
        self._origin = origin
        self._transaction = transaction
        self._id = f"{transaction.prefix}:{transaction.commit_lsn}"
        self._total = 0
        self._of_table: dict[TableName, int] = {}
        self._sources: dict[TableName, Source] = {}
        self._held: dict[int, _Numbered] = {}
        self.commit_lsn = transaction.commit_lsn
        """Where the transaction's commit record begins."""

    def add(self, event: RowEvent, lsn: int) -> KafkaMessage | None:
        """Take the next event.

        Args:
            event: what happened to a row.
            lsn: the row's own position in the WAL.

        Returns:
            The event of the same partition before it, which is now known not to be the last.
        """
        name, partition = event.table.name, event.partition
        total = self._total = self._total + 1
        ordinal = self._of_table[name] = self._of_table.get(name, 0) + 1
        held = self._held.get(partition)
        self._held[partition] = _Numbered(event, lsn, total, ordinal)
        return None if held is None else self._message(held)

    def finish(self) -> list[KafkaMessage]:
        """The transaction is complete: the last event of each partition, marked."""
        messages = [self._message(held, last=True) for held in self._held.values()]
        self._held.clear()
        return messages

    def _message(self, numbered: _Numbered, *, last: bool = False) -> KafkaMessage:
        event, lsn = numbered.event, numbered.lsn
        name, committed_ms = event.table.name, self._transaction.committed_ms
        source = self._sources.get(name) or self._source(name)
        # One for all events of a table: it is encoded at once.
        source.lsn = lsn
        source.sequence = f'["{self.commit_lsn}","{lsn}"]'
        if last and self._transaction.loading:
            source.snapshot = "last"
        envelope = Envelope(
            before=event.before,
            after=event.after,
            source=source,
            op=event.op,
            ts_ms=committed_ms,
            transaction=Transaction(self._id, numbered.total, numbered.ordinal, last or None),
        )
        key = msgspec.json.encode({"table": name.table, **event.key})
        return KafkaMessage(event.partition, key, encode(envelope), name.table, event.op, committed_ms)

    def _source(self, name: TableName) -> Source:
        transaction, origin = self._transaction, self._origin
        source = self._sources[name] = Source(
            version=VERSION,
            name="imsfeed",
            ts_ms=transaction.committed_ms,
            snapshot="true" if transaction.loading else "false",
            db=origin.database,
            schema=name.schema,
            table=name.table,
            txId=transaction.transaction_id,
            epoch=origin.epoch,
            resync_owner=msgspec.UNSET if transaction.resync_owner is None else transaction.resync_owner,
        )
        return source
