"""The open holds, in the state database."""

from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from consumers.database.sessions import Connection
from ims.errors import InvalidSettingsError
from ims.holds.losses import Cause
from ims.reports.hold_texts import HeldFigure


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """An open hold.

    Attributes:
        target: OWNER/NAME.
        state: ``waiting``; ``approved``: published next; ``rejected``: waits until the source changes.
        began_at: when it began.
        changed_at: when its set of persons and groups last changed.
        digest: digest of that set; empty for a first publication until an operator has seen its preview.
        persons: how many wait; 0 before a first publication, when all do.
    """

    hold_id: int
    target_id: int
    target: str
    cause: Cause
    state: Literal["waiting", "approved", "rejected"]
    began_at: datetime
    changed_at: datetime
    digest: str
    persons: int
    groups: int


def open_holds(connection: Connection, target_id: int | None = None) -> list[Hold]:
    """Return the open holds of one target or of all, the oldest first."""
    rows = connection.execute(
        _HOLDS + "where h.ended_at is null and (%(target)s::bigint is null or h.target_id = %(target)s)"
        " group by h.hold_id, t.target_id order by h.began_at, h.hold_id",
        {"target": target_id},
    ).fetchall()
    return [msgspec.convert(dict(zip(Hold.__struct_fields__, row, strict=True)), Hold) for row in rows]


def find_hold(connection: Connection, hold_id: int) -> Hold:
    """Return an open hold.

    Raises:
        InvalidSettingsError: there is none of this number, or it has ended.
    """
    for hold in open_holds(connection):
        if hold.hold_id == hold_id:
            return hold
    raise InvalidSettingsError(f"there is no open hold {hold_id}; `imsfeed holds list` shows the open ones")


def held_figure(hold: Hold, zone: ZoneInfo) -> HeldFigure:
    """Return a hold as reports and mails describe it, with its times in *zone*."""
    return HeldFigure(hold.hold_id, hold.cause, hold.persons, hold.groups, hold.began_at, zone)


_HOLDS: Final = """
select h.hold_id, h.target_id, t.owner_id || '/' || t.name, h.cause,
       case when h.approved_at is not null then 'approved' when h.rejected_at is not null then 'rejected'
            else 'waiting' end,
       h.began_at, h.changed_at, h.digest,
       count(*) filter (where e.kind = 1), count(*) filter (where e.kind = 2)
  from imsfeed.hold h join imsfeed.target t using (target_id) left join imsfeed.hold_entry e using (hold_id)
"""
