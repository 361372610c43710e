"""Snapshots: everything that has been published to a target, streamed from the state database into one file.

The file is linked into the feed before it is recorded. After a crash between the two, the same records give the same
bytes, so the next attempt finds its own file there and records it. Deltas are published meanwhile; a snapshot shows the
state at its sequence number.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import TargetRow, read_target
from consumers.feed.feed_directory import FeedDirectory
from consumers.published import recorded_files, snapshot_rows, tombstones
from ims.errors import FeedError
from ims.feed.conflicts import text_of
from ims.feed.manifest import SnapshotEntry, Totals, snapshot_path
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.runtime.failpoints import failpoint
from ims.targets.schedule import local_day
from ims.xml.writer import Properties, Run, rows_of_runs, snapshot_parts


def take_snapshot(
    connection: Connection, root: Path, target_id: int, now: datetime, *, scheduled: date | None = None
) -> SnapshotEntry:
    """Write a target's snapshot and record it.

    Args:
        scheduled: the local day of a scheduled snapshot, or ``None`` for an unscheduled one.

    Raises:
        FeedError: the target was never published or is halted, or a file with other content has the snapshot's name.
        psycopg.Error: the snapshot is not recorded; take it again.
    """
    kinds: Counter[RecordKind] = Counter()
    with repeatable_read(connection):
        target = read_target(connection, target_id)
        if target.position.halt_reason is not None:
            raise FeedError(
                f"target {target.settings.name}: {text_of(target.position.halt_reason, target.settings.name)}"
            )
        day = scheduled or local_day(now, target.settings.zone)
        path = snapshot_path(day, _published_seq(target))
        parts = document(target, rows_of_runs(_counted(snapshot_rows.runs(connection, target_id), kinds)))
        failpoint("snapshot.before_link")
        written = feed_directory(root, target).link_streamed(path, parts)
        failpoint("snapshot.linked")
    entry = SnapshotEntry(
        seq=_published_seq(target),
        path=path,
        sha256=written.sha256,
        size=written.size,
        counts=Totals(kinds[RecordKind.PERSON], kinds[RecordKind.GROUP], kinds[RecordKind.MEMBERSHIP]),
        local_date=day,
    )
    with connection.transaction():
        recorded_files.add_snapshot(connection, target_id, entry, now)
        if scheduled is not None:
            recorded_files.scheduled_through(connection, target_id, scheduled)
    failpoint("snapshot.recorded")
    return entry


def write_export(connection: Connection, root: Path, target_id: int, now: datetime) -> int | None:
    """Replace the file at the target's fixed path by the full state; leavers are absent, or in it as deleted.

    The file is written beside the old one and replaces it only if no other process has put a newer one there. A process
    that is paused immediately before the replacement is treated in :func:`consumers.feed.manifests.write_manifest`; the
    same holds here.

    Returns:
        The sequence number of the state in the file, or ``None`` if the target has no such path.
    """
    with contextlib.ExitStack() as file:
        with repeatable_read(connection):
            target = read_target(connection, target_id)
            if target.settings.export_path is None:
                return None
            shape = target.settings.export_shape
            rows = (
                tombstones.stream(connection, target_id, now)
                if shape == "tombstones"
                else rows_of_runs(snapshot_rows.runs(connection, target_id))
            )
            directory = feed_directory(root, target)
            prepared = directory.prepared(target.settings.export_path, document(target, rows))
            put_in_place = file.enter_context(prepared)
        with connection.transaction():
            if recorded_files.exported(connection, target_id, _published_seq(target)):
                put_in_place(now.timestamp())
    return _published_seq(target)


def feed_directory(root: Path, target: TargetRow) -> FeedDirectory:
    """Return the folder of a published target. It is created only until the first manifest has been written."""
    return FeedDirectory(root, target.position.orgnr or "", target.settings.name, create=not target.position.announced)


def document(target: TargetRow, rows: Iterable[tuple[RecordKey, str]]) -> Iterator[str]:
    """Return the full state as the parts of a file: the published records by key, at the last publication's time.

    Raises:
        FeedError: the target was never published.
    """
    if target.position.source is None or target.position.head_at is None:
        raise FeedError(f"target {target.settings.name} was never published")
    properties = Properties(
        target.position.source, target.settings.name, "full", target.position.head_at, target.position.dialect
    )
    return snapshot_parts(properties, target.position.source, rows)


def _published_seq(target: TargetRow) -> int:
    if target.position.head_seq is None:
        raise FeedError(f"target {target.settings.name} was never published: its owner's facts have not arrived")
    return target.position.head_seq


def _counted(runs: Iterable[Run], kinds: Counter[RecordKind]) -> Iterator[Run]:
    for run in runs:
        kinds[run.kind] += len(run.ids)
        yield run
