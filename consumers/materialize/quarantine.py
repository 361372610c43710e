"""What an operator does with messages in quarantine: describe one, apply it again, or discard it.

Applying again is right only while nothing newer about the same row has been applied. So a resolved message is refused,
and so is one without a key, for which that cannot be known. It happens under the lock of the partition's row, so that
its pending changes get their numbers in the order in which they are committed, as those of materialize do.
"""

from typing import Any, Final

import msgspec
from psycopg.rows import class_row

from consumers.database.audit_text import audit_text
from consumers.database.error_causes import Cause, cause_of, refusal
from consumers.database.sessions import Connection
from consumers.materialize import fact_tables, quarantine_store
from consumers.materialize.batch import Message, Outcome, Progress, Refused, old_row, read_batch
from consumers.materialize.facts_store import FactsStore
from consumers.materialize.quarantine_store import QuarantinedMessage, names_table
from ims.errors import BadMessageError, ImsfeedError, InvalidSettingsError
from ims.identifiers.national_id import without_national_ids
from ims.source.events import Change, decode
from ims.source.facts import Table
from ims.source.mapping import SourceMapping

_UNREADABLE: Final = frozenset({"not_json", "not_an_envelope", "unknown_op"})
"""Reasons for which the table of a message was not known when later messages could have resolved it."""
_LONGEST_RUNNING_NUMBER: Final = 9
"""Digits; a longer number in a key is not shown, since it may be a national id, whose first zero JSON does not keep."""


class QuarantineError(ImsfeedError):
    """The request cannot be carried out for this message; the text says why, and what the operator can do instead."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a message is about. It has no value of a row except the running numbers of its key.

    Attributes:
        size: the message's size in bytes.
        has_key: the message has a key.
        table: the source's schema and table, or ``None`` when the message cannot be read.
        op: ``c``, ``u``, ``d``, ``r`` or ``t``, as in Debezium's envelope.
        position: epoch, commit LSN and ordinal in the source.
        owner_id: the owner's running number, if the key has one.
        id: the row's running number, if the key has one.
        columns: the mapped columns that the message has, by the source's names.
        unmapped: how many other columns it has.
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
    """Return the message *number*.

    Raises:
        InvalidSettingsError: there is no such message in quarantine.
    """
    with connection.cursor(row_factory=class_row(QuarantinedMessage)) as cursor:
        found = cursor.execute(quarantine_store.COLUMNS + " where quarantine_id = %s", (number,)).fetchone()
    if found is None:
        raise InvalidSettingsError(f"there is no message {number} in quarantine; `imsfeed quarantine list` shows all")
    return found


def describe(connection: Connection, number: int, mapping: SourceMapping, default_epoch: int) -> Description:
    """Describe the message *number*. Of one that cannot be read, only size and key are known.

    Raises:
        InvalidSettingsError: there is no such message in quarantine.
    """
    message = _message(connection, find(connection, number))
    known = Description(size=len(message.value or b""), has_key=message.key is not None)
    try:
        change = decode(message.value, default_epoch=default_epoch)
    except BadMessageError:
        return known
    return known if change is None else _described(known, message, change, mapping)


def replay(
    connection: Connection, number: int, mapping: SourceMapping, partitions: int, default_epoch: int, by: str
) -> Refused | None:
    """Apply the message *number* by the mapping in force, and remove it from quarantine.

    Args:
        partitions: how many partitions the topic has.
        by: who asked for it, for the audit.

    What it takes away is applied even if the rest of it still cannot be read.

    Returns:
        Why it still cannot be applied; it then stays, with this reason. ``None`` if it was applied.

    Raises:
        InvalidSettingsError: there is no such message.
        QuarantineError: it must not be applied any more.
    """
    with connection.transaction():
        quarantined = _lock(connection, number)
        message = _message(connection, quarantined)
        _check_applicable(quarantined, message)
        _check_newest(connection, quarantined, message)
        outcome = read_batch(Progress(quarantined.offset), [message], mapping, default_epoch)
        refused = outcome.refused
        if not refused or outcome.restricted:
            _check_not_loaded_since(connection, number, outcome)
            try:
                # A savepoint: if PostgreSQL refuses the message, the outer transaction stores the new reason.
                with connection.transaction():
                    refused = FactsStore(connection, quarantined.topic, partitions).apply_again(
                        quarantined.partition, outcome, number
                    )
            except Exception as error:
                if cause_of(error) is not Cause.ROW:
                    raise
                refused = [Refused(message, "impossible_value", refusal(error))]
        if refused:
            connection.execute(
                "update imsfeed.quarantine set reason = %s, detail = %s where quarantine_id = %s",
                (refused[0].reason, refused[0].detail, number),
            )
            return refused[0]
        _remove(connection, number, "replayed", by, None)
    return None


def discard(connection: Connection, number: int, explanation: str, by: str) -> None:
    """Remove the message *number* from quarantine without applying it. The audit keeps who did it and why.

    Raises:
        InvalidSettingsError: there is no such message in quarantine.
    """
    with connection.transaction():
        _lock(connection, number)
        _remove(connection, number, "discarded", by, explanation)


def _lock(connection: Connection, number: int) -> QuarantinedMessage:
    """Lock the row of the message's partition, as materialize does, and return the message as it is then."""
    quarantined = find(connection, number)
    connection.execute(
        "select from imsfeed.topic_partition where topic = %s and partition = %s for update",
        (quarantined.topic, quarantined.partition),
    )
    return find(connection, number)


def _check_applicable(quarantined: QuarantinedMessage, message: Message) -> None:
    refusal = None
    if quarantined.resolved_at is not None:
        refusal = "it is superseded: its row has been written since; discard it"
    elif quarantined.reason == "truncate":
        refusal = "a TRUNCATE is never applied; `imsfeed resync all` brings what the source has now"
    elif quarantined.reason in _UNREADABLE and message.key is not None and not names_table(message.key):
        refusal = (
            "it could not be read when it arrived, and its key names no table, so it is not known whether its row has"
            " been written since; `imsfeed resync all` brings what the source has now, then discard it"
        )
    elif message.key is None:
        refusal = (
            "it has no key, so it is not known whether its row has been written since;"
            " `imsfeed resync all` brings what the source has now, then discard it"
        )
    if refusal is not None:
        raise QuarantineError(f"message {quarantined.number} is not applied: {refusal}")


def _check_newest(connection: Connection, quarantined: QuarantinedMessage, message: Message) -> None:
    """Refuse a message while a newer one about the same row is in quarantine.

    What the newer one takes away has been applied already, and the older one would give it back.
    """
    with connection.cursor() as cursor:
        newer = quarantine_store.newest_of_row(cursor, quarantined, message)
    if newer > quarantined.number:
        raise QuarantineError(
            f"message {quarantined.number} is not applied: message {newer} in quarantine is about the same row and"
            " newer; apply or discard that one first"
        )


def _check_not_loaded_since(connection: Connection, number: int, outcome: Outcome) -> None:
    """Refuse a message if all rows of its owner have been loaded since.

    The load may have found that the row no longer exists. No later message with the row's key says so.
    """
    seen = [(key, row.epoch, row.lsn) for (_, key), row in outcome.rows.items()]
    seen += [(key, row.epoch, row.lsn) for (_, key), row in outcome.restricted.items()]
    for key, epoch, lsn in seen:
        if fact_tables.all_seen_after(connection, key.owner_id, epoch, lsn):
            raise QuarantineError(
                f"message {number} is not applied: it is superseded: all rows of owner {key.owner_id} were loaded"
                " since; discard it"
            )


def _remove(connection: Connection, number: int, action: str, by: str, explanation: str | None) -> None:
    connection.execute(
        "with removed as (delete from imsfeed.quarantine where quarantine_id = %s returning *)"
        " insert into imsfeed.quarantine_audit (done_by, action, explanation, quarantine_id, topic, partition,"
        " message_offset, reason, detail, quarantined_at, resolved_at)"
        " select %s, %s, %s, quarantine_id, topic, partition, message_offset, reason, detail, quarantined_at,"
        " resolved_at"
        " from removed",
        (
            number,
            audit_text(by, "--name"),
            action,
            None if explanation is None else audit_text(explanation, "--reason"),
        ),
    )


def _message(connection: Connection, quarantined: QuarantinedMessage) -> Message:
    row = connection.execute(
        "select message_key, message_value from imsfeed.quarantine where quarantine_id = %s", (quarantined.number,)
    ).fetchone()
    key, value = row or (None, None)
    return Message(quarantined.offset, key, value)


def _described(known: Description, message: Message, change: Change, mapping: SourceMapping) -> Description:
    table = mapping.table_of(change.table)
    columns = dict(mapping.columns(table)) if table is not None else {"owner_id": "owner_id", "id": "id"}
    key = change.after if change.after is not None else old_row(message, change)
    constant = None if table is None else mapping.constants(table).get("owner_id")
    given = {**(change.before or {}), **(change.after or {})}
    mapped = sorted(given.keys() & set(columns.values())) if table is not None else []
    return msgspec.structs.replace(
        known,
        table=without_national_ids(f"{change.schema[:63]}.{change.table[:63]}"),
        op=change.op,
        position=tuple(change.position),
        owner_id=_running_number(constant if constant is not None else key.get(columns["owner_id"])),
        id=None if table is Table.OWNER else _running_number(key.get(columns["id"])),
        columns=mapped,
        unmapped=len(given) - len(mapped),
    )


def _running_number(value: Any) -> int | None:  # noqa: ANN401 - JSON
    if isinstance(value, bool) or not isinstance(value, int) or len(str(abs(value))) > _LONGEST_RUNNING_NUMBER:
        return None
    return value
