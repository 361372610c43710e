"""The events of one transaction, numbered, each partition's last one marked as such.

A change's identity is (epoch, commit LSN, number in the transaction). The numbers depend only on what PostgreSQL sends,
so a transaction that is sent again after a crash gives the same events.
"""

from importlib.metadata import version
from typing import Final, NamedTuple

import msgspec

from ims.events import Envelope, Row, Source, Transaction, encode
from producers.captured_table import CapturedTable, TableName

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


class KafkaMessage(NamedTuple):
    """An event ready to be sent; ``table``, ``op`` and ``committed_ms`` are for the metrics."""

    partition: int
    key: bytes
    value: bytes
    table: str
    op: str
    committed_ms: int


class RowEvent(NamedTuple):
    """One event before it is numbered: ``op`` as in the envelope, ``key`` the primary key's columns."""

    table: CapturedTable
    op: str
    key: Row
    before: Row | None
    after: Row | None
    partition: int


class OrderedEvents:
    """Numbers the events of one transaction, and holds each partition's newest back until another one follows."""

    def __init__(self, origin: Origin, transaction: TransactionContext) -> None:
        self._origin = origin
        self._transaction = transaction
        self._id = f"{transaction.prefix}:{transaction.commit_lsn}"
        self._total = 0
        self._of_table: dict[TableName, int] = {}
        self._held: dict[int, tuple[bytes, Envelope]] = {}

    @property
    def commit_lsn(self) -> int:
        """Where the transaction's commit record begins."""
        return self._transaction.commit_lsn

    def add(self, event: RowEvent, lsn: int) -> KafkaMessage | None:
        """Take the next event.

        Args:
            event: what happened to a row.
            lsn: the row's own position in the WAL.

        Returns:
            The event of the same partition before it, which is now known not to be the last.
        """
        self._total += 1
        ordinal = self._of_table.get(event.table.name, 0) + 1
        self._of_table[event.table.name] = ordinal
        envelope = Envelope(
            before=event.before,
            after=event.after,
            source=self._source(event.table.name, lsn),
            op=event.op,
            ts_ms=self._transaction.committed_ms,
            transaction=Transaction(self._id, self._total, ordinal),
        )
        key = msgspec.json.encode({"table": event.table.name.table, **event.key})
        held = self._held.get(event.partition)
        self._held[event.partition] = (key, envelope)
        return None if held is None else self._message(event.partition, *held)

    def finish(self) -> list[KafkaMessage]:
        """The transaction is complete: the last event of each partition, marked."""
        for _key, envelope in self._held.values():
            if envelope.transaction is not None:
                envelope.transaction.last = True
            if self._transaction.loading:
                envelope.source.snapshot = "last"
        messages = [self._message(partition, *held) for partition, held in self._held.items()]
        self._held.clear()
        return messages

    def _source(self, name: TableName, lsn: int) -> Source:
        transaction, origin = self._transaction, self._origin
        return Source(
            version=VERSION,
            name="imsfeed",
            ts_ms=transaction.committed_ms,
            snapshot="true" if transaction.loading else "false",
            db=origin.database,
            sequence=f'["{transaction.commit_lsn}","{lsn}"]',
            schema=name.schema,
            table=name.table,
            txId=transaction.transaction_id,
            lsn=lsn,
            epoch=origin.epoch,
            resync_owner=msgspec.UNSET if transaction.resync_owner is None else transaction.resync_owner,
        )

    def _message(self, partition: int, key: bytes, envelope: Envelope) -> KafkaMessage:
        table, committed_ms = envelope.source.table, self._transaction.committed_ms
        return KafkaMessage(partition, key, encode(envelope), table, envelope.op, committed_ms)
