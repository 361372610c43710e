"""The feed of one target: its files, and the manifest, which lists the files that an importer fetches.

    manifest.json                   the only file ever replaced, always written last
    snapshots/<date>-<seq>.xml      never changed
    deltas/<seq>.xml                never changed, numbered without a gap, chained by digest

A snapshot's ``seq`` is that of the last delta it contains. An importer takes the snapshot, and then the deltas with
greater numbers, in order. It takes the snapshot again after a gap, a wrong digest or a new epoch, and if the next delta
that it needs is older than ``oldest_delta_seq``.

>>> delta_path(12), snapshot_path(date(2026, 8, 17), 11)
('deltas/12.xml', 'snapshots/2026-08-17-11.xml')
"""

import re
from datetime import date, datetime
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from ims.errors import FeedError

FORMAT: Final = 1
"""Version of the manifest's format. It grows only if importers made for the old one would misread the new one."""

MANIFEST: Final = "manifest.json"
SNAPSHOTS: Final = "snapshots"
DELTAS: Final = "deltas"

_SNAPSHOT_NAME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d+)\.xml", re.ASCII)

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in UTC, written as RFC 3339."""
_LARGEST_SEQ: Final = 10**18 - 1
Seq = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_SEQ)]
DeltaSeq = Annotated[int, msgspec.Meta(ge=1, le=_LARGEST_SEQ)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""Digest of a file's bytes, in lower-case hexadecimal."""
Size = Annotated[int, msgspec.Meta(ge=0)]
"""Bytes."""
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$", max_length=1_024)]
"""A name, a path or an epoch: no database and no file system takes the zero character."""


class KindCounts(msgspec.Struct, frozen=True, gc=False):
    """The number of records of one kind in a delta, by recstatus."""

    new: int = 0
    changed: int = 0
    gone: int = 0


class Counts(msgspec.Struct, frozen=True, gc=False):
    """The number of records in a delta. A changed role counts as one removed (``gone``) and one new record."""

    person: KindCounts = KindCounts()
    group: KindCounts = KindCounts()
    membership: KindCounts = KindCounts()


class Totals(msgspec.Struct, frozen=True):
    """The number of records in a snapshot."""

    person: int = 0
    group: int = 0
    membership: int = 0


class SnapshotEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The latest snapshot.

    Attributes:
        seq: number of the last delta it contains; 0 at a target's first publication.
        local_date: the day for which it was taken, in the target's time zone.
    """

    seq: Seq
    path: Text
    sha256: Sha256
    size: Size
    counts: Totals
    local_date: date


class DeltaEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One delta that can still be fetched.

    Attributes:
        prev_sha256: digest of the previous delta; for an epoch's first delta, that of the snapshot with the number
            ``epoch_seq``.
        created: when it was published.
        oldest_event_at: when the source committed the oldest change in it; ``None`` if a date or a setting caused the
            delta, and no change in the source.
        closed_groups: ``sourcedid/id`` of the groups that are not in the feed after it, though it has no record that
            removes them (:class:`ims.feed.delta.Delta`); omitted in the file if there are none.
    """

    seq: DeltaSeq
    path: Text
    sha256: Sha256
    prev_sha256: Sha256
    size: Size
    created: Instant
    oldest_event_at: Instant | None
    counts: Counts
    closed_groups: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a feed: its latest snapshot, and every delta that can still be fetched.

    Attributes:
        format: :data:`FORMAT`.
        target: the target's name.
        epoch: changes when the history of the feed is broken; an importer then takes the snapshot again.
        epoch_seq: number of the epoch's first snapshot, 0 in a target's first epoch; files with a smaller number are
            of an older epoch, and no longer count.
        head_seq: number of the last delta, or of the snapshot if there is none; 0 before the first delta.
        oldest_delta_seq: number of the oldest delta that can still be fetched, or ``None`` without any.
        generated: when this manifest was written.
        checked: when the feed was last known to be up to date.
        expires: once this has passed, no process is writing the feed, and the importer should alert an operator.
        state: ``ok``; ``held`` while a removal waits for an approval; ``stale`` while the target is halted, and its
            feed no longer follows the source.
        snapshot: the latest snapshot.
        deltas: all deltas that can still be fetched, in order.
        next_snapshot: when the next snapshot is due.
        ready_by: when the importer reads the next snapshot; ``None`` if that time is not known.
    """

    format: int = FORMAT
    target: Text
    epoch: Text
    epoch_seq: Seq = 0
    head_seq: Seq
    oldest_delta_seq: DeltaSeq | None
    generated: Instant
    checked: Instant
    expires: Instant
    state: Literal["ok", "held", "stale"]
    snapshot: SnapshotEntry
    deltas: list[DeltaEntry]
    next_snapshot: Instant
    ready_by: Instant | None = None


class SnapshotName(NamedTuple):
    """The number and day in a snapshot's name; sorts in the order in which the snapshots were taken."""

    seq: int
    local_date: date

    @property
    def path(self) -> str:
        """The snapshot's path in the target's folder."""
        return snapshot_path(self.local_date, self.seq)


def delta_path(seq: int) -> str:
    """Return a delta's path in the target's folder."""
    return f"{DELTAS}/{seq}.xml"


def snapshot_path(local_date: date, seq: int) -> str:
    """Return a snapshot's path in the target's folder."""
    return f"{SNAPSHOTS}/{local_date.isoformat()}-{seq}.xml"


def parse_snapshot_name(name: str) -> SnapshotName | None:
    """Return the number and day in the name of a file in ``snapshots/``; ``None`` if it is not a snapshot's name.

    >>> parse_snapshot_name("2026-08-17-11.xml").seq
    11
    """
    match = _SNAPSHOT_NAME.fullmatch(name)
    try:
        return None if match is None else SnapshotName(int(match[2]), date.fromisoformat(match[1]))
    except ValueError:
        return None


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as the bytes of its file: indented JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes) -> Manifest:
    """Read a manifest; unknown fields are ignored, so that a later version may add some.

    Raises:
        FeedError: it is not JSON, a field is missing or wrong (the message names it), or it has another format.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:  # bytes that are not UTF-8 are a ValueError
        raise FeedError(f"{MANIFEST} cannot be read: {error}") from None
    except RecursionError:
        raise FeedError(f"{MANIFEST} cannot be read: it is nested too deep") from None
    if manifest.format != FORMAT:
        raise FeedError(f"{MANIFEST} has format {manifest.format}; this version of imsfeed reads format {FORMAT}")
    return manifest
