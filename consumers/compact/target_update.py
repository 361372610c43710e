"""What is due for one target: its first publication, its deltas, its manifest, and when its full files are begun."""

import time
from datetime import datetime, timedelta

import psycopg

from consumers.compact.full_files import FullFiles
from consumers.compact.timing import IDLE_SECONDS, IMMEDIATELY, SOON, Pace, TargetProgress, export_is_due, has_passed
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.feed.feed_check import FeedCheck, may_begin
from consumers.feed.manifests import write_manifest
from consumers.publication import dates
from consumers.publication.delta import Publication, publish_delta
from consumers.publication.first_publication import publish_first
from consumers.publication.urgent_delta import publish_urgent_delta
from ims.runtime.failpoints import failpoint
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from ims.targets.schedule import due_snapshot

log = get_logger(__name__)


class TargetUpdate:
    """Brings the feed of one target after the other up to date.

    Args:
        files: writes the full files.
        check: the checks of the targets' files.
        pace: learns when the next step is due.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: CompactMetrics,
        connection: Connection,
        files: FullFiles,
        check: FeedCheck,
        pace: Pace,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._connection = connection
        self._files = files
        self._check = check
        self._pace = pace
        self._certain = True
        self._progress: dict[int, TargetProgress] = {}

    def update(self, target: TargetRow, now: datetime, *, certain: bool) -> None:
        """Do what is due for a target.

        Args:
            certain: *now* is certain enough to take back what was published for later days.

        Raises:
            Exception: whatever the target's state, files or facts cause.
        """
        self._certain = certain
        try:
            self._update_target(target, now)
        except psycopg.errors.SerializationFailure as error:
            # Another process changed the target after this one had read it and before it could lock it.
            log.debug("target changed meanwhile", target=target.settings.name, owner=target.owner_id, error=error)
            self._pace.within(SOON)

    def _update_target(self, target: TargetRow, now: datetime) -> None:
        """Do what is due for one target at its stage: not yet published, halted, without a snapshot, or running."""
        if target.state == "disabled":
            return
        progress = self._progress.setdefault(target.target_id, TargetProgress())
        self._files.collect(self._connection, target, progress, now)
        if target.position.head_seq is None:
            if not may_begin(self._connection, self._settings.feed_directory, target):
                return
            if not publish_first(self._connection, target.target_id, now, lambda: self._metrics.alive(time.time())):
                return
            failpoint("first.committed")
            log.info("first publication", target=target.settings.name, owner=target.owner_id)
            self._pace.within(IMMEDIATELY)  # importers see nothing of it before its snapshot
        elif self._check.is_halted(target, now):
            return
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
