"""What the lists of a feed's files must say: deltas without a gap, chained by digest, and a consistent manifest.

A list is the manifest's, or a record of the same files elsewhere; *recorded_in* says which, for the texts.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from itertools import islice, pairwise

from ims.feed.manifest import MANIFEST, DeltaEntry, Manifest, SnapshotName, delta_path


def manifest_problems(manifest: Manifest) -> Iterator[str]:
    """Yield the contradictions within a manifest."""
    entries, snapshot = manifest.deltas, manifest.snapshot
    oldest, head = (entries[0].seq, entries[-1].seq) if entries else (None, snapshot.seq)
    if manifest.oldest_delta_seq != oldest:
        yield f"{MANIFEST}: oldest_delta_seq is not {oldest}, as its deltas say"
    if manifest.head_seq != head or head < snapshot.seq:
        yield f"{MANIFEST}: head_seq {manifest.head_seq} is not that of its last delta or snapshot"
    if manifest.epoch_seq > min([snapshot.seq, *(entry.seq - 1 for entry in entries[:1])]):
        yield f"{MANIFEST}: it names a file from before epoch_seq {manifest.epoch_seq}, of an older epoch"
    if snapshot.path != SnapshotName(snapshot.seq, snapshot.local_date).path:
        yield f"{MANIFEST}: the snapshot's path is not that of its seq and local_date"
    for entry in entries:
        if entry.path != delta_path(entry.seq):
            yield f"{MANIFEST}: the path of delta {entry.seq} is not that of its seq"


def chain_problems(entries: Sequence[DeltaEntry], recorded_in: str) -> Iterator[str]:
    """Yield a problem for each delta that does not follow the one before it in the list."""
    for before, after in pairwise(entries):
        if after.seq != before.seq + 1:
            yield f"{recorded_in}: delta {after.seq} follows delta {before.seq}: a gap or a wrong order"
        elif after.prev_sha256 != before.sha256:
            yield f"{after.path}: prev_sha256 is not the digest of the delta before"


def start_problems(entries: Sequence[DeltaEntry], epoch_seq: int, digests: Collection[str]) -> Iterator[str]:
    """Yield a problem if the first delta of an epoch is not chained to a snapshot that began the epoch.

    Args:
        epoch_seq: the number of such a snapshot.
        digests: the digests of these snapshots, as far as they are kept.
    """
    if entries and digests and entries[0].seq == epoch_seq + 1 and entries[0].prev_sha256 not in digests:
        yield f"{entries[0].path}: prev_sha256 is not the digest of a snapshot with seq {epoch_seq}"


def first_missing(needed: Iterable[int], listed: Container[int], recorded_in: str) -> Iterator[str]:
    """Yield a problem for the first delta that is needed but not in the list.

    Args:
        needed: numbers of the deltas after a snapshot that is kept.
        listed: numbers of the deltas in the list.
    """
    for seq in islice((seq for seq in needed if seq not in listed), 1):
        yield f"{delta_path(seq)}: is needed after a snapshot that is kept, but not in {recorded_in}"
