"""The checks of a feed's lists: the manifest is consistent, and its deltas are without a gap and chained by digest.

A list is the manifest's, or the state database's record of the same files; *recorded_in* names it in the messages.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from itertools import islice, pairwise

from ims.feed.manifest import MANIFEST, DeltaEntry, Manifest, SnapshotName, delta_path


def manifest_problems(manifest: Manifest) -> Iterator[str]:
    """Yield each contradiction between two fields of a manifest."""
    entries, snapshot = manifest.deltas, manifest.snapshot
    oldest, head = (entries[0].seq, entries[-1].seq) if entries else (None, snapshot.seq)
    if manifest.oldest_delta_seq != oldest:
        yield f"{MANIFEST}: oldest_delta_seq is {manifest.oldest_delta_seq}, but its oldest delta is {oldest}"
    if manifest.head_seq != head or head < snapshot.seq:
        yield f"{MANIFEST}: head_seq {manifest.head_seq} is not the number of its last delta or snapshot"
    if manifest.epoch_seq > min([snapshot.seq, *(entry.seq - 1 for entry in entries[:1])]):
        yield f"{MANIFEST}: it names a file of an older epoch, numbered before epoch_seq {manifest.epoch_seq}"
    if snapshot.path != SnapshotName(snapshot.seq, snapshot.local_date).path:
        yield f"{MANIFEST}: the snapshot's path does not match its seq and local_date"
    for entry in entries:
        if entry.path != delta_path(entry.seq):
            yield f"{MANIFEST}: the path of delta {entry.seq} does not match its seq"


def chain_problems(entries: Sequence[DeltaEntry], recorded_in: str) -> Iterator[str]:
    """Yield a problem for each delta that does not continue the delta before it in the list."""
    for before, after in pairwise(entries):
        if after.seq != before.seq + 1:
            yield f"{recorded_in}: delta {after.seq} follows delta {before.seq}: a gap or a wrong order"
        elif after.prev_sha256 != before.sha256:
            yield f"{after.path}: prev_sha256 is not the digest of the previous delta"


def start_problems(entries: Sequence[DeltaEntry], epoch_seq: int, digests: Collection[str]) -> Iterator[str]:
    """Yield a problem if an epoch's first delta is not chained to a snapshot that began the epoch.

    Args:
        epoch_seq: the number of the snapshots that began the epoch.
        digests: the digests of those of them that are kept.
    """
    if entries and digests and entries[0].seq == epoch_seq + 1 and entries[0].prev_sha256 not in digests:
        yield f"{entries[0].path}: prev_sha256 is not the digest of any snapshot with seq {epoch_seq}"


def first_missing(needed: Iterable[int], listed: Container[int], recorded_in: str) -> Iterator[str]:
    """Yield a problem for the first needed delta that is not in the list, if there is one.

    Args:
        needed: numbers of the deltas after a kept snapshot.
        listed: numbers of the deltas in the list.
    """
    for seq in islice((seq for seq in needed if seq not in listed), 1):
        yield f"{delta_path(seq)}: is needed after a kept snapshot, but is not in {recorded_in}"
