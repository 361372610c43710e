"""When compact's next step is due, and what one process remembers of a target between two steps."""

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
IMMEDIATELY: Final = 0.005
SOON: Final = 0.02
"""Wait after another process held the target: it takes about that long to publish a delta or write a manifest."""
_EXPORT_EVERY: Final = timedelta(seconds=60)
"""Shortest time between two writes of the file at a fixed path, which each time holds everything."""


class Pace:
    """The time of the next step, as the present step finds it out.

    Args:
        settle_seconds: how old a change must be before it is published.
    """

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._within = IDLE_SECONDS

    def within(self, seconds: float) -> None:
        """Make the next step due in at most *seconds*."""
        self._within = min(self._within, seconds)

    def pause(self, targets: Iterable[TargetRow]) -> float:
        """Return the seconds until the next step, and reset for it.

        Args:
            targets: as they were read in this step. A change of theirs that has settled but could not be published does
                not shorten the wait; it is tried again after the longest one.
        """
        within, self._within = self._within, IDLE_SECONDS
        settle = self._settle_seconds
        settle_waits = [
            settle - t.outstanding.settling
            for t in targets
            if t.outstanding.settling is not None and t.outstanding.settling < settle and t.state == "ok"
        ]
        return max(IMMEDIATELY, min([*settle_waits, within]))


def wait_for_notification(connection: Connection, stop: Stop, seconds: float) -> None:
    """Wait for a notification, for *stop*, or for *seconds*."""
    readable, _, _ = select.select([connection.fileno(), stop.fileno()], [], [], seconds)
    if connection.fileno() in readable:
        # One step handles all notifications that have arrived. One left unread would end the next wait immediately.
        for _ in connection.notifies(timeout=0):
            pass


class TargetProgress(msgspec.Struct):
    """What a process remembers of a target between two steps.

    Attributes:
        manifest_at: when it last wrote the manifest; ``None`` if a manifest is due.
        manifest_state: the target's state when it last tried to.
        exported_at: when it last began to write the file at the fixed path.
        exported_seq: the sequence number in that file.
        writing: the write of a full file that is under way; its result is False if another process held the lock.
        left_at: when the last such write was left to another process.
    """

    manifest_at: datetime | None = None
    manifest_state: str | None = None
    exported_at: datetime | None = None
    exported_seq: int | None = None
    writing: Future[bool] | None = None
    left_at: datetime | None = None


def has_passed(time: timedelta, start: datetime | None, now: datetime) -> bool:
    """Return whether *time* has passed since *start*, or *start* is ``None``.

    A clock that was set back to before *start* counts too: otherwise nothing would happen until it has caught up.
    """
    return start is None or now < start or now - start >= time


def export_is_due(target: TargetRow, progress: TargetProgress, now: datetime) -> bool:
    """Return whether the file at the target's fixed path is behind, and may be written again."""
    return (
        target.settings.export_path is not None
        and target.position.head_seq != progress.exported_seq
        and has_passed(_EXPORT_EVERY, progress.exported_at, now)
    )
