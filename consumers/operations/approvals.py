"""Somebody's decision on a hold, bound to the digest of exactly what was looked at, and kept with name and reason."""

from datetime import datetime
from typing import Final, Literal

from consumers.database.notifications import CHANNEL
from consumers.database.sessions import Connection
from consumers.holds.open_holds import find_hold
from consumers.operations.holds_report import Details, details
from ims.errors import ImsfeedError, InvalidSettingsError

SHORTEST_DIGEST: Final = 12
"""Hexadecimal digits of a digest that are enough to say which set was looked at."""


class HoldChangedError(ImsfeedError):
    """What waits is not what was looked at; the text says how to look again. Nothing has been decided."""


def approve(connection: Connection, hold_id: int, digest: str, who: str, reason: str, now: datetime) -> Details:
    """Let the next cut tell what a hold keeps back, if that is still exactly what was looked at.

    The target's row is locked meanwhile, so that no cut changes the hold between the comparison and the approval. What
    a person loses beyond what was approved, by the next cut, goes on waiting.

    Args:
        digest: of the hold as it was shown, or at least its first 12 hexadecimal digits.

    Returns:
        What was approved.

    Raises:
        InvalidSettingsError: there is no such hold, or the digest or the reason is none.
        HoldChangedError: it keeps back something else now.
        psycopg.Error: nothing has been decided.
    """
    _check_reason(reason)
    if len(digest) < SHORTEST_DIGEST or not all(digit in "0123456789abcdef" for digit in digest):
        raise InvalidSettingsError(f"--digest takes at least {SHORTEST_DIGEST} of the digits that `holds show` shows")
    with connection.transaction():
        in_scope = _locked(connection, hold_id, now)
        if not in_scope.hold.digest.startswith(digest):
            raise HoldChangedError(
                f"hold {hold_id} keeps back something else now; look again with `imsfeed holds show {hold_id}`"
            )
        connection.execute(
            "update imsfeed.hold set approved_at = %s, rejected_at = null, digest = %s where hold_id = %s",
            (now, in_scope.hold.digest, hold_id),
        )
        connection.execute("update imsfeed.target set review = true where target_id = %s", (in_scope.hold.target_id,))
        _audit(connection, "approved", in_scope, who, reason, now)
        connection.execute(f"notify {CHANNEL}")
    return in_scope


def reject(connection: Connection, hold_id: int, who: str, reason: str, now: datetime) -> Details:
    """Leave a hold as it is until the source changes, and remind nobody of it; it can still be approved.

    Returns:
        What was rejected.

    Raises:
        InvalidSettingsError: there is no such hold, or no reason is given.
        psycopg.Error: nothing has been decided.
    """
    _check_reason(reason)
    with connection.transaction():
        in_scope = _locked(connection, hold_id, now)
        connection.execute(
            "update imsfeed.hold set rejected_at = %s, approved_at = null where hold_id = %s", (now, hold_id)
        )
        _audit(connection, "rejected", in_scope, who, reason, now)
    return in_scope


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidSettingsError("--reason must say why, for whoever reads the audit")


def _locked(connection: Connection, hold_id: int, now: datetime) -> Details:
    # The lock comes first: what is read after it in this transaction is as no cut can change it any more.
    locked = connection.execute(
        "select target_id from imsfeed.target where target_id ="
        " (select target_id from imsfeed.hold where hold_id = %s) for update",
        (hold_id,),
    ).fetchone()
    if locked is None:
        raise InvalidSettingsError(f"there is no hold {hold_id}; `imsfeed holds list` shows those that stand")
    return details(connection, find_hold(connection, hold_id), now)


def _audit(
    connection: Connection,
    action: Literal["approved", "rejected"],
    decided: Details,
    who: str,
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
            who,
            action,
            reason.strip(),
            hold.hold_id,
            hold.cause.value,
            hold.digest,
            hold.persons if would_publish is None else would_publish.person,
            hold.groups if would_publish is None else would_publish.group,
            hold.target_id,
        ),
    )
