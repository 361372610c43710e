"""The files that hold everything, snapshots and those at fixed paths, written in a thread of their own.

Of several processes, one at a time writes those of a target. It holds an advisory lock of its session, which the server
ends after a minute of silence; the other processes try the lock again from time to time.
"""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import date, datetime, timedelta
from typing import Final

from consumers.compact.target_errors import About, TargetErrors
from consumers.compact.timing import TargetProgress, has_passed
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
"""Pause after a file was left to another process that is writing it."""

Task = Callable[[Connection, TargetRow, TargetProgress, datetime, date | None], None]


class FullFiles:
    """Writes the full files of all targets, one after another.

    Args:
        executor: an executor with one thread.
        errors: gets what a write raises; it says when the write may be tried again.
    """

    def __init__(self, settings: Settings, metrics: CompactMetrics, executor: Executor, errors: TargetErrors) -> None:
        self._settings = settings
        self._metrics = metrics
        self._executor = executor
        self._errors = errors

    def begin_snapshot(
        self, target: TargetRow, progress: TargetProgress, now: datetime, scheduled: date | None
    ) -> None:
        """Begin to take the target's snapshot and to write the file at its fixed path.

        Args:
            scheduled: the local day of a scheduled snapshot, or ``None`` for an unscheduled one.
        """
        self._begin(self._snapshot, target, progress, now, scheduled)

    def begin_export(self, target: TargetRow, progress: TargetProgress, now: datetime) -> None:
        """Begin to write the file at the target's fixed path."""
        self._begin(self._export, target, progress, now, None)

    def collect(self, connection: Connection, target: TargetRow, progress: TargetProgress, now: datetime) -> None:
        """Take the result of a write that has ended; after a successful one a manifest is due.

        A write that has failed delays nothing else of the target: its deltas do not need it.
        """
        if progress.writing is None or not progress.writing.done():
            return
        writing, progress.writing = progress.writing, None
        about = About(target.target_id, target.owner_id, target.settings.name)
        error = writing.exception()
        if error is not None:
            self._errors.failed(connection, about, now, "full files", error)
        elif writing.result():
            progress.left_at = progress.manifest_at = None
            self._errors.succeeded(connection, about, now, "full files")
        else:
            progress.left_at = now

    def _begin(
        self, task: Task, target: TargetRow, progress: TargetProgress, now: datetime, scheduled: date | None
    ) -> None:
        """Start *task* unless one is under way, has just failed, or was left to another process."""
        may_try = self._errors.is_due(target.target_id, "full files", now)
        if progress.writing is None and may_try and has_passed(_RETRY_AFTER, progress.left_at, now):
            progress.writing = self._executor.submit(self._run_exclusively, task, target, progress, now, scheduled)

    def _run_exclusively(
        self, task: Task, target: TargetRow, progress: TargetProgress, now: datetime, scheduled: date | None
    ) -> bool:
        """Run *task* under the lock of the target's full files; return False if another process holds the lock."""
        with sessions.connect(self._settings.state(), "snapshot", exclusive=True) as connection:
            if not sessions.try_lock(connection, f"imsfeed files of target {target.target_id}"):
                return False
            task(connection, target, progress, now, scheduled)
        return True

    def _snapshot(
        self, connection: Connection, target: TargetRow, progress: TargetProgress, now: datetime, scheduled: date | None
    ) -> None:
        current = read_target(connection, target.target_id)
        taken = (
            current.position.has_snapshot
            if scheduled is None
            else (current.position.snapshot_through or date.min) >= scheduled
        )
        if taken:
            return  # by another process, after this one had read that it was due
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
        log.info("snapshot taken", target=target.settings.name, owner=target.owner_id, seq=entry.seq, size=entry.size)

    def _export(
        self,
        connection: Connection,
        target: TargetRow,
        progress: TargetProgress,
        now: datetime,
        _scheduled: date | None,
    ) -> None:
        progress.exported_seq = write_export(connection, self._settings.feed_directory, target.target_id, now)
