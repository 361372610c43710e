"""Up to which day dates are published, and a day that was published too early: it is taken back.

A clock that was wrong and believed (:mod:`ims.publication.clock`) has ended what ends later, and left times behind that
are still to come. Without taking them back, everything that waits for these times would wait until they are here.
"""

from datetime import date, datetime
from typing import Final

from msgspec.structs import replace

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from ims.publication.clock import TOLERANCE
from ims.runtime.logs import get_logger
from ims.targets.schedule import due_snapshot, local_day

log = get_logger(__name__)

_TIMES: Final = (
    ("tombstone", "gone_at"),
    ("snapshot", "created_at"),
    ("delta", "created_at"),
    ("exclusion", "since"),
    ("warning", "since"),
    ("hold", "began_at"),
    ("hold", "changed_at"),
    ("notice", "claimed_at"),
    ("notice", "sent_at"),
)
"""Times by which something is kept, counted or mailed."""


def need_publication(target: TargetRow, now: datetime, *, certain: bool) -> bool:
    """Return whether dates are published up to another day than today.

    Args:
        certain: the time is certain enough to take later days back.
    """
    through = target.position.dated_through or date.min
    return local_day(now, target.settings.zone) > through or (certain and are_ahead(target, now))


def are_ahead(target: TargetRow, now: datetime) -> bool:
    """Return whether dates are published up to a later day than today, by more than clocks may differ."""
    through = target.position.dated_through
    return through is not None and through > local_day(now + TOLERANCE, target.settings.zone)


def take_back(connection: Connection, target: TargetRow, now: datetime) -> TargetRow:
    """Return the locked *target* as if dates had been published up to today only, and everything has to be compared.

    Departures with a later time than *now* no longer count, since the wrong day caused them.
    """
    target_id, position, zone = target.target_id, target.position, target.settings.zone
    log.error(
        "days that were published too early are taken back",
        target=target.settings.name,
        owner=target.owner_id,
        published_through=position.dated_through,
        today=local_day(now, zone),
    )
    due = due_snapshot(now, target.settings.snapshot_hour, zone, None)
    through = None if position.snapshot_through is None else min(position.snapshot_through, due or date.max)
    connection.execute(
        "update imsfeed.target set recompute = true, dated_through = %s, snapshot_through = %s,"
        " reconciled_through = least(reconciled_through, %s) where target_id = %s",
        (local_day(now, zone), through, through, target_id),
    )
    connection.execute("delete from imsfeed.departure where target_id = %s and left_at > %s", (target_id, now))
    for table, column in _TIMES:
        query = f"update imsfeed.{table} set {column} = %s where target_id = %s and {column} > %s"  # noqa: S608 - our own names
        connection.execute(query.encode(), (now, target_id, now))
    return replace(
        target,
        position=replace(position, dated_through=local_day(now, zone), snapshot_through=through),
        outstanding=replace(target.outstanding, recompute=True),
    )
