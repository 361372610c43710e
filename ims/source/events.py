"""The change event as it is sent through Kafka: Debezium's JSON envelope, without schemas.

Capture writes it, and so does Debezium on Kafka Connect: one can take the other's place without a change to the
consumer. The fields that capture adds are optional for the consumer: ``source.epoch``, ``source.resync_owner`` (this
load has the rows of that owner alone), and in ``transaction`` the field ``last``, true on the transaction's last event
in this partition.

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
from ims.identifiers.national_id import without_national_ids

UNAVAILABLE: Final = "__debezium_unavailable_value"
"""The placeholder of a value that PostgreSQL did not send because it did not change (TOAST): keep the stored one."""

_TOO_LARGE: Final = "__imsfeed_too_large"
"""The only field of the mark that stands for a value which was too large for Kafka; has its size and the row's key."""

HEARTBEAT_TABLE: Final = "heartbeat"
"""The table whose rows only show that changes arrive; one row for each partition."""

Row = dict[str, Any]

_LARGEST: Final = 2**63 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
"""A number that the state database can store; every LSN and every ordinal is one."""


class Position(NamedTuple):
    """A change's position in the source's history; compare positions only as a whole.

    The row's own LSN is not unique (one COPY of 1,000 rows has 5 LSNs), hence the ordinal in the transaction.

    Attributes:
        epoch: numbers the source's histories; it grows with every new slot, so that all changes of a restored database
            are new.
        lsn: where the transaction's commit record begins; from Debezium that of the commit before it (the row's own LSN
            if it has not seen a commit yet).
        ordinal: 1, 2, 3 ... in the transaction; from Debezium without transaction metadata the row's LSN.
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
    """A change event as the consumer uses it.

    Attributes:
        op: ``c`` create, ``u`` update, ``d`` delete, ``r`` row of an initial load, ``t`` truncate.
        before: the old row, perhaps only its key columns, or ``None``.
        after: the new row, or ``None`` for a delete.
        position: the change's position in the source's history.
        exact: True if ``position`` names this one change; if not, another change may have the same position.
        ends_transaction: False if more of the same transaction follows in this partition; True for events that do not
            say.
        loading: True for a row of an initial load or resync.
        resync_owner: the one owner whose rows the load has, or ``None`` if it has those of all owners.
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
    """The fields that distinguish an envelope from one wrapped by Kafka Connect's JSON converter with schemas on."""

    payload: msgspec.Raw = _NULL
    op: str | None = None


_OUTER = msgspec.json.Decoder(_Outer)
_ENVELOPE = msgspec.json.Decoder(Envelope)
_ENCODER = msgspec.json.Encoder()
_ROW_OPS: Final = frozenset("cudrt")
_KEPT: Final = 1024
"""How many transactions and commit times are cached, since the events of a transaction share them."""


def encode(envelope: Envelope) -> bytes:
    """Return the envelope as the bytes of a Kafka message's value."""
    return _ENCODER.encode(envelope)


def too_large(size: int, key: str) -> dict[str, Any]:
    """Return the mark that capture sends in place of a value that is too large for Kafka.

    Args:
        size: the value's bytes.
        key: the row's key, for people to read.
    """
    return {_TOO_LARGE: [size, key]}


def read_too_large(value: Any) -> str | None:  # noqa: ANN401 - JSON
    """Return what a mark of :func:`too_large` says, for people to read; ``None`` for any other value."""
    if not isinstance(value, dict) or value.keys() != {_TOO_LARGE}:
        return None
    try:
        size, key = msgspec.convert(value[_TOO_LARGE], tuple[int, str])
    except msgspec.ValidationError:
        return "an unknown number of bytes"
    return f"{size} bytes in the row with {without_national_ids(key[:200])}"


def decode(value: bytes | None, *, default_epoch: int = 0) -> Change | None:
    """Read a message's value.

    Args:
        value: the message's value; ``None`` is a tombstone.
        default_epoch: epoch of events that have none (Debezium's).

    Returns:
        The change, or ``None`` if the message is about no row: a tombstone, a record of a heartbeat or transaction
        topic without ``op``, a logical message (``op`` ``m``).

    Raises:
        BadMessageError: the value is not JSON, not an envelope, or has an unknown ``op``.
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
    """Return the envelope of a message that is wrapped, or ``None`` for one that is about no row.

    The common case is decoded in one pass; only a message that is no envelope as it is comes here.
    """
    try:
        own = _unwrapped(value)
        return None if own is None else _ENVELOPE.decode(own)
    except msgspec.ValidationError as error:
        # msgspec names the place and the type expected there, never the value and never a key of a row.
        raise BadMessageError("not_an_envelope", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadMessageError("not_json", "the message's value is not JSON, or nested too deeply to read") from None


def _unwrapped(value: bytes) -> bytes | None:
    """Return the envelope's own JSON, or ``None`` if the message is about no row."""
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
    """Read Debezium's ``sequence``, a JSON text in JSON: the last commit's LSN and this row's, each a text or null."""
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
        ValueError: the text is not a number, or larger than any LSN.
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
    """Return True if *change* comes after all that was applied from its partition up to *last*.

    After a crash the source's slot, or the producer, sends events again. A change with an exact position is new only if
    the position is greater. A position that is not exact may be shared by several rows, so that an equal one is applied
    once more: an event has the whole row, and applying it twice does no harm.
    """
    if last is None:
        return True
    return change.position > last if change.exact else change.position >= last
