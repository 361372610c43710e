"""The deadline margin: the time between the recorded snapshots and the hours at which importers read them."""

import math
from collections.abc import Iterable
from datetime import datetime

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from ims.targets.importer_deadline import last_due, margin


def lowest_margin(connection: Connection, targets: Iterable[TargetRow], now: datetime) -> float:
    """Return the lowest deadline margin of all enabled targets in seconds, NaN if no target has one.

    :func:`ims.targets.importer_deadline.margin` computes the margin of one target.
    """
    margins = [_margin(connection, target, now) for target in targets if target.state not in {"disabled", "waiting"}]
    return min((one for one in margins if one is not None), default=math.nan)


def _margin(connection: Connection, target: TargetRow, now: datetime) -> float | None:
    if target.settings.importer_sync_time is None:
        return None
    row = connection.execute(
        "select min(created_at), min(created_at) filter (where created_at >= %s) from imsfeed.snapshot"
        " where target_id = %s",
        (last_due(target.settings, now), target.target_id),
    ).fetchone()
    first_at, taken_at = row or (None, None)
    left = margin(target.settings, now, first_at=first_at, taken_at=taken_at)
    return None if left is None else left.total_seconds()
