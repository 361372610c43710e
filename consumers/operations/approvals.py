"""Decisions on holds. Each is bound, by a digest, to exactly the content that was shown, and audited with a reason."""

from datetime import datetime
from typing import Final, Literal

from consumers.database.audit_text import audit_text
from consumers.database.notifications import CHANNEL
from consumers.database.sessions import Connection
from consumers.database.targets_table import read_target
from consumers.holds.open_holds import Hold, find_hold
from consumers.operations.holds_report import Details, details_of, first_details
from consumers.publication.first_publication import preview
from ims.errors import ImsfeedError, InvalidSettingsError
from ims.holds.losses import Cause

SHORTEST_DIGEST: Final = 12
"""The first hexadecimal digits of a digest that are enough to identify the content that was shown."""


class HoldChangedError(ImsfeedError):
    """The hold has changed since it was shown; the text says how to show it again. Nothing has been decided."""


def approve(connection: Connection, hold_id: int, digest: str, by: str, reason: str, now: datetime) -> Details:
    """Let the next delta publish what a hold keeps back, if that is still exactly what was shown.

    The target's row is locked meanwhile, so that no publication changes the hold between the comparison and the
    approval. What a person loses beyond that by the time of the next delta goes on waiting.

    Args:
        digest: the digest of the hold as it was shown, or at least its first 12 hexadecimal digits.
        by: who decides, for the audit.
        reason: why, for the audit; national ids in both are masked.

    Returns:
        What was approved.

    Raises:
        InvalidSettingsError: there is no such hold, or the digest or the reason is not valid.
        HoldChangedError: the hold keeps back something else now.
        psycopg.Error: nothing has been decided.
    """
    by, reason = audit_text(by, "--name"), audit_text(reason, "--reason")
    if len(digest) < SHORTEST_DIGEST or not all(digit in "0123456789abcdef" for digit in digest):
        raise InvalidSettingsError(f"--digest takes at least {SHORTEST_DIGEST} of the digits that `holds show` shows")
    with connection.transaction():
        hold, content = _lock(connection, hold_id), None
        if hold.cause is Cause.INITIAL:
            found = preview(connection, read_target(connection, hold.target_id), now)
            details, content = first_details(hold, found), found.content
        else:
            details = details_of(connection, hold, now)
        if not details.hold.digest.startswith(digest):
            raise HoldChangedError(
                f"hold {hold_id} keeps back something else now; look again with `imsfeed holds show {hold_id}`"
            )
        connection.execute(
            "update imsfeed.hold set approved_at = %s, rejected_at = null, digest = %s, approved_content = %s"
            " where hold_id = %s",
            (now, details.hold.digest, content, hold_id),
        )
        connection.execute("update imsfeed.target set review = true where target_id = %s", (details.hold.target_id,))
        _audit(connection, "approved", details, by, reason, now)
        connection.execute(f"notify {CHANNEL}")
    return details


def reject(connection: Connection, hold_id: int, by: str, reason: str, now: datetime) -> Details:
    """Leave a hold as it is until the source changes, without further reminders; it can still be approved.

    Args:
        by: who decides, for the audit.
        reason: why, for the audit; national ids in both are masked.

    Returns:
        What was rejected.

    Raises:
        InvalidSettingsError: there is no such hold, or no reason is given.
        psycopg.Error: nothing has been decided.
    """
    by, reason = audit_text(by, "--name"), audit_text(reason, "--reason")
    with connection.transaction():
        details = details_of(connection, _lock(connection, hold_id), now)
        connection.execute(
            "update imsfeed.hold set rejected_at = %s, approved_at = null where hold_id = %s", (now, hold_id)
        )
        _audit(connection, "rejected", details, by, reason, now)
    return details


def _lock(connection: Connection, hold_id: int) -> Hold:
    # The lock comes first: no publication can change any more what this transaction reads after it.
    locked = connection.execute(
        "select target_id from imsfeed.target where target_id ="
        " (select target_id from imsfeed.hold where hold_id = %s) for update",
        (hold_id,),
    ).fetchone()
    if locked is None:
        raise InvalidSettingsError(f"there is no hold {hold_id}; `imsfeed holds list` shows the open ones")
    return find_hold(connection, hold_id)


def _audit(
    connection: Connection,
    action: Literal["approved", "rejected"],
    decided: Details,
    by: str,
    reason: str,
    now: datetime,
) -> None:
    hold, would_publish = decided.hold, decided.would_publish
    connection.execute(
        "insert into imsfeed.hold_audit (decided_at, decided_by, action, reason, owner_id, name, hold_id, cause,"
        " digest, persons, groups) select %s, %s, %s, %s, owner_id, name, %s, %s, %s, %s, %s"
        " from imsfeed.target where target_id = %s",
        (
            now,
            by,
            action,
            reason,
            hold.hold_id,
            hold.cause.value,
            hold.digest,
            hold.persons if would_publish is None else would_publish.person,
            hold.groups if would_publish is None else would_publish.group,
            hold.target_id,
        ),
    )
