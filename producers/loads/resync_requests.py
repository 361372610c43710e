"""The table ``imsfeed.resync`` of the source: requests to send an owner's rows again.

`imsfeed resync OWNER` inserts a row, and capture marks it as done when Kafka has all of the owner's rows. A request
that is not done stays open, even if every process is killed. A row without ``slot_name`` may be taken by any capture;
so another program can request a resync with ``insert into imsfeed.resync (owner_id) values (...)``.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from producers.source.catalog import Connection


class Request(msgspec.Struct, frozen=True):
    """The resync of one owner."""

    resync_id: int
    owner_id: int


class ResyncStatus(msgspec.Struct, frozen=True):
    """Progress of a request.

    Attributes:
        began_at: when a snapshot was last taken for it; ``None`` before the first.
        rows: number of rows sent so far.
        done_at: when Kafka had acknowledged all rows; ``None`` before that.
    """

    began_at: datetime | None
    rows: int
    done_at: datetime | None


def add(connection: Connection, slot: str, owner_id: int) -> int:
    """Store a request for the capture that reads *slot*, and return the request's number."""
    query = "insert into imsfeed.resync (slot_name, owner_id) values (%s, %s) returning resync_id"
    (number,) = connection.execute(query, [slot, owner_id]).fetchone() or (0,)
    return int(number)


def read_status(connection: Connection, resync_id: int) -> ResyncStatus:
    """Return the request's progress; that of an unknown request is empty."""
    row = connection.execute(
        "select began_at, rows_sent, done_at from imsfeed.resync where resync_id = %s", [resync_id]
    ).fetchone()
    return ResyncStatus(None, 0, None) if row is None else ResyncStatus(*row)


def oldest_open(connection: Connection, slot: str) -> Request | None:
    """Return the oldest request that is not done, or ``None``."""
    row = connection.execute(
        "select resync_id, owner_id from imsfeed.resync where coalesce(slot_name, %s) = %s and done_at is null"
        " order by resync_id limit 1",
        [slot, slot],
    ).fetchone()
    return None if row is None else Request(*row)


def begin(connection: Connection, resync_id: int) -> bool:
    """Record that the request is begun, perhaps again; return False if it is done already."""
    begun = connection.execute(
        "update imsfeed.resync set began_at = now(), rows_sent = 0 where resync_id = %s and done_at is null",
        [resync_id],
    )
    return begun.rowcount == 1


def record_progress(connection: Connection, resync_id: int, rows: int, *, done: bool = False) -> None:
    """Record how many rows have been sent, and with *done* that Kafka has acknowledged them all."""
    connection.execute(
        "update imsfeed.resync set rows_sent = %s, done_at = case when %s then now() end where resync_id = %s",
        [rows, done, resync_id],
    )


def all_open(connection: Connection, slot: str) -> Sequence[int]:
    """Return the numbers of the requests that are not done."""
    query = "select resync_id from imsfeed.resync where coalesce(slot_name, %s) = %s and done_at is null"
    return [number for (number,) in connection.execute(query, [slot, slot])]


def complete(connection: Connection, numbers: Sequence[int]) -> None:
    """Mark these requests as done: they were open when an initial load began, and it has sent every owner's rows."""
    connection.execute("update imsfeed.resync set done_at = now() where resync_id = any(%s)", [list(numbers)])
