"""Whether a target's feed may be written to: its files compared with what the state database has recorded of them.

The answer is kept with the target, so that every process and `imsfeed status` know it (:mod:`ims.feed.conflicts`).
"""

from datetime import datetime, timedelta
from pathlib import Path

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, lock_target
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.snapshots import feed_directory
from ims.errors import FeedError
from ims.feed.conflicts import HaltReason, Recorded, contradiction, text_of
from ims.feed.manifest import Manifest, delta_path
from ims.runtime.logs import get_logger

log = get_logger(__name__)


class FeedCheck:
    """Looks at every target's files when the process begins, and from time to time.

    Args:
        root: the feed directory.
        every: time between two looks at a target.
    """

    def __init__(self, connection: Connection, root: Path, every: timedelta) -> None:
        self._connection = connection
        self._root = root
        self._every = every
        self._looked: dict[int, datetime] = {}

    def stands_still(self, target: TargetRow, now: datetime) -> bool:
        """Whether nothing must be written for a target that has been published."""
        last = self._looked.get(target.target_id)
        if last is not None and timedelta() <= now - last < self._every:
            return target.position.halt_reason is not None
        self._looked[target.target_id] = now
        found = self._examine(target)
        if found is not None:
            name = target.settings.name
            log.error("target stands still", target=name, owner=target.owner_id, reason=text_of(found, name))
        elif target.position.halt_reason is not None:
            log.info("target goes on", target=target.settings.name, owner=target.owner_id)
        return found is not None

    def _examine(self, target: TargetRow) -> HaltReason | None:
        """What is found now, or was found last while another process works on the target."""
        with self._connection.transaction():
            locked = lock_target(self._connection, target.target_id)
            if locked is None:
                return target.position.halt_reason
            return examine(self._connection, locked, feed_directory(self._root, locked))


def examine(connection: Connection, target: TargetRow, directory: FeedDirectory) -> HaltReason | None:
    """See whether the feed may be written to, in a transaction that holds the target's lock, and keep the answer."""
    found = _find(connection, target, directory)
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
    if target.position.announced and (manifest is None or not _newest_are_there(connection, target, directory.path)):
        return HaltReason.FILES_MISSING
    return None


def _recorded(connection: Connection, target: TargetRow, manifest: Manifest) -> Recorded:
    row = connection.execute(
        "select array(select epoch from imsfeed.former_epoch where target_id = %(target)s),"
        " (select sha256 from imsfeed.delta where target_id = %(target)s and seq = %(seq)s),"
        " (select sha256 from imsfeed.snapshot where target_id = %(target)s and path = %(path)s)",
        {"target": target.target_id, "seq": manifest.head_seq, "path": manifest.snapshot.path},
    ).fetchone()
    former, delta, snapshot = row or ((), None, None)
    return Recorded(
        epoch=target.position.epoch,
        former_epochs=frozenset(former),
        head_seq=target.position.head_seq,
        head_sha256=target.position.head_sha256,
        delta_sha256=delta,
        snapshot_sha256=snapshot,
    )


def _newest_are_there(connection: Connection, target: TargetRow, folder: Path) -> bool:
    """Whether the folder has the newest snapshot and delta: a lost volume has neither, an older copy lacks one."""
    row = connection.execute(
        "select (select path from imsfeed.snapshot where target_id = %(target)s"
        " order by seq desc, created_at desc limit 1),"
        " (select max(seq) from imsfeed.delta where target_id = %(target)s and linked_at is not null)",
        {"target": target.target_id},
    ).fetchone()
    snapshot, delta = row or (None, None)
    paths = [snapshot, None if delta is None else delta_path(delta)]
    return all((folder / path).is_file() for path in paths if path is not None)
