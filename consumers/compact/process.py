"""Compact: make each target's feed follow the state database.

A notification wakes it when there are pending changes. It lets them settle, publishes deltas, and writes the manifest
last. Snapshots and the files at fixed paths are written in a thread of their own, so that a large one never delays the
delta of a leaver. The mails to case workers are sent in a second such thread; the nightly reconciliation runs in a
third.
"""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from consumers.compact.clean_up import delete_old_rows, expire
from consumers.compact.full_files import FullFiles
from consumers.compact.gauges import show_counts, show_targets
from consumers.compact.target_errors import About, TargetErrors
from consumers.compact.target_update import TargetUpdate
from consumers.compact.timing import Pace, has_passed, wait_for_notification
from consumers.compact.witnessed_clock import WitnessedClock
from consumers.database import sessions
from consumers.database.notifications import CHANNEL
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, read_targets
from consumers.database.unreadable_target import UnreadableTarget
from consumers.feed.feed_check import FeedCheck
from consumers.feed.feed_permissions import check_root, stray_faults
from consumers.notices.mail import mail_server
from consumers.notices.notices import Notices
from consumers.reconciliation.nightly import NightlyReconciliation
from ims.feed.conflicts import HaltReason
from ims.records.vocabulary import RecordKind
from ims.reports.mail_figures import Failure
from ims.rules.eligibility import Reason
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.mapping_file import read_mapping
from ims.runtime.metrics import CompactMetrics
from ims.runtime.retries import retrying
from ims.runtime.settings import Settings

log = get_logger(__name__)

_CLEAN_UP_EVERY: Final = timedelta(minutes=10)
_COUNT_EVERY: Final = timedelta(seconds=30)
"""Time between two counts for the costly metrics, and between two rounds of mails to case workers."""
EXCLUDED_SERIES: Final = [
    (kind.name.lower(), reason.value) for kind in (RecordKind.PERSON, RecordKind.GROUP) for reason in Reason
]
"""Labels of the metric of excluded persons and groups, by exclusion reason."""
UMASK: Final = 0o027
"""Files 0640 and directories 0750: a feed is personal data."""


def run(settings: Settings, stop: Stop, metrics: CompactMetrics, ready: Callable[[bool], None]) -> None:
    """Run compact until *stop*, through every outage of the state database.

    Raises:
        InvalidSettingsError: the mail settings contradict each other, or other users have access to the feed directory
            itself.
    """
    os.umask(UMASK)
    check_root(settings.feed_directory)
    for found in stray_faults(settings.feed_directory):
        log.error("feed directory has something that others can read or change", fault=found)
    server = mail_server(settings)
    errors = TargetErrors()

    def again(error: BaseException, wait: float) -> None:
        ready(False)
        log.warning("starting again", error=error, wait_seconds=round(wait, 1))

    # This thread outlives the database session: a reconciliation takes long and has sessions of its own.
    with ThreadPoolExecutor(1, "reconciliation") as reconciler:
        reconciliation = NightlyReconciliation(settings, read_mapping(settings), metrics, reconciler, stop)
        for attempt in retrying(sessions.is_transient, stop=stop, on_retry=again):
            with attempt, sessions.connect(settings.state(), "compact") as connection:
                connection.execute(f"listen {CHANNEL}")
                with ThreadPoolExecutor(1, "snapshot") as writer, ThreadPoolExecutor(1, "notices") as mailer:
                    notices = None if server is None else Notices(settings, server, mailer, metrics, stop)
                    compactor = Compactor(settings, metrics, connection, writer, notices, reconciliation, errors)
                    clock = WitnessedClock(metrics)
                    ready(True)
                    while not stop:
                        time_now = clock.now(connection)
                        wait = compactor.step(time_now.now, certain=time_now.certain)
                        metrics.alive(time.time())
                        wait_for_notification(connection, stop, wait)


class Compactor:
    """The feeds of all targets, brought up to date one step at a time.

    Args:
        writer: the executor, with one thread, that writes full files.
        notices: the mails to case workers; without it no mail is sent.
        reconciliation: the nightly reconciliation; without it there is none.
        errors: the targets that have failed in a session before this one.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: CompactMetrics,
        connection: Connection,
        writer: Executor,
        notices: Notices | None = None,
        reconciliation: NightlyReconciliation | None = None,
        errors: TargetErrors | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._connection = connection
        self._notices = notices
        self._reconciliation = reconciliation
        self._errors = TargetErrors() if errors is None else errors
        self._pace = Pace(settings.settle_seconds)
        self._cleaned_up_at: datetime | None = None
        self._counted_at: datetime | None = None
        self._broken: dict[int, Failure] = {}
        """Targets that have failed since case workers were last mailed."""
        every = timedelta(seconds=settings.manifest_seconds)
        self._check = FeedCheck(connection, settings.feed_directory, every)
        files = FullFiles(settings, metrics, writer, self._errors)
        self._update = TargetUpdate(settings, metrics, connection, files, self._check, self._pace)

    def step(self, now: datetime, *, certain: bool = True) -> float:
        """Do what is due for every target. A target that fails stops no other one.

        Args:
            certain: *now* is certain enough to take back what was published for later days.

        Returns:
            Seconds until something may be due again, unless a notification comes first.
        """
        targets, unreadable = read_targets(self._connection)
        for target in targets:
            urgent = target.outstanding.urgent
            work = partial(self._update.update, target, now, certain=certain)
            self._errors.attempt(self._connection, _about(target), now, work, urgent=urgent)
        for row in unreadable:
            self._errors.attempt(self._connection, About(row.target_id, row.owner_id, row.name), now, row.refuse)
        self._note_failures(targets, unreadable)
        show_targets(self._metrics, targets)
        if self._reconciliation is not None:
            self._reconciliation.look(self._connection, targets, now)
        if has_passed(_COUNT_EVERY, self._counted_at, now):
            show_counts(self._metrics, self._connection, EXCLUDED_SERIES, now)
            self._send_notices(now)
            self._counted_at = now
        if has_passed(_CLEAN_UP_EVERY, self._cleaned_up_at, now):
            self._clean_up(now)
            self._cleaned_up_at = now
        return self._pace.pause(targets)

    def _note_failures(self, targets: Iterable[TargetRow], unreadable: Iterable[UnreadableTarget]) -> None:
        self._errors.keep_only({row.target_id for row in targets} | {row.target_id for row in unreadable})
        failing = self._errors.failing()
        self._metrics.targets_failing.set(len(failing))
        for target_id, in_feed in failing.items():
            self._broken[target_id] = Failure.FEED_BROKEN if in_feed else Failure.NOT_UPDATED
        for target in targets:
            if target.position.halt_reason is not None:
                taken = target.position.halt_reason is HaltReason.FOLDER_TAKEN
                self._broken[target.target_id] = Failure.FOLDER_TAKEN if taken else Failure.FEED_BROKEN

    def _send_notices(self, now: datetime) -> None:
        if self._notices is not None and self._notices.send_due(self._broken, now):
            self._broken.clear()

    def _clean_up(self, now: datetime) -> None:
        """Delete expired files and rows."""
        before = now - timedelta(days=self._settings.retention_days)
        targets, _ = read_targets(self._connection)
        for target in targets:
            if target.position.has_snapshot:  # of a failing target too: its disk may be full
                work = partial(self._expire, target, before, now)
                self._errors.attempt(self._connection, _about(target), now, work, part="expired files")
        delete_old_rows(self._connection, before, now)

    def _expire(self, target: TargetRow, before: datetime, now: datetime) -> None:
        if not self._check.is_halted(target, now):
            expire(self._connection, self._settings.feed_directory, target, before, now)


def _about(target: TargetRow) -> About:
    return About(target.target_id, target.owner_id, target.settings.name)
