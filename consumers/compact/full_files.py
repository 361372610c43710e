"""The files that hold everything, snapshots and those at fixed paths, written in a thread of their own.

Of several processes one at a time writes those of a target. What that takes is a lock of the writing session, which the
server ends when nothing is heard from it for a minute: the others try again by and by.
"""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import date, datetime, timedelta
from typing import Final

from consumers.compact.timing import Progress, passed
from consumers.database import sessions
from consumers.database.notifications import CHANNEL
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, read_target
from consumers.feed.snapshots import take_snapshot, write_export
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings

log = get_logger(__name__)

_RETRY_AFTER: Final = timedelta(seconds=30)
"""Pause after a file could not be written: a person must look first, or another process is writing it."""

Task = Callable[[Connection, TargetRow, Progress, datetime, date | None], None]


class FullFiles:
    """Writes one file after another.

    Args:
        executor: with one thread.
    """

    def __init__(self, settings: Settings, metrics: CompactMetrics, executor: Executor) -> None:
        self._settings = settings
        self._metrics = metrics
        self._executor = executor

    def begin_snapshot(self, target: TargetRow, progress: Progress, now: datetime, scheduled: date | None) -> None:
        """Take the target's snapshot, for the local day *scheduled* or out of turn, and write the file at its path."""
        self._begin(self._snapshot, target, progress, now, scheduled)

    def begin_export(self, target: TargetRow, progress: Progress, now: datetime) -> None:
        """Write the file at the target's fixed path."""
        self._begin(self._export, target, progress, now, None)

    def look(self, progress: Progress, now: datetime) -> None:
        """See whether what was begun has ended, and raise why it failed if it did; a manifest is due if not."""
        if progress.writing is not None and progress.writing.done():
            writing, progress.writing = progress.writing, None
            progress.failed_at = now
            if writing.result():
                progress.failed_at = progress.manifest_at = None

    def _begin(self, task: Task, target: TargetRow, progress: Progress, now: datetime, scheduled: date | None) -> None:
        """Start *task* unless one is under way or has just failed."""
        if progress.writing is None and passed(progress.failed_at, _RETRY_AFTER, now):
            progress.writing = self._executor.submit(self._alone, task, target, progress, now, scheduled)

    def _alone(self, task: Task, target: TargetRow, progress: Progress, now: datetime, scheduled: date | None) -> bool:
        """Whether it was ours to do."""
        with sessions.connect(self._settings.state(), "snapshot", alone=True) as connection:
            if not sessions.is_alone(connection, f"imsfeed files of target {target.target_id}"):
                return False
            task(connection, target, progress, now, scheduled)
        return True

    def _snapshot(
        self, connection: Connection, target: TargetRow, progress: Progress, now: datetime, scheduled: date | None
    ) -> None:
        current = read_target(connection, target.target_id)
        taken = (
            current.position.has_snapshot
            if scheduled is None
            else (current.position.snapshot_through or date.min) >= scheduled
        )
        if taken:
            return  # by another process, since this one saw that it is due
        metrics = self._metrics
        metrics.snapshot_attempts.inc()
        metrics.snapshot_last_attempt_timestamp_seconds.set(now.timestamp())
        started = time.monotonic()
        root = self._settings.feed_directory
        entry = take_snapshot(connection, root, target.target_id, now, scheduled=scheduled)
        progress.exported_seq = write_export(connection, root, target.target_id, now)
        connection.execute(f"notify {CHANNEL}")  # the manifest is next
        metrics.snapshot_duration_seconds.set(time.monotonic() - started)
        metrics.snapshot_members.set(entry.counts.membership)
        metrics.snapshot_published.inc()
        metrics.snapshot_last_success_timestamp_seconds.set(now.timestamp())
        log.info("snapshot", target=target.settings.name, owner=target.owner_id, seq=entry.seq, size=entry.size)

    def _export(
        self,
        connection: Connection,
        target: TargetRow,
        progress: Progress,
        now: datetime,
        _scheduled: date | None,
    ) -> None:
        progress.exported_seq = write_export(connection, self._settings.feed_directory, target.target_id, now)
