"""The manifest of a target, made from the recorded files: always written last, and by one process at a time."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, lock_target
from consumers.feed import feed_check
from consumers.feed.snapshots import feed_directory
from consumers.published import recorded_files
from ims.feed.manifest import DeltaEntry, Manifest, SnapshotEntry, delta_path, encode
from ims.runtime.failpoints import failpoint
from ims.targets.importer_deadline import ready_by
from ims.targets.schedule import next_snapshot

_EXPIRES_AFTER: Final = timedelta(minutes=10)
"""After this time without a new manifest, an importer knows that no process writes the feed any more."""


def write_manifest(connection: Connection, root: Path, target_id: int, now: datetime, *, wait: bool = False) -> bool:
    """Link the recorded deltas that are not in the feed yet, then write the manifest that names them.

    The target's row is locked meanwhile, so that of two processes the later one writes the newer manifest. The server
    takes the lock from a process that is paused for long, so the session is checked again immediately before the
    manifest is replaced. A process that is paused between that check and the rename writes an older manifest when it
    wakes up. It stays until the next one: that of the process that has taken over, or its own, which is the first file
    that it writes after finding its session lost.

    Args:
        wait: wait for another process that works on the target, instead of returning immediately.

    Returns:
        Whether it was written. It is not while another process works on the target, while there is no snapshot yet, or
        if the files contradict what was recorded (:mod:`consumers.feed.feed_check`).

    Raises:
        FeedError: a delta in the feed differs from the recorded one.
    """
    with connection.transaction():
        target = lock_target(connection, target_id, wait=wait)
        if target is None or not target.position.has_snapshot:
            return False
        directory = feed_directory(root, target)
        if feed_check.check_feed(connection, target, directory) is not None:
            return False
        for seq, _, xml in recorded_files.unlinked_deltas(connection, target_id):
            failpoint("delta.before_link")
            directory.link(delta_path(seq), xml)
            failpoint("delta.linked")
            recorded_files.mark_linked(connection, target_id, seq, now)
        latest = recorded_files.latest_snapshot(connection, target_id)
        if latest is None:
            return False
        deltas = recorded_files.deltas(connection, target_id)
        if not target.position.announced:
            recorded_files.announced(connection, target_id, now)
        content = encode(manifest_of(target, *latest, deltas, now))
        failpoint("manifest.before_rename")
        directory.write_manifest(content, confirm_lock=lambda: sessions.ping(connection))
        failpoint("manifest.renamed")
        return True


def manifest_of(
    target: TargetRow, snapshot: SnapshotEntry, taken_at: datetime, deltas: list[DeltaEntry], now: datetime
) -> Manifest:
    """Return the manifest at *now* of a target that has been published.

    Args:
        taken_at: when *snapshot*, the latest one, was taken.
        deltas: the deltas in the feed, in order.
    """
    settings = target.settings
    next_at = next_snapshot(now, settings.snapshot_hour, settings.zone)
    return Manifest(
        target=settings.name,
        epoch=target.position.epoch,
        epoch_seq=target.position.epoch_seq,
        head_seq=target.position.head_seq or 0,
        oldest_delta_seq=deltas[0].seq if deltas else None,
        generated=max(taken_at, target.position.head_at or taken_at),
        checked=now,
        expires=now + _EXPIRES_AFTER,
        state="stale" if target.state != "ok" else "held" if target.outstanding.held else "ok",
        snapshot=snapshot,
        deltas=deltas,
        next_snapshot=next_at,
        ready_by=ready_by(next_at, settings),
    )
