"""The table ``imsfeed.resync`` of the source: which owners' rows somebody wants to be told anew.

`imsfeed resync OWNER` writes a row, capture marks it as done when Kafka has all of the owner's rows. What is not done
stays, whatever is killed. A row without ``slot_name`` is for whichever capture comes first: others than the command may
ask for a resync by ``insert into imsfeed.resync (owner_id) values (...)``.
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
    """How far a request has come.

    Attributes:
        began_at: when a snapshot was last taken for it.
        rows: how many rows of it have been sent.
        done_at: when Kafka had acknowledged all of them.
    """

    began_at: datetime | None
    rows: int
    done_at: datetime | None


def ask(connection: Connection, slot: str, owner_id: int) -> int:
    """Write a request down and return its number."""
    query = "insert into imsfeed.resync (slot_name, owner_id) values (%s, %s) returning resync_id"
    (number,) = connection.execute(query, [slot, owner_id]).fetchone() or (0,)
    return int(number)


def standing(connection: Connection, resync_id: int) -> ResyncStatus:
    """How far the request has come."""
    row = connection.execute(
        "select began_at, rows_sent, done_at from imsfeed.resync where resync_id = %s", [resync_id]
    ).fetchone()
    return ResyncStatus(None, 0, None) if row is None else ResyncStatus(*row)


def oldest_open(connection: Connection, slot: str) -> Request | None:
    """The first request that is not done."""
    row = connection.execute(
        "select resync_id, owner_id from imsfeed.resync where coalesce(slot_name, %s) = %s and done_at is null"
        " order by resync_id limit 1",
        [slot, slot],
    ).fetchone()
    return None if row is None else Request(*row)


def begin(connection: Connection, resync_id: int) -> bool:
    """Note that it is begun, perhaps not for the first time; tells whether it is still to be done."""
    begun = connection.execute(
        "update imsfeed.resync set began_at = now(), rows_sent = 0 where resync_id = %s and done_at is null",
        [resync_id],
    )
    return begun.rowcount == 1


def sent(connection: Connection, resync_id: int, rows: int, *, done: bool = False) -> None:
    """Note how many rows have been sent, and whether Kafka has them all."""
    connection.execute(
        "update imsfeed.resync set rows_sent = %s, done_at = case when %s then now() end where resync_id = %s",
        [rows, done, resync_id],
    )


def all_open(connection: Connection, slot: str) -> Sequence[int]:
    """The numbers of the requests that are not done."""
    query = "select resync_id from imsfeed.resync where coalesce(slot_name, %s) = %s and done_at is null"
    return [number for (number,) in connection.execute(query, [slot, slot])]


def done_by_load(connection: Connection, numbers: Sequence[int]) -> None:
    """These requests were open when a load of everything began, which has now come to its end."""
    connection.execute("update imsfeed.resync set done_at = now() where resync_id = any(%s)", [list(numbers)])
