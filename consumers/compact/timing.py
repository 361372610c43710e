"""When compact looks again, and what one process of it remembers of a target between two steps."""

import select
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final

import msgspec

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from ims.runtime.lifecycle import Stop

IDLE_SECONDS: Final = 1.0
"""Longest wait: scheduled hours and midnights come without a notification."""
AT_ONCE: Final = 0.005
SOON: Final = 0.02
"""After another process had the target just then: what it does for a delta or a manifest takes about as long."""
_EXPORT_EVERY: Final = timedelta(seconds=60)
"""Shortest time between two writings of a file at a fixed path, which holds everything every time."""


class Pace:
    """What a step has found out about when the next one is due.

    Args:
        settle_seconds: how long a change rests before it is told.
    """

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._within = IDLE_SECONDS

    def within(self, seconds: float) -> None:
        """The next step is due in so many seconds at the latest."""
        self._within = min(self._within, seconds)

    def pause(self, targets: Iterable[TargetRow]) -> float:
        """Seconds until the next step, with the targets as they were read in this one; begins the next."""
        within, self._within = self._within, IDLE_SECONDS
        settle = self._settle_seconds
        settle_waits = [
            settle - t.outstanding.settling
            for t in targets
            if t.outstanding.settling is not None and t.outstanding.settling < settle and t.state == "ok"
        ]
        return max(AT_ONCE, min([*settle_waits, within]))


def await_news(connection: Connection, stop: Stop, seconds: float) -> None:
    """Wait for a notification, for *stop*, or for *seconds*."""
    readable, _, _ = select.select([connection.fileno(), stop.fileno()], [], [], seconds)
    if connection.fileno() in readable:
        for _ in connection.notifies(timeout=0):
            pass


class Progress(msgspec.Struct):
    """What a process remembers of a target: the manifest and the file at the fixed path that it wrote last."""

    manifest_at: datetime | None = None
    manifest_state: str | None = None
    exported_at: datetime | None = None
    exported_seq: int | None = None
    writing: Future[bool] | None = None
    failed_at: datetime | None = None


def passed(since: datetime | None, time: timedelta, now: datetime) -> bool:
    """Whether so much time has passed; a clock that was set back counts as that, or nothing would happen for long."""
    return since is None or now < since or now - since >= time


def export_is_due(target: TargetRow, progress: Progress, now: datetime) -> bool:
    """Whether the file at the target's fixed path is behind, and may be written again."""
    return (
        target.settings.export_path is not None
        and target.position.head_seq != progress.exported_seq
        and passed(progress.exported_at, _EXPORT_EVERY, now)
    )
