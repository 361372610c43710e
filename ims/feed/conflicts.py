"""When nothing must be written to a target's feed: the files contradict what was recorded of them.

The state database may be an older one, restored from a backup, or the feed's volume may be lost or not mounted. Writing
on would give numbers a second time, take back what importers were told, or name files that are not there; so the target
stands still until a person has looked, or until the files are there again.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import msgspec

from ims.feed.manifest import Manifest


class HaltReason(StrEnum):
    """Why a target stands still."""

    AHEAD = "ahead"
    UNKNOWN_EPOCH = "unknown_epoch"
    FILES_MISSING = "files_missing"
    UNREADABLE = "unreadable"


_TEXTS: Final = {
    HaltReason.AHEAD: (
        "the manifest names what the state database does not know: the database was restored from a backup;"
        " once materialize has caught up, run `imsfeed republish {target} --new-epoch`"
    ),
    HaltReason.UNKNOWN_EPOCH: (
        "the manifest is of an epoch that the state database does not know: the database is another one;"
        " once materialize has caught up, run `imsfeed republish {target} --new-epoch`"
    ),
    HaltReason.FILES_MISSING: (
        "files that were published are not there: mount the feed's volume,"
        " or, if it is lost, run `imsfeed republish {target}`"
    ),
    HaltReason.UNREADABLE: "the manifest cannot be read: restore the file, or run `imsfeed republish {target}`",
}


def text_of(halt_reason: HaltReason, target: str) -> str:
    """What a person should know of a target that stands still, and can do.

    >>> text_of(HaltReason.UNREADABLE, "lms")
    'the manifest cannot be read: restore the file, or run `imsfeed republish lms`'
    """
    return _TEXTS[halt_reason].format(target=target)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of a feed, and of that which a manifest names.

    Attributes:
        epoch: the target's.
        former_epochs: those that it has had before.
        head_seq: number of the last delta, or of the snapshot that began the epoch; ``None`` before any publication.
        head_sha256: its digest.
        delta_sha256: digest of the delta with the manifest's ``head_seq``, ``None`` if it is not recorded (any more).
        snapshot_sha256: likewise of the manifest's snapshot.
    """

    epoch: str
    former_epochs: Collection[str]
    head_seq: int | None
    head_sha256: str | None
    delta_sha256: str | None
    snapshot_sha256: str | None


def contradiction(manifest: Manifest, recorded: Recorded) -> HaltReason | None:
    """Whether *manifest*, as it lies in the feed, says what was never recorded.

    Returns:
        ``None`` if a newer manifest may take its place: it is of a former epoch, or all it names was recorded.
    """
    if manifest.epoch in recorded.former_epochs:
        return None
    if manifest.epoch != recorded.epoch:
        return HaltReason.UNKNOWN_EPOCH
    if recorded.head_seq is None or manifest.head_seq > recorded.head_seq:
        return HaltReason.AHEAD
    at_head = manifest.head_seq == recorded.head_seq
    if manifest.deltas:
        published, known = manifest.deltas[-1].sha256, recorded.head_sha256 if at_head else recorded.delta_sha256
    else:
        published, known = manifest.snapshot.sha256, recorded.snapshot_sha256
    # What is older than the head may have been forgotten since.
    if known is None and not at_head:
        return None
    return None if published == known else HaltReason.AHEAD
