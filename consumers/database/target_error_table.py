"""The errors of single targets in the state database: why a feed is not brought up to date, for people to see."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from consumers.database.sessions import Connection

_STALE_AFTER: Final = timedelta(hours=1)
"""An error that was not seen for so long is of a process that has gone: every process tries again in less than that."""


class TargetError(msgspec.Struct, frozen=True):
    """Why a part of a target's work fails.

    Attributes:
        part: ``feed``, ``full files`` or ``expired files``.
        error: the last error; no personal data.
        since: when it failed first.
        tried_at: when it failed last.
        attempts: how often it has failed in a row.
    """

    part: str
    error: str
    since: datetime
    tried_at: datetime
    attempts: int


def store(connection: Connection, target_id: int, part: str, error: str, now: datetime) -> None:
    """Store that a part of a target's work has failed."""
    connection.execute(
        "insert into imsfeed.target_error as e (target_id, part, error, since, tried_at, attempts)"
        " values (%(target)s, %(part)s, %(error)s, %(now)s, %(now)s, 1)"
        " on conflict (target_id, part) do update"
        " set error = excluded.error, tried_at = excluded.tried_at, attempts = e.attempts + 1",
        {"target": target_id, "part": part, "error": error.replace("\0", ""), "now": now},
    )


def delete(connection: Connection, target_id: int, part: str) -> None:
    """Delete the error of a part of a target's work: it has succeeded."""
    connection.execute("delete from imsfeed.target_error where target_id = %s and part = %s", (target_id, part))


def delete_stale(connection: Connection, now: datetime) -> None:
    """Delete errors that no process has seen for an hour."""
    connection.execute("delete from imsfeed.target_error where tried_at < %s", (now - _STALE_AFTER,))


def errors_of(connection: Connection, target_id: int) -> list[TargetError]:
    """Return the errors of a target, by part."""
    rows = connection.execute(
        "select part, error, since, tried_at, attempts from imsfeed.target_error where target_id = %s order by part",
        (target_id,),
    ).fetchall()
    return [TargetError(*row) for row in rows]
