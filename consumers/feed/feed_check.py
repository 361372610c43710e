"""The check that a target's feed may be written to: its files are compared with what the state database has recorded.

The finding is stored with the target, so that every process and `imsfeed status` know it (:mod:`ims.feed.conflicts`).
"""

from datetime import datetime, timedelta
from pathlib import Path

from consumers.database import feed_folders
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, lock_target, valid_orgnr
from consumers.feed import folder_owner
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.feed_permissions import check_folder
from consumers.feed.snapshots import feed_directory
from ims.errors import FeedError
from ims.feed.conflicts import HaltReason, Recorded, contradiction, text_of
from ims.feed.manifest import Manifest, delta_path
from ims.runtime.logs import get_logger

log = get_logger(__name__)


class FeedCheck:
    """The checks of all targets' files: when the process begins, and from time to time.

    Args:
        root: the feed directory.
        every: time between two checks of a target.
    """

    def __init__(self, connection: Connection, root: Path, every: timedelta) -> None:
        self._connection = connection
        self._root = root
        self._every = every
        self._checked_at: dict[int, datetime] = {}
        self._permitted: set[int] = set()
        """Targets whose folder no others could read or change when this process looked."""

    def is_halted(self, target: TargetRow, now: datetime) -> bool:
        """Return whether nothing may be written for a target that has been published; check it if a check is due.

        Raises:
            FeedError: others can read or change the target's files.
            OSError: its files cannot be read.
        """
        last = self._checked_at.get(target.target_id)
        if last is not None and timedelta() <= now - last < self._every:
            return target.position.halt_reason is not None
        if target.target_id not in self._permitted:
            check_folder(self._root, self._root / (target.position.orgnr or "") / target.settings.name)
            self._permitted.add(target.target_id)
        found = self._check(target)
        self._checked_at[target.target_id] = now
        if found is not None:
            name = target.settings.name
            log.error("target halted", target=name, owner=target.owner_id, reason=text_of(found, name))
        elif target.position.halt_reason is not None:
            log.info("target resumed", target=target.settings.name, owner=target.owner_id)
        return found is not None

    def _check(self, target: TargetRow) -> HaltReason | None:
        """Return the finding of a check now, or the last one while another process works on the target."""
        with self._connection.transaction():
            locked = lock_target(self._connection, target.target_id)
            if locked is None:
                return target.position.halt_reason
            return check_feed(self._connection, locked, feed_directory(self._root, locked))


def check_feed(connection: Connection, target: TargetRow, directory: FeedDirectory) -> HaltReason | None:
    """Check whether the feed may be written to, store the finding with the target, and return it.

    The caller's transaction must hold the target's lock.
    """
    found = folder_owner.refusal(connection, directory.path, target, target.position.orgnr or "")
    if found is None and folder_owner.is_unknown(connection, directory, target):
        found = HaltReason.OWNER_UNKNOWN
    if found is None:
        found = _find(connection, target, directory)
    if found is None:
        feed_folders.claim(connection, target.position.orgnr or "", target.settings.name, target.target_id)
        folder_owner.mark(directory, target)
    if found != target.position.halt_reason:
        connection.execute("update imsfeed.target set halt_reason = %s where target_id = %s", (found, target.target_id))
    return found


def _find(connection: Connection, target: TargetRow, directory: FeedDirectory) -> HaltReason | None:
    try:
        manifest = directory.manifest()
    except FeedError:
        return HaltReason.UNREADABLE
    if manifest is not None and (found := contradiction(manifest, _recorded(connection, target, manifest))) is not None:
        return found
    if target.position.announced and (manifest is None or not _has_newest_files(connection, target, directory.path)):
        return HaltReason.FILES_MISSING
    return None


def _recorded(connection: Connection, target: TargetRow, manifest: Manifest) -> Recorded:
    row = connection.execute(
        "select (select sha256 from imsfeed.delta where target_id = %(target)s and seq = %(seq)s),"
        " (select sha256 from imsfeed.snapshot where target_id = %(target)s and path = %(path)s)",
        {"target": target.target_id, "seq": manifest.head_seq, "path": manifest.snapshot.path},
    ).fetchone()
    delta, snapshot = row or (None, None)
    return Recorded(
        epoch=target.position.epoch,
        former_epochs=folder_owner.former_epochs(connection, target.target_id),
        head_seq=target.position.head_seq,
        head_sha256=target.position.head_sha256,
        delta_sha256=delta,
        snapshot_sha256=snapshot,
    )


def _has_newest_files(connection: Connection, target: TargetRow, folder: Path) -> bool:
    """Return whether the folder has the newest snapshot and delta.

    These two are enough: a lost volume has neither, and an older copy of the volume lacks at least one.
    """
    row = connection.execute(
        "select (select path from imsfeed.snapshot where target_id = %(target)s"
        " order by seq desc, created_at desc limit 1),"
        " (select max(seq) from imsfeed.delta where target_id = %(target)s and linked_at is not null)",
        {"target": target.target_id},
    ).fetchone()
    snapshot, delta = row or (None, None)
    paths = [snapshot, None if delta is None else delta_path(delta)]
    return all((folder / path).is_file() for path in paths if path is not None)


def may_begin(connection: Connection, root: Path, target: TargetRow) -> bool:
    """Return whether a target that was never published may use the folder that it would be published in.

    The finding is stored with the target, and logged when it changes.
    """
    orgnr = valid_orgnr(target.owner.registered, target.settings)
    if orgnr is None:
        return True  # it is not published anyway
    found = folder_owner.refusal(connection, root / orgnr / target.settings.name, target, orgnr)
    if found != target.position.halt_reason:
        connection.execute("update imsfeed.target set halt_reason = %s where target_id = %s", (found, target.target_id))
        if found is not None:
            name = target.settings.name
            log.error("target waits", target=name, owner=target.owner_id, reason=text_of(found, name))
    return found is None
