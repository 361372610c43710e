"""The change event as it travels through Kafka: Debezium's JSON envelope, schemas off.

Our producer writes it, and so does Debezium on Kafka Connect, so that one can take the other's place without the
consumer noticing. What ours adds is optional for the consumer: ``source.epoch``, ``source.resync_owner`` (this load
holds the rows of that owner alone), and in ``transaction`` the field ``last``, true on the transaction's last event in
this partition.

Format: debezium.io, connector for PostgreSQL, "Data change events".

>>> change = decode(b'{"op":"c","after":{"id":1},"source":{"schema":"public","table":"person","lsn":32}}')
>>> change.op, change.table, change.after, change.before
('c', 'person', {'id': 1}, None)
>>> decode(None) is None
True
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from ims.errors import BadMessageError

UNAVAILABLE: Final = "__debezium_unavailable_value"
"""What stands for a value that PostgreSQL did not send because it did not change (TOAST): keep the stored one."""

HEARTBEAT_TABLE: Final = "heartbeat"
"""The table whose rows are written only to be seen arriving; one row for each partition."""

Row = dict[str, Any]

_LARGEST: Final = 2**63 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
"""A number that the state database can store; beyond it lies no LSN and no ordinal."""


class Position(NamedTuple):
    """Where a change stands in the source's history; compare positions only as a whole.

    The row's own LSN is not unique (one COPY of 1,000 rows has 5), hence the ordinal in the transaction.

    Attributes:
        epoch: counts the source's histories; it grows with every new slot, so that a restored database is news.
        lsn: where the transaction's commit record begins; for Debezium that of the commit before it (the row's own LSN
            while it has seen no commit).
        ordinal: 1, 2, 3 ... in the transaction; for Debezium without transaction metadata the row's LSN.
    """

    epoch: int
    lsn: int
    ordinal: int


class Source(msgspec.Struct, kw_only=True, gc=False):
    """Debezium's ``source`` block. ``lsn`` is the row's position in the WAL, ``ts_ms`` the commit's time."""

    version: str = ""
    connector: str = "postgresql"
    name: str = ""
    ts_ms: int | None = None
    snapshot: str | bool | None = "false"
    db: str = ""
    sequence: str | None = None
    schema: str
    table: str
    txId: int | None = None  # noqa: N815 - Debezium's spelling
    lsn: Count | None = None
    epoch: Count | None = None
    resync_owner: Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)] | msgspec.UnsetType | None = msgspec.UNSET


class Transaction(msgspec.Struct, omit_defaults=True, gc=False):
    """Debezium's ``transaction`` block: ``id`` is "txid:commit LSN", ``total_order`` counts from 1."""

    id: str
    total_order: Count
    data_collection_order: int
    last: bool | None = None


class Envelope(msgspec.Struct, omit_defaults=False, kw_only=True, gc=False):
    """One change event as JSON: Debezium's ``before``, ``after``, ``source``, ``op``, ``ts_ms``, ``transaction``."""

    before: Row | None = None
    after: Row | None = None
    source: Source
    op: str
    ts_ms: int | None = None
    transaction: Transaction | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A change event as the consumer understands it.

    Attributes:
        op: ``c`` create, ``u`` update, ``d`` delete, ``r`` row of an initial load, ``t`` truncate.
        before: the old row, perhaps only its key columns, or ``None``.
        after: the new row, or ``None`` for a delete.
        position: where the change stands in the source's history.
        exact: whether ``position`` names this one change. If not, an equal position may be another change.
        ends_transaction: false while more of the same transaction follows in this partition; true also for
            events that do not say.
        loading: whether it is a row of an initial load or resync.
        resync_owner: the one owner whose rows the load holds, or ``None`` when it holds those of all.
        committed_at: when the source committed it, in UTC.
    """

    schema: str
    table: str
    op: str
    before: Row | None
    after: Row | None
    position: Position
    exact: bool
    ends_transaction: bool
    loading: bool
    committed_at: datetime | None
    resync_owner: int | None = None


_NULL: Final = msgspec.Raw(b"null")


class _Outer(msgspec.Struct):
    """What tells an envelope from one wrapped by Kafka Connect's JSON converter with schemas on."""

    payload: msgspec.Raw = _NULL
    op: str | None = None


_OUTER = msgspec.json.Decoder(_Outer)
_ENVELOPE = msgspec.json.Decoder(Envelope)
_ENCODER = msgspec.json.Encoder()
_ROW_OPS: Final = frozenset("cudrt")
_KEPT: Final = 1024
"""Transactions and commit times that are not worked out again for each of their events."""


def encode(envelope: Envelope) -> bytes:
    """The envelope as the bytes of a Kafka message's value."""
    return _ENCODER.encode(envelope)


def decode(value: bytes | None, *, default_epoch: int = 0) -> Change | None:
    """Read a message's value.

    Args:
        value: the message's value; ``None`` is a tombstone.
        default_epoch: epoch of events that carry none (Debezium's).

    Returns:
        The change, or ``None`` when the message says nothing about rows: a tombstone, a heartbeat or transaction
        topic's record without ``op``, a logical message (``op`` ``m``).

    Raises:
        BadMessageError: it is no JSON, no envelope, or has an unknown ``op``.
    """
    if value is None:
        return None
    envelope: Envelope | None
    try:
        envelope = _ENVELOPE.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        envelope = _unusual(value)
    return None if envelope is None or envelope.op == "m" else _change(envelope, default_epoch)


def _unusual(value: bytes) -> Envelope | None:
    """The envelope of a message that is not one by itself: wrapped, saying nothing about rows, or wrong."""
    try:
        own = _unwrapped(value)
        return None if own is None else _ENVELOPE.decode(own)
    except msgspec.ValidationError as error:
        # msgspec names the place and the type expected there, never the value, nor a key of a row.
        raise BadMessageError("not_an_envelope", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadMessageError("not_json", "the message's value is not JSON, or nested too deep to read") from None


def _unwrapped(value: bytes) -> bytes | None:
    """The envelope's own JSON, or ``None`` when the message says nothing about rows."""
    outer = _OUTER.decode(value)
    if outer.op is None and outer.payload != _NULL:
        value = bytes(outer.payload)
        outer = _OUTER.decode(value)
    return None if outer.op in {None, "m"} else value


def _change(envelope: Envelope, default_epoch: int) -> Change:
    source, transaction = envelope.source, envelope.transaction
    if envelope.op not in _ROW_OPS:
        raise BadMessageError("unknown_op", "op is none of c, u, d, r, t")
    if envelope.op in "cur" and envelope.after is None:
        raise BadMessageError("not_an_envelope", f"op {envelope.op} without after")
    epoch = default_epoch if source.epoch is None else source.epoch
    exact = source.epoch is not None and transaction is not None
    if exact and transaction is not None:
        position = Position(epoch, _commit_lsn(transaction.id), transaction.total_order)
    else:
        position = Position(epoch, *_sequence(source))
    return Change(
        schema=source.schema,
        table=source.table,
        op=envelope.op,
        before=envelope.before,
        after=envelope.after,
        position=position,
        exact=exact,
        ends_transaction=not exact or (transaction is not None and bool(transaction.last)),
        loading=envelope.op == "r",
        committed_at=_instant(source.ts_ms),
        resync_owner=None if source.resync_owner is msgspec.UNSET else source.resync_owner,
    )


@lru_cache(maxsize=_KEPT)
def _commit_lsn(transaction_id: str) -> int:
    try:
        return _lsn(transaction_id.rpartition(":")[2])
    except ValueError:
        raise BadMessageError("not_an_envelope", 'transaction.id is not "txid:commit LSN"') from None


def _sequence(source: Source) -> tuple[int, int]:
    """Debezium's ``sequence``, a JSON text in JSON: last commit's LSN and this row's, each a text or null."""
    lsn = source.lsn or 0
    if source.sequence is None:
        return lsn, lsn
    try:
        last_commit, row = msgspec.json.decode(source.sequence, type=tuple[str | None, str | None])
        row_lsn = lsn if row is None else _lsn(row)
        return row_lsn if last_commit is None else _lsn(last_commit), row_lsn
    except (msgspec.MsgspecError, ValueError):
        raise BadMessageError("not_an_envelope", "source.sequence is not a pair of LSNs") from None


def _lsn(text: str) -> int:
    """Read an LSN written as a decimal number.

    Raises:
        ValueError: it is none, or none that can be.
    """
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST:
        raise ValueError
    return int(text)


@lru_cache(maxsize=_KEPT)
def _instant(ts_ms: int | None) -> datetime | None:
    if ts_ms is None:
        return None
    try:
        return datetime.fromtimestamp(ts_ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        raise BadMessageError("impossible_value", "source.ts_ms is not a time") from None


def is_news(last: Position | None, change: Change) -> bool:
    """Whether *change* comes after all that was applied from its partition up to *last*.

    After a crash the source's slot, or the producer, sends again what was sent already. An exact position is news only
    if it is greater. One that is not exact may be shared by several rows, so an equal one is applied once more; rows
    are absolute, and applying one twice is harmless.
    """
    if last is None:
        return True
    return change.position > last if change.exact else change.position >= last
