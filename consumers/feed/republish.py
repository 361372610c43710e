"""Writing a feed again from the state database: after its volume was lost, or after the database itself was restored.

Both take the target's lock and end with the manifest. If they are interrupted, they can be run again, or compact
finishes the rest. In the same epoch every delta is written again with its own bytes. In a new epoch importers take the
snapshot again, as they must when two histories have the same numbers with different content.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from psycopg.types.json import Jsonb

from consumers.database import feed_folders
from consumers.database.audit_text import audit_text
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, lock_target, read_target
from consumers.feed import folder_owner
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.manifests import write_manifest
from consumers.feed.snapshots import take_snapshot, write_export
from consumers.publication.delta import publish_delta
from ims.errors import FeedError
from ims.feed.conflicts import HaltReason, text_of
from ims.feed.manifest import MANIFEST, delta_path


class Republished(msgspec.Struct, frozen=True):
    """A summary of what was written.

    Attributes:
        head_seq: the last number of the epoch.
        deltas: how many deltas were written.
        snapshot: path of the new snapshot, or ``None`` if none was needed.
    """

    epoch: str
    head_seq: int
    deltas: int
    snapshot: str | None


def republish(
    connection: Connection,
    root: Path,
    target_id: int,
    now: datetime,
    by: str,
    shown: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Republished:
    """Write the files of a target again: the recorded deltas, a new snapshot if none is left, and the manifest.

    Args:
        by: who asked for it, for the audit.
        shown: wraps the iteration over the deltas' numbers, for example to show progress.

    Raises:
        FeedError: the target was never published, a file exists with other content, or the feed is ahead of the state
            database, so that only a new epoch is right.
        psycopg.errors.LockNotAvailable: another process works on the target for longer than one should wait.
    """
    with connection.transaction():
        target = _lock(connection, target_id)
        directory = _folder(connection, root, target)
        _refuse_newer_feed(target, directory)
        numbers = _linked_deltas(connection, target_id)
        for seq in shown(numbers):
            directory.link(delta_path(seq), _bytes(connection, target_id, seq))
        _delete_missing_snapshots(connection, target_id, directory)
        _resume(connection, target, by, "republished", target.position.epoch, target.position.epoch)
        has_snapshot = read_target(connection, target_id).position.has_snapshot
    path = None if has_snapshot else take_snapshot(connection, root, target_id, now).path
    return _finish(connection, root, target_id, now, len(numbers), path)


def begin_epoch(
    connection: Connection, root: Path, target_id: int, now: datetime, by: str, of_owner: int | None = None
) -> Republished:
    """Begin a new epoch of a target: a new snapshot with a number that no file has had, then deltas from there.

    The snapshot shows the last published state. What has changed since then follows immediately in a delta, so that
    importers do not have to wait for it. The files of the former epoch are no longer named in the manifest, and are
    swept like all unrecorded files.

    Args:
        by: who asked for it, for the audit.
        of_owner: the owner to whom the folder belongs, by the operator's knowledge; needed only if the folder has a
            feed of an unknown epoch and no mark of its owner.

    Raises:
        FeedError: the target was never published, or the folder is another target's, or may be.
        psycopg.errors.LockNotAvailable: another process works on the target for longer than one should wait.
    """
    with connection.transaction():
        target = _lock(connection, target_id)
        directory = _folder(connection, root, target, of_owner)
        former = {target.position.epoch, *_epoch_in(directory)}
        seq = max(directory.highest_seq(), target.position.head_seq or 0) + 1
        _delete_history(connection, target_id, former, seq, now)
        epoch = read_target(connection, target_id).position.epoch
        _resume(connection, target, by, "epoch", target.position.epoch, epoch)
    path = take_snapshot(connection, root, target_id, now).path
    publish_delta(connection, target_id, now, settle_seconds=0)
    return _finish(connection, root, target_id, now, 0, path)


def _lock(connection: Connection, target_id: int) -> TargetRow:
    # A waiting lock fails only if the target does not exist; read_target then says so.
    target = lock_target(connection, target_id, wait=True) or read_target(connection, target_id)
    if target.position.head_seq is None:
        raise FeedError(
            f"target {target.settings.name} was never published: its owner's facts have not arrived; compact publishes"
            " it once they have"
        )
    return target


def _folder(connection: Connection, root: Path, target: TargetRow, of_owner: int | None = None) -> FeedDirectory:
    """Return the target's folder; create it if it was lost, and remove its manifest if that cannot be read.

    Raises:
        FeedError: it is another target's, or may be.
    """
    orgnr, name = target.position.orgnr or "", target.settings.name
    refused = folder_owner.refusal(connection, root / orgnr / name, target, orgnr)
    if refused is not None:
        raise FeedError(f"target {name}: {text_of(refused, name)}")
    directory = FeedDirectory(root, orgnr, name)
    if folder_owner.is_unknown(connection, directory, target) and of_owner != target.owner_id:
        raise FeedError(f"target {name}: {text_of(HaltReason.OWNER_UNKNOWN, name)}")
    feed_folders.claim(connection, orgnr, name, target.target_id)
    folder_owner.mark(directory, target)
    try:
        directory.manifest()
    except FeedError:
        directory.remove([MANIFEST])
    return directory


def _refuse_newer_feed(target: TargetRow, directory: FeedDirectory) -> None:
    if target.position.halt_reason in {HaltReason.AHEAD, HaltReason.UNKNOWN_EPOCH, HaltReason.OWNER_UNKNOWN}:
        raise FeedError(f"target {target.settings.name}: {text_of(target.position.halt_reason, target.settings.name)}")
    if directory.highest_seq() > (target.position.head_seq or 0):
        raise FeedError(f"target {target.settings.name}: {text_of(HaltReason.AHEAD, target.settings.name)}")


def _epoch_in(directory: FeedDirectory) -> set[str]:
    manifest = directory.manifest()
    return set() if manifest is None else {manifest.epoch}


def _linked_deltas(connection: Connection, target_id: int) -> list[int]:
    """Return the numbers of the deltas that were in the feed. One that was not yet is linked with the manifest."""
    rows = connection.execute(
        "select seq from imsfeed.delta where target_id = %s and linked_at is not null order by seq", (target_id,)
    ).fetchall()
    return [seq for (seq,) in rows]


def _bytes(connection: Connection, target_id: int, seq: int) -> bytes:
    row = connection.execute(
        "select xml from imsfeed.delta where target_id = %s and seq = %s", (target_id, seq)
    ).fetchone()
    return bytes(row[0]) if row else b""


def _delete_missing_snapshots(connection: Connection, target_id: int, directory: FeedDirectory) -> None:
    """Forget snapshots whose files are lost.

    They cannot be written again: the state database has only the present published records, not those of that time.
    """
    rows = connection.execute("select path from imsfeed.snapshot where target_id = %s", (target_id,)).fetchall()
    missing = [path for (path,) in rows if not (directory.path / path).is_file()]
    connection.execute("delete from imsfeed.snapshot where target_id = %s and path = any (%s)", (target_id, missing))


def _delete_history(connection: Connection, target_id: int, former: set[str], seq: int, now: datetime) -> None:
    for epoch in former:
        connection.execute(
            "insert into imsfeed.former_epoch (target_id, epoch, ended_at) values (%s, %s, %s) on conflict do nothing",
            (target_id, epoch, now),
        )
    connection.execute("delete from imsfeed.delta where target_id = %s", (target_id,))
    connection.execute("delete from imsfeed.snapshot where target_id = %s", (target_id,))
    connection.execute(
        "update imsfeed.target set epoch = default, epoch_seq = %s, head_seq = %s, head_sha256 = null, head_at = %s"
        " where target_id = %s",
        (seq, seq, now, target_id),
    )


def _resume(connection: Connection, target: TargetRow, by: str, setting: str, old: str, new: str) -> None:
    """End the target's halt, because its files are in order now, and record in the audit who asked for it.

    The next manifest counts as the first one, so the folder may lack files until it is written.
    """
    connection.execute(
        "update imsfeed.target set halt_reason = null, announced_at = null where target_id = %s", (target.target_id,)
    )
    connection.execute(
        "insert into imsfeed.target_audit (changed_by, owner_id, name, setting, old_value, new_value)"
        " values (%s, %s, %s, %s, %s, %s)",
        (
            audit_text(by, "the name of the user"),
            target.owner_id,
            target.settings.name,
            setting,
            Jsonb(old),
            Jsonb(new),
        ),
    )


def _finish(
    connection: Connection, root: Path, target_id: int, now: datetime, deltas: int, snapshot: str | None
) -> Republished:
    write_export(connection, root, target_id, now)
    written = write_manifest(connection, root, target_id, now, wait=True)
    target = read_target(connection, target_id)
    if not written:
        why = (
            ""
            if target.position.halt_reason is None
            else f": {text_of(target.position.halt_reason, target.settings.name)}"
        )
        raise FeedError(f"the manifest of target {target.settings.name} was not written{why}")
    return Republished(target.position.epoch, target.position.head_seq or 0, deltas, snapshot)
