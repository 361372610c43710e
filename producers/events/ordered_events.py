"""Numbers the events of one transaction, and marks the last event of each partition.

A change is identified by (epoch, commit LSN, number in the transaction). The numbers depend only on what PostgreSQL
sends, so a transaction that is sent again after a crash gives the same events.
"""

from importlib.metadata import version
from typing import Final

import msgspec

from ims.source.events import Envelope, Row, Source, Transaction, encode
from producers.source.captured_table import CapturedTable, TableName

VERSION: Final = version("imsfeed")


class Origin(msgspec.Struct, frozen=True):
    """Where the events of one stream or load come from.

    Attributes:
        database: name of the source database.
        epoch: epoch of the source's history; each initial load begins a new one.
    """

    database: str
    epoch: int


class TransactionContext(msgspec.Struct, frozen=True):
    """The transaction to which events belong; an initial load or a resync counts as one transaction.

    Attributes:
        prefix: the part of ``transaction.id`` before the LSN: the transaction's id, ``load`` or ``resync``.
        commit_lsn: position of the commit; orders transactions.
        committed_ms: time of the commit, in milliseconds since 1970.
        transaction_id: PostgreSQL's transaction id, or ``None`` for a load.
        loading: true for an initial load or a resync.
        resync_owner: the owner of a resync, else ``None``.
    """

    prefix: str
    commit_lsn: int
    committed_ms: int
    transaction_id: int | None
    loading: bool = False
    resync_owner: int | None = None


class KafkaMessage(msgspec.Struct, frozen=True, gc=False):
    """An event ready to be sent; ``table``, ``op`` and ``committed_ms`` serve the metrics."""

    partition: int
    key: bytes
    value: bytes
    table: str
    op: str
    committed_ms: int


class RowEvent(msgspec.Struct, frozen=True):
    """An event before it is numbered; ``op`` is the envelope's, ``key`` holds the primary key's columns."""

    table: CapturedTable
    op: str
    key: Row
    before: Row | None
    after: Row | None
    partition: int


class _Numbered(msgspec.Struct, frozen=True):
    """An event with its position in the WAL, its number in the transaction, and its number within its table."""

    event: RowEvent
    lsn: int
    total: int
    ordinal: int


class OrderedEvents:
    """Numbers the events of one transaction.

    Each partition's newest event is kept until another follows or the transaction ends: only then is it known whether
    it is the partition's last, which a consumer needs in order to apply a transaction whole.
    """

    def __init__(self, origin: Origin, transaction: TransactionContext) -> None:
        self._origin = origin
        self._transaction = transaction
        self._id = f"{transaction.prefix}:{transaction.commit_lsn}"
        self._total = 0
        self._of_table: dict[TableName, int] = {}
        self._sources: dict[TableName, Source] = {}
        self._newest: dict[int, _Numbered] = {}
        self.commit_lsn = transaction.commit_lsn
        """Position at which the transaction's commit record begins."""

    def add(self, event: RowEvent, lsn: int) -> KafkaMessage | None:
        """Add the transaction's next event.

        Args:
            event: what happened to a row.
            lsn: the row's own position in the WAL.

        Returns:
            The partition's previous event, now known not to be its last, or ``None`` if this is its first.
        """
        name, partition = event.table.name, event.partition
        total = self._total = self._total + 1
        ordinal = self._of_table[name] = self._of_table.get(name, 0) + 1
        previous = self._newest.get(partition)
        self._newest[partition] = _Numbered(event, lsn, total, ordinal)
        return None if previous is None else self._message(previous)

    def finish(self) -> list[KafkaMessage]:
        """Complete the transaction: return the last event of each partition, marked as such."""
        messages = [self._message(newest, last=True) for newest in self._newest.values()]
        self._newest.clear()
        return messages

    def _message(self, numbered: _Numbered, *, last: bool = False) -> KafkaMessage:
        event, lsn = numbered.event, numbered.lsn
        name, committed_ms = event.table.name, self._transaction.committed_ms
        source = self._sources.get(name) or self._source(name)
        # One block is reused for all events of a table, and changed here: the event is encoded before the next one.
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
