"""The quarantine in the state database: messages that cannot be applied, until a later message resolves them.

A message is resolved when its row has been written since, by a later message with the same key or by a load. It is
obsolete then: applying it would set the row back to an older state.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import class_row

from consumers.materialize import fact_tables
from consumers.materialize.batch import Message, Refused
from ims.errors import BadMessageError
from ims.source.events import Change, decode

Cursor = psycopg.Cursor[tuple[Any, ...]]

_ROWS: Final = 500
"""How many quarantined messages are held in memory at a time."""


class QuarantinedMessage(msgspec.Struct, frozen=True):
    """A message in quarantine, without its content.

    Attributes:
        number: its number in quarantine, in the order of arrival.
        resolved_at: when a later message or a load wrote its row, or ``None`` while it is unresolved.
    """

    number: int
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    quarantined_at: datetime
    resolved_at: datetime | None


COLUMNS: Final = (
    'select quarantine_id as number, topic, partition, message_offset as "offset", reason, detail, quarantined_at,'
    " resolved_at from imsfeed.quarantine"
)
"""The query for the fields of a :class:`QuarantinedMessage`."""


def all_quarantined(connection: psycopg.Connection[tuple[Any, ...]]) -> list[QuarantinedMessage]:
    """Return all messages in quarantine, in the order of arrival."""
    with connection.cursor(row_factory=class_row(QuarantinedMessage)) as cursor:
        return cursor.execute(COLUMNS + " order by quarantine_id").fetchall()


def quarantine(
    cursor: Cursor, topic: str, partition: int, refused: Iterable[Refused], applied: Iterable[Message]
) -> None:
    """Insert refused messages into the quarantine, in the order of their offsets.

    Args:
        applied: messages of the same batch that were applied; they may resolve a refused one before them immediately.
    """
    quarantined = sorted(refused, key=lambda one: one.message.offset)
    if not quarantined:
        return
    by_key = _by_key(applied)
    resolved = [
        any(after.offset > one.message.offset and _same_row(one.message, after) for after in by_key[one.message.key])
        for one in quarantined
    ]
    cursor.execute(
        "insert into imsfeed.quarantine"
        " (topic, partition, message_offset, message_key, message_value, reason, detail, resolved_at)"
        " select %s, %s, place, key, value, reason, detail, case when resolved then now() end"
        " from unnest(%s::bigint[], %s::bytea[], %s::bytea[], %s::text[], %s::text[], %s::boolean[]) with ordinality"
        " as refused(place, key, value, reason, detail, resolved, number) order by number",
        (
            topic,
            partition,
            [one.message.offset for one in quarantined],
            [one.message.key for one in quarantined],
            [one.message.value for one in quarantined],
            [one.reason for one in quarantined],
            [one.detail for one in quarantined],
            resolved,
        ),
    )


def resolve(
    cursor: Cursor, topic: str, partition: int, applied: Iterable[Message], *, before: int | None = None
) -> None:
    """Resolve the quarantined messages whose rows the messages *applied* have written.

    Only messages with the same key are read; whether they are about the same table is decided by their values.

    Args:
        before: resolve only messages with a smaller number; ``None`` for all, because all of them came earlier.
    """
    by_key = _by_key(applied)
    cursor.execute(
        "select quarantine_id, message_key, message_value from imsfeed.quarantine where topic = %s and partition = %s"
        " and resolved_at is null and message_key = any (%s) and (%s::bigint is null or quarantine_id < %s)",
        (topic, partition, [key for key in by_key if key is not None], before, before),
    )
    resolved = [
        number
        for number, key, value in cursor.fetchall()
        if any(_same_row(Message(0, bytes(key), value), after) for after in by_key[bytes(key)])
    ]
    _set_resolved(cursor, resolved)


def newest_of_row(cursor: Cursor, quarantined: QuarantinedMessage, message: Message) -> int:
    """Return the number of the newest unresolved message in quarantine about the row of *message*, or its own number.

    A message that cannot be decoded does not count: nothing of it has been applied.

    Args:
        quarantined: where *message* is in quarantine.
        message: the message, with its key.
    """
    cursor.execute(
        "select quarantine_id, message_key, message_value from imsfeed.quarantine where topic = %s and partition = %s"
        " and resolved_at is null and message_key = %s and quarantine_id > %s",
        (quarantined.topic, quarantined.partition, message.key, quarantined.number),
    )
    same = [
        number
        for number, key, value in cursor.fetchall()
        if _change(value) is not None and _same_row(message, Message(0, bytes(key), value))
    ]
    return max(same, default=quarantined.number)


def resolve_by_load(cursor: Cursor, topic: str, partition: int, epoch: int) -> None:
    """Resolve the quarantined messages of older epochs, after a load of *epoch* has written all rows of the partition.

    A message that cannot be read stays unresolved, because its epoch is not known.
    """
    cursor.execute(
        "select quarantine_id, message_value from imsfeed.quarantine"
        " where topic = %s and partition = %s and resolved_at is null",
        (topic, partition),
    )
    resolved: list[int] = []
    while rows := cursor.fetchmany(_ROWS):
        changes = [(number, _change(value)) for number, value in rows]
        resolved += [number for number, change in changes if change is not None and change.position.epoch < epoch]
    _set_resolved(cursor, resolved)


def resolve_truncates(cursor: Cursor, topic: str) -> None:
    """Resolve the truncates after which every fact has been seen again, by loads of all owners or of each.

    What a truncate removed has then been found missing, whichever table it emptied.
    """
    cursor.execute(
        "select quarantine_id, message_value from imsfeed.quarantine"
        " where topic = %s and reason = 'truncate' and resolved_at is null",
        (topic,),
    )
    changes = [(number, _change(value)) for number, value in cursor.fetchall()]
    _set_resolved(
        cursor,
        [
            number
            for number, change in changes
            if change is not None and not fact_tables.any_seen_before(cursor, *change.position[:2])
        ],
    )


def count_unresolved(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    """Return how many messages in quarantine are unresolved and wait for an operator."""
    row = connection.execute("select count(*) from imsfeed.quarantine where resolved_at is null").fetchone()
    return int(row[0]) if row else 0


def _set_resolved(cursor: Cursor, resolved: list[int]) -> None:
    if resolved:
        cursor.execute("update imsfeed.quarantine set resolved_at = now() where quarantine_id = any (%s)", (resolved,))


def _by_key(messages: Iterable[Message]) -> dict[bytes | None, list[Message]]:
    by_key: dict[bytes | None, list[Message]] = defaultdict(list)
    for message in messages:
        by_key[message.key].append(message)
    return by_key


def _same_row(quarantined: Message, applied: Message) -> bool:
    """Return whether two messages with the same key are about the same row: a key identifies a row within its table.

    A message that cannot be read is about the row of its key if the key names the table, as capture's does and
    Debezium's does not. A message without a key is never resolved this way.
    """
    if quarantined.key is None:
        return False
    one, other = _change(quarantined.value), _change(applied.value)
    if one is None or other is None:
        return names_table(quarantined.key)
    return (one.schema, one.table) == (other.schema, other.table)


def names_table(key: bytes) -> bool:
    """Return whether a message's key names the table of its row."""
    try:
        read = msgspec.json.decode(key)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(read, dict) and "table" in read


def _change(value: bytes | None) -> Change | None:
    try:
        return decode(None if value is None else bytes(value))
    except BadMessageError:
        return None
