"""What a person does with messages in quarantine: look at one, apply it again, or discard it.

Applying again is right only while nothing newer about the same row has been applied: a healed message is refused, and
so is one without a key, which nothing can be compared with. It happens under the lock of the partition's row, so that
the marks it makes are numbered in the order of commits, as those of materialize are.
"""

from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import class_row

from consumers.database.sessions import Connection
from consumers.materialize import fact_tables, quarantine_store
from consumers.materialize.batch import Message, Outcome, Progress, Refused, old_row, read_batch
from consumers.materialize.facts_store import FactsStore
from consumers.materialize.quarantine_store import QuarantinedMessage
from ims.errors import BadMessageError, ImsfeedError
from ims.source.events import Change, decode
from ims.source.facts import Table
from ims.source.mapping import SourceMapping

_LONGEST_RUNNING_NUMBER: Final = 10
"""Digits; a longer number in a key is not shown, since it may be a national id."""


class QuarantineError(ImsfeedError):
    """What was asked for cannot be done with this message; the text says why, and what can."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a message is about: never a value of a row but the running numbers of its key.

    Attributes:
        table: the source's schema and table, or ``None`` when the message cannot be read.
        op: ``c``, ``u``, ``d``, ``r`` or ``t``, as in Debezium's envelope.
        position: epoch, commit LSN and ordinal in the source.
        owner_id: the owner's number, if the key has one that is a running number.
        id: the row's, likewise.
        columns: those mapped columns of the source that the message gives, by the source's names.
        unmapped: how many other columns it gives.
    """

    size: int
    has_key: bool
    table: str | None = None
    op: str | None = None
    position: tuple[int, int, int] | None = None
    owner_id: int | None = None
    id: int | None = None
    columns: list[str] = []
    unmapped: int = 0


def find(connection: Connection, number: int) -> QuarantinedMessage:
    """The message *number*.

    Raises:
        QuarantineError: there is none in quarantine.
    """
    with connection.cursor(row_factory=class_row(QuarantinedMessage)) as cursor:
        found = cursor.execute(quarantine_store.COLUMNS + " where quarantine_id = %s", (number,)).fetchone()
    if found is None:
        raise QuarantineError(f"there is no message {number} in quarantine; `imsfeed quarantine list` shows all")
    return found


def about(connection: Connection, number: int, mapping: SourceMapping, default_epoch: int) -> About:
    """What the message *number* is about.

    Raises:
        QuarantineError: there is none in quarantine.
    """
    message = _message(connection, find(connection, number))
    known = About(size=len(message.value or b""), has_key=message.key is not None)
    try:
        change = decode(message.value, default_epoch=default_epoch)
    except BadMessageError:
        return known
    return known if change is None else _described(known, message, change, mapping)


def replay(
    connection: Connection, number: int, mapping: SourceMapping, partitions: int, default_epoch: int, by: str
) -> Refused | None:
    """Apply the message *number* by the mapping in force, and take it out of quarantine.

    Args:
        partitions: of the topic.
        by: who asked for it, for the audit.

    Returns:
        Why it still cannot be applied: it stays, with this reason. ``None`` when it was applied.

    Raises:
        QuarantineError: there is no such message, or it must not be applied any more.
    """
    with connection.transaction():
        quarantined = _locked(connection, number)
        message = _message(connection, quarantined)
        _refuse_what_must_not_be_applied(quarantined, message)
        outcome = read_batch(Progress(quarantined.offset), [message], mapping, default_epoch)
        refused = outcome.refused
        if not refused:
            _refuse_what_was_loaded_since(connection, number, outcome)
            try:
                with connection.transaction():
                    refused = FactsStore(connection, quarantined.topic, partitions).apply_again(
                        quarantined.partition, outcome, number
                    )
            except psycopg.DataError as error:
                refused = [Refused(message, "impossible_value", f"PostgreSQL refused it: {error.sqlstate}")]
        if refused:
            connection.execute(
                "update imsfeed.quarantine set reason = %s, detail = %s where quarantine_id = %s",
                (refused[0].reason, refused[0].detail, number),
            )
            return refused[0]
        _remove(connection, number, "replayed", by, None)
    return None


def discard(connection: Connection, number: int, explanation: str, by: str) -> None:
    """Take the message *number* out of quarantine without applying it; the audit keeps who and why.

    Raises:
        QuarantineError: there is none in quarantine.
    """
    with connection.transaction():
        _locked(connection, number)
        _remove(connection, number, "discarded", by, explanation)


def _locked(connection: Connection, number: int) -> QuarantinedMessage:
    """The message, its partition's row locked first, as materialize does."""
    quarantined = find(connection, number)
    connection.execute(
        "select from imsfeed.topic_partition where topic = %s and partition = %s for update",
        (quarantined.topic, quarantined.partition),
    )
    return find(connection, number)


def _refuse_what_must_not_be_applied(quarantined: QuarantinedMessage, message: Message) -> None:
    refusal = None
    if quarantined.resolved_at is not None:
        refusal = "it is superseded: its row has been written since; discard it"
    elif quarantined.reason == "truncate":
        refusal = "a TRUNCATE is never applied; `imsfeed resync all` brings what the source has now"
    elif message.key is None:
        refusal = (
            "it has no key, so that nobody knows whether its row has been written since;"
            " `imsfeed resync all` brings what the source has now, then discard it"
        )
    if refusal is not None:
        raise QuarantineError(f"message {quarantined.number} is not applied: {refusal}")


def _refuse_what_was_loaded_since(connection: Connection, number: int, outcome: Outcome) -> None:
    """A resync may have found that the row is gone, of which no later message with its key tells."""
    for (_, key), row in outcome.rows.items():
        seen = fact_tables.all_seen_after(connection, key.owner_id, row.epoch, row.lsn)
        if seen:
            raise QuarantineError(
                f"message {number} is not applied: it is superseded: all of owner {key.owner_id} was loaded since;"
                " discard it"
            )


def _remove(connection: Connection, number: int, action: str, by: str, explanation: str | None) -> None:
    connection.execute(
        "with gone as (delete from imsfeed.quarantine where quarantine_id = %s returning *)"
        " insert into imsfeed.quarantine_audit (done_by, action, explanation, quarantine_id, topic, partition,"
        " message_offset, reason, detail, quarantined_at, resolved_at)"
        " select %s, %s, %s, quarantine_id, topic, partition, message_offset, reason, detail, quarantined_at,"
        " resolved_at"
        " from gone",
        (number, by, action, explanation),
    )


def _message(connection: Connection, quarantined: QuarantinedMessage) -> Message:
    row = connection.execute(
        "select message_key, message_value from imsfeed.quarantine where quarantine_id = %s", (quarantined.number,)
    ).fetchone()
    key, value = row or (None, None)
    return Message(quarantined.offset, key, value)


def _described(known: About, message: Message, change: Change, mapping: SourceMapping) -> About:
    table = mapping.table_of(change.table)
    columns = dict(mapping.columns(table)) if table is not None else {"owner_id": "owner_id", "id": "id"}
    key = change.after if change.after is not None else old_row(message, change)
    given = {**(change.before or {}), **(change.after or {})}
    mapped = sorted(given.keys() & set(columns.values())) if table is not None else []
    return msgspec.structs.replace(
        known,
        table=f"{change.schema[:63]}.{change.table[:63]}",
        op=change.op,
        position=tuple(change.position),
        owner_id=_running_number(key.get(columns["owner_id"])),
        id=None if table is Table.OWNER else _running_number(key.get(columns["id"])),
        columns=mapped,
        unmapped=len(given) - len(mapped),
    )


def _running_number(value: Any) -> int | None:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or not isinstance(value, int) or len(str(abs(value))) > _LONGEST_RUNNING_NUMBER:
        return None
    return value
