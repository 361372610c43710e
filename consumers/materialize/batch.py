"""What a batch of messages from one partition means for the facts. Pure, so that tests can try every order of events.

An event carries a row's new values, not a difference, so several changes of one row in a batch are merged into one. A
message that was applied before is recognised by its position and dropped. One that can never be applied is refused with
the reason. The outcome also says whether the batch ends in the middle of a source transaction.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from consumers.materialize.restricted_rows import RestrictedRow, restrict, supersede
from consumers.materialize.row_state import Message, RowState, earliest
from ims.errors import BadMessageError
from ims.identifiers.national_id import without_national_ids
from ims.source.events import HEARTBEAT_TABLE, Change, Position, decode, is_news
from ims.source.facts import Table
from ims.source.mapping import FactChange, FactKey, SourceMapping, UnreadableRowError

__all__ = [
    "HEARTBEAT_SCHEMA",
    "Load",
    "Message",
    "Outcome",
    "Progress",
    "Refused",
    "RowState",
    "earliest",
    "old_row",
    "read_batch",
]

HEARTBEAT_SCHEMA = "imsfeed"


class Progress(msgspec.Struct, frozen=True):
    """How far a partition has been applied.

    Attributes:
        next_offset: the first offset not applied.
        position: the last change applied, or ``None``.
        open_owners: owners for whom only a part of a source transaction has been applied.
        heartbeat_at: when the source committed the last heartbeat.
        committed_at: when the source committed the last change.
    """

    next_offset: int
    position: Position | None = None
    open_owners: frozenset[int] = frozenset()
    heartbeat_at: datetime | None = None
    committed_at: datetime | None = None


class Refused(msgspec.Struct, frozen=True):
    """A message that can never be applied, and why."""

    message: Message
    reason: str
    detail: str


class Load(msgspec.Struct, frozen=True):
    """A load that was completed in a partition. Rows of its owners that were last seen before it no longer exist.

    Attributes:
        epoch: the epoch of the source that was loaded.
        lsn: for the resync of one owner, the LSN of what was loaded: it includes every commit before and none after.
            0 for a load of all owners, which begins an epoch of its own.
        owner_id: the owner whose rows were loaded, or ``None`` for all owners of the partition.
    """

    epoch: int
    lsn: int
    owner_id: int | None = None


class Outcome(msgspec.Struct, frozen=True):
    """Everything that a batch means.

    Attributes:
        progress: the partition's progress after the batch.
        rows: the rows that the batch changes.
        refused: the messages that can never be applied.
        duplicates: how many messages had been applied before.
        loads: the loads that were completed in the batch, in order.
        unread: rows that a load has seen but whose values could not be read, with its epoch and LSN. Their stored
            values are kept, because the rows still exist.
        restricted: the rows from which refused messages take something away, after the changes in *rows*.
    """

    progress: Progress
    rows: dict[tuple[Table, FactKey], RowState]
    refused: list[Refused]
    duplicates: int
    loads: list[Load]
    unread: dict[tuple[Table, FactKey], tuple[int, int]]
    restricted: dict[tuple[Table, FactKey], RestrictedRow] = {}


class _BatchReader:
    """The state while a batch is read, one message after the other."""

    def __init__(self, progress: Progress, mapping: SourceMapping, *, sparse: bool) -> None:
        self.mapping = mapping
        self.sparse = sparse
        self.position = progress.position
        self.open_owners = set(progress.open_owners)
        self.heartbeat_at = progress.heartbeat_at
        self.committed_at = progress.committed_at
        self.rows: dict[tuple[Table, FactKey], RowState] = {}
        self.duplicates = 0
        self.loads: list[Load] = []
        self.unread: dict[tuple[Table, FactKey], tuple[int, int]] = {}
        self.restricted: dict[tuple[Table, FactKey], RestrictedRow] = {}

    def add(self, message: Message, change: Change) -> None:
        """Add a message's change to the batch, or count it as a duplicate.

        Raises:
            BadMessageError: the change can never be applied.
        """
        if not is_news(self.position, change):
            self.duplicates += 1
            return
        self.position = change.position
        self.committed_at = change.committed_at or self.committed_at
        try:
            self._apply(message, change)
        except BadMessageError as error:
            if isinstance(error, UnreadableRowError):
                self._restrict(message, change, error)
            seen = self.mapping.row_key(change.table, change.after or {}) if change.loading else None
            if seen is not None:
                self.unread[seen] = change.position[:2]
            raise
        finally:
            # Also for a message that is refused: otherwise its owner would stay open, and nothing of it be published.
            if change.ends_transaction:
                self.open_owners.clear()
                if change.loading and change.exact:
                    self.loads.append(_load(change))

    def _apply(self, message: Message, change: Change) -> None:
        if change.table == HEARTBEAT_TABLE and change.schema == HEARTBEAT_SCHEMA:
            self.heartbeat_at = change.committed_at or self.heartbeat_at
            return
        if change.op == "t":
            table = without_national_ids(change.table[:63])
            raise BadMessageError(
                "truncate",
                f"table {table!r} was truncated; run `imsfeed resync all`, or `imsfeed resync OWNER` for each owner",
            )
        key = old_row(message, change)
        fact = self.mapping.fact_change(change.table, after=change.after, key=key, sparse=self.sparse)
        row = fact.table, fact.key
        self.rows[row] = _merge(self.rows.get(row), fact, message, change)
        if row in self.restricted:
            replaced = supersede(self.restricted.pop(row), fact, change)
            self.restricted |= {} if replaced is None else {row: replaced}
        if not change.ends_transaction:
            self.open_owners.add(fact.key.owner_id)

    def _restrict(self, message: Message, change: Change, error: UnreadableRowError) -> None:
        """Keep what a row that cannot be read whole takes away."""
        row = error.table, error.key
        restricting = restrict(self.restricted.get(row), error, message, change)
        if restricting is not None:
            self.restricted[row] = restricting
            if not change.ends_transaction:
                self.open_owners.add(error.key.owner_id)


def read_batch(
    progress: Progress,
    messages: Iterable[Message],
    mapping: SourceMapping,
    default_epoch: int,
    *,
    sparse: bool = False,
) -> Outcome:
    """Read *messages*, the next ones of a partition with this *progress*.

    Args:
        default_epoch: the source's epoch of events that do not carry one, as Debezium's do not.
        sparse: rows may leave out mapped columns, as they may in an events file.
    """
    reader = _BatchReader(progress, mapping, sparse=sparse)
    refused: list[Refused] = []
    next_offset = progress.next_offset
    for message in messages:
        next_offset = message.offset + 1
        try:
            change = decode(message.value, default_epoch=default_epoch)
            if change is not None:
                reader.add(message, change)
        except BadMessageError as error:
            refused.append(Refused(message, error.reason, error.detail))
    return Outcome(
        progress=Progress(
            next_offset=next_offset,
            position=reader.position,
            open_owners=frozenset(reader.open_owners),
            heartbeat_at=reader.heartbeat_at,
            committed_at=reader.committed_at,
        ),
        rows=reader.rows,
        refused=refused,
        duplicates=reader.duplicates,
        loads=reader.loads,
        unread=reader.unread,
        restricted=reader.restricted,
    )


def _load(change: Change) -> Load:
    if change.resync_owner is None:
        return Load(change.position.epoch, 0)
    return Load(change.position.epoch, change.position.lsn, change.resync_owner)


def old_row(message: Message, change: Change) -> dict[str, Any]:
    """Return the key columns of a deleted row: the message's key, overridden by ``before``; empty for other changes."""
    if change.after is not None:
        return {}
    key: dict[str, Any] = {}
    if message.key is not None:
        try:
            read = msgspec.json.decode(message.key)
        except (msgspec.DecodeError, UnicodeDecodeError):
            read = None
        if isinstance(read, dict):
            payload = read.get("payload")
            key = payload if isinstance(payload, dict) else read
    return {**key, **(change.before or {})}


def _merge(known: RowState | None, fact: FactChange, message: Message, change: Change) -> RowState:
    """Return the row's state after *change*, from its state after the earlier messages of the batch, if any."""
    values, committed_at = fact.values, change.committed_at
    whole, loading = change.op in "cr", change.loading
    if known is not None:
        # A row that comes again after it was deleted in this batch must not inherit the stored values either.
        whole = whole or known.whole or known.values is None
        loading = loading and known.loading
        committed_at = earliest(known.committed_at, committed_at)
        if values is not None and known.values is not None and change.op == "u":
            values = {**known.values, **values}
    position = change.position
    return RowState(
        values=values,
        message=message,
        whole=whole and values is not None,
        epoch=position.epoch,
        lsn=position.lsn,
        committed_at=committed_at,
        loading=loading,
    )


def without_misplaced(outcome: Outcome, partition: int, partitions: int) -> tuple[Outcome, list[Refused]]:
    """Take the rows of owners that belong to another partition out of *outcome*, and refuse their messages.

    Partitions are read independently. The load of everything that follows a change of their number may have been
    applied in the owner's new partition already, and what is left in the old one is older: it could bring a leaver
    back. The load resolves these messages when it comes to the old partition.

    Producers agree on an owner's partition for numbers from 0 on only, so others are not checked.
    """
    misplaced = {
        row: state
        for row, state in outcome.rows.items()
        if row[1].owner_id >= 0 and row[1].owner_id % partitions != partition
    }
    if not misplaced:
        return outcome, []
    rows = {row: state for row, state in outcome.rows.items() if row not in misplaced}
    refused = [
        Refused(
            state.message,
            "wrong_partition",
            f"owner {key.owner_id} belongs to partition {key.owner_id % partitions} of {partitions}:"
            " the topic has other partitions than before; run `imsfeed resync all`",
        )
        for (_, key), state in misplaced.items()
    ]
    return msgspec.structs.replace(outcome, rows=rows), refused
