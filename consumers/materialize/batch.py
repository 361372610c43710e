"""What a run of messages from one partition means for the facts: pure, so that every order of events can be tried.

The facts are absolute, so of several changes of one row in a batch only the sum matters. What was applied before is
dropped by its position; what can never be applied is put aside with the reason; and how the batch leaves the partition
(the middle of a source transaction, or between two) is part of the outcome.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from ims.errors import BadMessageError
from ims.identifiers.national_id import without_national_ids
from ims.source.events import HEARTBEAT_TABLE, Change, Position, decode, is_news
from ims.source.facts import Table
from ims.source.mapping import FactChange, FactKey, SourceMapping

HEARTBEAT_SCHEMA = "imsfeed"


class Message(msgspec.Struct, frozen=True, gc=False):
    """A Kafka message as it lies in its partition."""

    offset: int
    key: bytes | None
    value: bytes | None


class Progress(msgspec.Struct, frozen=True):
    """How far a partition has been applied.

    Attributes:
        next_offset: the first offset not applied.
        position: the last change applied, or ``None``.
        open_owners: owners of which a part of a source transaction has been applied and more is to come.
        heartbeat_at: the source's time of the last heartbeat.
        committed_at: the source's time of the last change.
    """

    next_offset: int
    position: Position | None = None
    open_owners: frozenset[int] = frozenset()
    heartbeat_at: datetime | None = None
    committed_at: datetime | None = None


class RowState(msgspec.Struct, frozen=True, gc=False):
    """What a batch makes of one row.

    Attributes:
        values: the columns it sets; ``None`` when the row is gone.
        message: the last message that said so, for quarantine.
        whole: the row was created in this batch: what it does not set is null, not kept.
        epoch: the source's epoch it was last seen in.
        lsn: that of the commit, or of the load, in which it was last seen.
        committed_at: when the source committed the earliest change of it in this batch.
        loading: it was only seen by an initial load.
    """

    values: dict[str, Any] | None
    message: Message
    whole: bool
    epoch: int
    lsn: int
    committed_at: datetime | None
    loading: bool


class Refused(msgspec.Struct, frozen=True):
    """A message that can never be applied, and why."""

    message: Message
    reason: str
    detail: str


class Load(msgspec.Struct, frozen=True):
    """A load that was completed in a partition: rows of its owners that were last seen before it are gone.

    Attributes:
        epoch: of the source's history.
        lsn: of the resync of one owner: every commit before it is in what was loaded, and none after it. 0 for a load
            of all owners, which begins an epoch of its own.
        owner_id: whose rows were loaded, or ``None`` for all owners of the partition.
    """

    epoch: int
    lsn: int
    owner_id: int | None = None


class Outcome(msgspec.Struct, frozen=True):
    """All that a batch means.

    Attributes:
        loads: those completed in the batch, in order.
        unread: rows that a load has seen and that could not be read, with its epoch and LSN: what is stored of them
            stays, since they are not gone.
    """

    progress: Progress
    rows: dict[tuple[Table, FactKey], RowState]
    refused: list[Refused]
    duplicates: int
    loads: list[Load]
    unread: dict[tuple[Table, FactKey], tuple[int, int]]


class _Reading:
    """The state while a batch is read through once."""

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

    def take(self, message: Message, change: Change) -> None:
        if not is_news(self.position, change):
            self.duplicates += 1
            return
        self.position = change.position
        self.committed_at = change.committed_at or self.committed_at
        try:
            self._apply(message, change)
        except BadMessageError:
            seen = self.mapping.row_key(change.table, change.after or {}) if change.loading else None
            if seen is not None:
                self.unread[seen] = change.position[:2]
            raise
        finally:
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
            raise BadMessageError("truncate", f"table {table!r} was truncated; run `imsfeed resync all`")
        key = old_row(message, change)
        fact = self.mapping.fact_change(change.table, after=change.after, key=key, sparse=self.sparse)
        row = fact.table, fact.key
        self.rows[row] = _merged(self.rows.get(row), fact, message, change)
        if not change.ends_transaction:
            self.open_owners.add(fact.key.owner_id)


def read_batch(
    progress: Progress,
    messages: Iterable[Message],
    mapping: SourceMapping,
    default_epoch: int,
    *,
    sparse: bool = False,
) -> Outcome:
    """Read *messages*, the next ones of a partition that stands at *progress*.

    Args:
        sparse: whether rows may leave mapped columns out, as those in a file of events may.
    """
    reading = _Reading(progress, mapping, sparse=sparse)
    refused: list[Refused] = []
    next_offset = progress.next_offset
    for message in messages:
        next_offset = message.offset + 1
        try:
            change = decode(message.value, default_epoch=default_epoch)
            if change is not None:
                reading.take(message, change)
        except BadMessageError as error:
            refused.append(Refused(message, error.reason, error.detail))
    return Outcome(
        progress=Progress(
            next_offset=next_offset,
            position=reading.position,
            open_owners=frozenset(reading.open_owners),
            heartbeat_at=reading.heartbeat_at,
            committed_at=reading.committed_at,
        ),
        rows=reading.rows,
        refused=refused,
        duplicates=reading.duplicates,
        loads=reading.loads,
        unread=reading.unread,
    )


def _load(change: Change) -> Load:
    if change.resync_owner is None:
        return Load(change.position.epoch, 0)
    return Load(change.position.epoch, change.position.lsn, change.resync_owner)


def old_row(message: Message, change: Change) -> dict[str, Any]:
    """The key columns of the row before the change: the message's key, and over it what ``before`` says."""
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


def _merged(known: RowState | None, fact: FactChange, message: Message, change: Change) -> RowState:
    values, committed_at = fact.values, change.committed_at
    whole, loading = change.op in "cr", change.loading
    if known is not None:
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


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two times, of which either may not be known."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
