"""Compact: make each target's feed follow the state database.

A notification wakes it when there are pending changes. It lets them settle, publishes deltas, and writes the manifest
last. Snapshots and the files at fixed paths are written in a thread of their own, so that a large one never delays the
delta of a leaver. The mails to case workers are sent in a second such thread; the nightly reconciliation runs in a
third.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

import psycopg

from consumers.compact.full_files import FullFiles
from consumers.compact.gauges import show_counts, show_targets
from consumers.compact.timing import (
    IDLE_SECONDS,
    IMMEDIATELY,
    SOON,
    Pace,
    TargetProgress,
    export_is_due,
    has_passed,
    wait_for_notification,
)
from consumers.compact.witnessed_clock import WitnessedClock
from consumers.database import sessions
from consumers.database.notifications import CHANNEL
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.feed.feed_check import FeedCheck
from consumers.feed.feed_permissions import check_permissions
from consumers.feed.manifests import write_manifest
from consumers.feed.snapshots import feed_directory
from consumers.holds import holds_store
from consumers.notices import notice_store
from consumers.notices.mail import mail_server
from consumers.notices.notices import Notices
from consumers.publication import dates
from consumers.publication.delta import Publication, publish_delta
from consumers.publication.first_publication import publish_first
from consumers.publication.urgent_delta import publish_urgent_delta
from consumers.published import published_store, recorded_files, tombstones
from consumers.reconciliation.nightly import NightlyReconciliation
from ims.errors import FeedError
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.runtime.failpoints import failpoint
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.mapping_file import read_mapping
from ims.runtime.metrics import CompactMetrics
from ims.runtime.retries import retrying
from ims.runtime.settings import Settings
from ims.targets.schedule import due_snapshot

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
        InvalidSettingsError: the mail settings contradict each other, or other users have access to the feed directory.
    """
    os.umask(UMASK)
    check_permissions(settings.feed_directory)
    server = mail_server(settings)

    def again(error: BaseException, wait: float) -> None:
        ready(False)
        log.warning("starting again", error=error, wait_seconds=round(wait, 1))

    # This thread outlives the database session: a reconciliation takes long and has sessions of its own.
    with ThreadPoolExecutor(1, "reconciliation") as reconciler:
        reconciliation = NightlyReconciliation(settings, read_mapping(settings), metrics, reconciler, stop)
        for attempt in retrying(_is_transient, stop=stop, on_retry=again):
            with attempt, sessions.connect(settings.state(), "compact") as connection:
                connection.execute(f"listen {CHANNEL}")
                with ThreadPoolExecutor(1, "snapshot") as writer, ThreadPoolExecutor(1, "notices") as mailer:
                    notices = None if server is None else Notices(settings, server, mailer, metrics, stop)
                    compactor = Compactor(settings, metrics, connection, writer, notices, reconciliation)
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
    """

    def __init__(
        self,
        settings: Settings,
        metrics: CompactMetrics,
        connection: Connection,
        writer: Executor,
        notices: Notices | None = None,
        reconciliation: NightlyReconciliation | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._connection = connection
        self._files = FullFiles(settings, metrics, writer)
        self._notices = notices
        self._reconciliation = reconciliation
        self._progress: dict[int, TargetProgress] = {}
        self._pace = Pace(settings.settle_seconds)
        self._cleaned_up_at: datetime | None = None
        self._counted_at: datetime | None = None
        self._certain = True
        self._broken: set[int] = set()
        """Targets whose feed was found wrong since case workers were last mailed."""
        every = timedelta(seconds=settings.manifest_seconds)
        self._check = FeedCheck(connection, settings.feed_directory, every)

    def step(self, now: datetime, *, certain: bool = True) -> float:
        """Do what is due for every target.

        Args:
            certain: *now* is certain enough to take back what was published for later days.

        Returns:
            Seconds until something may be due again, unless a notification comes first.
        """
        self._certain = certain
        targets = all_targets(self._connection)
        for target in targets:
            try:
                self._update_target(target, now)
            except psycopg.errors.SerializationFailure as error:
                # Another process changed the target after this one had read it and before it could lock it.
                log.debug("target changed meanwhile", target=target.settings.name, owner=target.owner_id, error=error)
                self._pace.within(SOON)
            except FeedError as error:
                # A broken folder of one target must not delay the others.
                self._broken.add(target.target_id)
                log.error("target failed", target=target.settings.name, owner=target.owner_id, error=str(error))  # noqa: TRY400 - the text says it all
        show_targets(self._metrics, targets)
        if self._reconciliation is not None:
            self._reconciliation.look(self._connection, targets, now)
        if has_passed(_COUNT_EVERY, self._counted_at, now):
            show_counts(self._metrics, self._connection, EXCLUDED_SERIES, now)
            self._send_notices(now)
            self._counted_at = now
        if has_passed(_CLEAN_UP_EVERY, self._cleaned_up_at, now):
            self._clean_up(all_targets(self._connection), now)
            self._cleaned_up_at = now
        return self._pace.pause(targets)

    def _update_target(self, target: TargetRow, now: datetime) -> None:
        """Do what is due for one target at its stage: not yet published, halted, without a snapshot, or running."""
        if target.state == "disabled":
            return
        progress = self._progress.setdefault(target.target_id, TargetProgress())
        self._files.collect(progress, now)
        if target.position.head_seq is None:
            if not publish_first(self._connection, target.target_id, now, lambda: self._metrics.alive(time.time())):
                return
            failpoint("first.committed")
            log.info("first publication", target=target.settings.name, owner=target.owner_id)
            self._pace.within(IMMEDIATELY)  # importers see nothing of it before its snapshot
        elif self._check.is_halted(target, now):
            self._broken.add(target.target_id)
        elif not target.position.has_snapshot:
            self._files.begin_snapshot(target, progress, now, None)
        else:
            self._update_feed(target, progress, now)

    def _update_feed(self, target: TargetRow, progress: TargetProgress, now: datetime) -> None:
        self._publish(target, progress, now)
        every = timedelta(seconds=self._settings.manifest_seconds)
        if progress.manifest_state != target.shown_state or has_passed(every, progress.manifest_at, now):
            self._write_manifest(target, progress, now)
        settings = target.settings
        due = due_snapshot(now, settings.snapshot_hour, settings.zone, target.position.snapshot_through)
        if due is not None and target.state == "ok":
            self._files.begin_snapshot(target, progress, now, due)
        elif export_is_due(target, progress, now):
            progress.exported_at = now
            self._files.begin_export(target, progress, now)

    def _publish(self, target: TargetRow, progress: TargetProgress, now: datetime) -> None:
        """Publish the urgent persons, then a delta if anything may have changed for the target."""
        outstanding, settle = target.outstanding, self._settings.settle_seconds
        if outstanding.urgent:
            publication = publish_urgent_delta(self._connection, target.target_id, now)
            self._finish_publication(publication, target, progress, now)
        another_day = dates.need_publication(target, now, certain=self._certain)
        has_settled = outstanding.settling is not None and outstanding.settling >= settle
        asked_for = outstanding.urgent or outstanding.recompute or outstanding.review or outstanding.repair
        if asked_for or another_day or has_settled:
            publication = publish_delta(self._connection, target.target_id, now, settle, certain=self._certain)
            self._finish_publication(publication, target, progress, now)

    def _finish_publication(
        self, publication: Publication | None, target: TargetRow, progress: TargetProgress, now: datetime
    ) -> None:
        """Bring a publication's deltas into the feed, count and log them, and say when the next step is due.

        Args:
            publication: ``None`` if another process held the target, or the target could not be published.
        """
        self._metrics.delta_attempts.inc()
        if publication is not None:
            self._pace.within(IMMEDIATELY)  # for changes that have settled meanwhile: their notification is long past
        elif target.state == "ok" and not target.owner.open:
            self._pace.within(SOON)
        if publication is None or not publication.entries:
            return
        failpoint("publication.committed")
        self._write_manifest(target, progress, now)
        self._metrics.delta_published.inc(len(publication.entries))
        self._metrics.changed_ids.inc(publication.changed_ids)
        oldest = publication.entries[0].oldest_event_at
        if oldest is not None:
            self._metrics.end_to_end_seconds.observe(max(0.0, time.time() - oldest.timestamp()))
        for entry in publication.entries:
            log.info(
                "delta published", target=target.settings.name, owner=target.owner_id, seq=entry.seq, size=entry.size
            )

    def _write_manifest(self, target: TargetRow, progress: TargetProgress, now: datetime) -> None:
        written = write_manifest(self._connection, self._settings.feed_directory, target.target_id, now)
        # If another process held the target, the next step tries again.
        progress.manifest_at = now if written else None
        self._pace.within(IDLE_SECONDS if written else SOON)
        progress.manifest_state = target.shown_state
        self._metrics.manifest_written.inc(int(written))

    def _send_notices(self, now: datetime) -> None:
        if self._notices is not None and self._notices.send_due(self._broken, now):
            self._broken.clear()

    def _clean_up(self, targets: list[TargetRow], now: datetime) -> None:
        """Delete expired files and rows."""
        before = now - timedelta(days=self._settings.retention_days)
        for target in targets:
            if target.position.has_snapshot and not self._check.is_halted(target, now):
                self._expire(target, before, now)
        published_store.delete_published_changes(self._connection)
        notice_store.delete_old(self._connection, before)
        holds_store.delete_old_departures(self._connection, now)

    def _expire(self, target: TargetRow, before: datetime, now: datetime) -> None:
        """Delete a target's expired rows, then the manifest's entries, then the files.

        In this order no manifest ever names a file that has been removed. It begins with a manifest, since after a long
        stop the one that is there names a snapshot that expires now.
        """
        root = self._settings.feed_directory
        if not write_manifest(self._connection, root, target.target_id, now):
            return
        with self._connection.transaction():
            expired = recorded_files.expire(self._connection, target.target_id, before)
            tombstones.expire(self._connection, target.target_id, now)
        if not expired or write_manifest(self._connection, root, target.target_id, now):
            directory = feed_directory(root, target)
            directory.remove(expired)
            directory.sweep(recorded_files.known_files(self._connection, target.target_id), now.timestamp())


def _is_transient(error: BaseException) -> bool:
    # A full disk is an outage too: the feed stays as it is until there is room again, and nothing is lost.
    return sessions.is_transient(error) or isinstance(error, OSError)
