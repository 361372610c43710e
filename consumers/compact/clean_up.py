"""Clean-up: expired files and rows are deleted, target by target, and then what belongs to no target."""

from datetime import datetime
from pathlib import Path

from consumers.database import target_error_table
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.feed.manifests import write_manifest
from consumers.feed.snapshots import feed_directory
from consumers.holds import holds_store
from consumers.notices import notice_store
from consumers.published import logins_store, published_store, recorded_files, tombstones


def expire(connection: Connection, root: Path, target: TargetRow, before: datetime, now: datetime) -> None:
    """Delete a target's rows that are older than *before*, then the manifest's entries, then the files.

    In this order no manifest ever names a file that has been removed. It begins with a manifest, since the one that is
    there may name a file that expires now, or was written before rows that a former attempt has deleted.
    """
    if not write_manifest(connection, root, target.target_id, now):
        return
    with connection.transaction():
        expired = recorded_files.expire(connection, target.target_id, before)
        tombstones.expire(connection, target.target_id, now)
        logins_store.expire(connection, target.target_id, target.settings, now)
    if not expired or write_manifest(connection, root, target.target_id, now):
        directory = feed_directory(root, target)
        directory.remove(expired)
        directory.sweep(recorded_files.known_files(connection, target.target_id), now.timestamp())


def delete_old_rows(connection: Connection, before: datetime, now: datetime) -> None:
    """Delete the rows that no target needs any more.

    Args:
        before: mails and failures that are older are deleted.
    """
    published_store.delete_published_changes(connection)
    published_store.merge_repeated_changes(connection)
    notice_store.delete_old(connection, before)
    holds_store.delete_old_departures(connection, now)
    target_error_table.delete_stale(connection, now)
