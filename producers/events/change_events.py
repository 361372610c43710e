"""Turns changes of the source into events, each for the partition of its row's owner.

A change of the key or of the owner becomes a delete of the old row and a create of the new one (as Debezium does for
keys): the two may belong to different partitions, and the consumer of the old partition would otherwise never learn
that the row is gone.
"""

import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ims.source.events import UNAVAILABLE, Row
from producers.events.ordered_events import KafkaMessage, OrderedEvents, Origin, RowEvent, TransactionContext
from producers.source.captured_table import OWNER_COLUMN, CapturedTable, TableName
from producers.source.pgoutput import (
    UNCHANGED,
    Begin,
    Change,
    Commit,
    Decoder,
    Delete,
    Insert,
    ProtocolError,
    Relation,
    Truncate,
    Update,
)

Tables = Mapping[TableName, CapturedTable]

_WHOLE_NUMBER: Final = re.compile(r"-?\d{1,30}", re.ASCII)


class ChangeStream:
    """Turns the bytes of a replication stream into Kafka messages, transaction by transaction; does no I/O.

    Args:
        origin: the database and epoch of all events.
        tables: the captured tables, from the catalog; a table that was published later is taken from the stream's own
            definition of it.
        partitions: number of the topic's partitions.
        check_relation: called with every definition of a table, before the changes that have it; raises to end the
            stream there.
        base_types: the base type of each domain, by their OIDs.
    """

    def __init__(
        self,
        origin: Origin,
        tables: Tables,
        partitions: int,
        check_relation: Callable[[Relation], None] = lambda _: None,
        base_types: Mapping[int, int] = types.MappingProxyType({}),
    ) -> None:
        self._origin = origin
        self._tables = tables
        self._partitions = partitions
        self._check_relation = check_relation
        kept = {(name.schema, name.table): table.columns for name, table in tables.items() if table.unmapped}
        self._decoder = Decoder(base_types, kept)
        self._events: OrderedEvents | None = None
        self._by_relation: dict[int, CapturedTable] = {}

    @property
    def in_transaction(self) -> bool:
        """True between a transaction's Begin and its Commit."""
        return self._events is not None

    @property
    def commit_lsn(self) -> int | None:
        """Position at which the open transaction's commit record begins; ``None`` between transactions."""
        return None if self._events is None else self._events.commit_lsn

    def feed(self, lsn: int, data: bytes) -> Sequence[KafkaMessage | Commit]:
        """Decode one message of the stream.

        Args:
            lsn: the message's position in the WAL.
            data: the message.

        Returns:
            Kafka messages to be sent, in order, and a Commit after the last one of a transaction.

        Raises:
            ProtocolError: *data* is no message of the protocol, or one that may not come here.
        """
        message = self._decoder.decode(data)
        if isinstance(message, Change):
            events = self._begun()
            ready: list[KafkaMessage | Commit] = []
            for event in self._row_events(message):
                one = events.add(event, lsn)
                if one is not None:
                    ready.append(one)
            return ready
        if isinstance(message, Commit):
            last = self._begun().finish()
            self._events = None
            return [*last, message]
        if isinstance(message, Begin):
            self._begin(message)
        elif message is not None:
            self._check_relation(message)
            self._by_relation[message.relation_id] = self._captured(message)
        return ()

    def _begun(self) -> OrderedEvents:
        if self._events is None:
            raise ProtocolError("pgoutput: a change or commit outside a transaction")
        return self._events

    def _begin(self, begin: Begin) -> None:
        if self._events is not None:
            raise ProtocolError("pgoutput: a transaction begins inside another")
        number = begin.transaction_id
        context = TransactionContext(str(number), begin.commit_lsn, begin.committed_ms, number)
        self._events = OrderedEvents(self._origin, context)

    def _captured(self, relation: Relation) -> CapturedTable:
        name = TableName(relation.schema, relation.table)
        columns = tuple(column.name for column in relation.columns)
        keys = tuple(column.name for column in relation.columns if column.is_key)
        return self._tables.get(name) or CapturedTable(name, OWNER_COLUMN, keys, columns)

    def _row_events(self, change: Change) -> list[RowEvent]:
        if isinstance(change, Truncate):
            tables = [self._by_relation[relation.relation_id] for relation in change.relations]
            return [truncate_event(table) for table in tables]
        table = self._by_relation[change.relation.relation_id]
        match change:
            case Insert():
                return [_row_event(table, "c", None, _filled(change.after, {}), self._partitions)]
            case Delete():
                return [_row_event(table, "d", _filled(change.before, {}), None, self._partitions)]
            case Update():
                return update_events(table, change.before, change.after, self._partitions)


def partition_of(owner: Any, partitions: int) -> int:  # noqa: ANN401 - any value that the source has in that column
    """Return the partition of an owner's rows; a row without an owner goes to the first, so that it is not lost.

    It depends on the number alone, and not on how it is written: a ``numeric`` arrives as a text. For owners from 0 on,
    this is what Debezium's PartitionRouting does with an integer.
    """
    if isinstance(owner, str) and _WHOLE_NUMBER.fullmatch(owner):
        owner = int(owner)
    return owner % partitions if isinstance(owner, int) else 0


def load_event(table: CapturedTable, row: Row, partitions: int) -> RowEvent:
    """Return the event of a row that an initial load or a resync has read."""
    return _row_event(table, "r", None, row, partitions)


def truncate_event(table: CapturedTable) -> RowEvent:
    """Return the event of an emptied table: one, in the first partition, since no consumer applies it."""
    return RowEvent(table, "t", {}, None, None, 0)


def update_events(table: CapturedTable, before: Row | None, after: Row, partitions: int) -> list[RowEvent]:
    """Return an update, or a delete and a create if the key or the owner has changed.

    A value that PostgreSQL did not send is taken from the old row if that was sent whole (REPLICA IDENTITY FULL);
    otherwise it is marked as unavailable.
    """
    after = _filled(after, before or {})
    if before is not None:
        identity = (*table.key_columns, table.owner_column)
        if any(name in before and before[name] != after.get(name) for name in identity):
            return [_row_event(table, "d", before, None, partitions), _row_event(table, "c", None, after, partitions)]
    return [_row_event(table, "u", before, after, partitions)]


def _filled(row: Row, old: Row) -> Row:
    if UNCHANGED not in row.values():
        return row
    return {name: old.get(name, UNAVAILABLE) if value is UNCHANGED else value for name, value in row.items()}


def _row_event(table: CapturedTable, op: str, before: Row | None, after: Row | None, partitions: int) -> RowEvent:
    row = after or before or {}
    key = {name: row.get(name) for name in table.key_columns}
    if table.owner is None:
        return RowEvent(table, op, key, before, after, partition_of(row.get(table.owner_column), partitions))
    key = {OWNER_COLUMN: table.owner, **key}
    return RowEvent(table, op, key, before, after, partition_of(table.owner, partitions))
