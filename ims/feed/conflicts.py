"""The reasons why a target is halted: the files of its feed contradict the state database's record of them.

The state database may have been restored from an older backup, or the feed's volume may be lost or not mounted. To go
on writing would use numbers twice, take back what has been published to importers, or name files that do not exist. So
the target is halted until an operator has fixed the cause, or until the files are back.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import msgspec

from ims.feed.manifest import Manifest


class HaltReason(StrEnum):
    """Why a target is halted."""

    AHEAD = "ahead"
    UNKNOWN_EPOCH = "unknown_epoch"
    FILES_MISSING = "files_missing"
    UNREADABLE = "unreadable"
    FOLDER_TAKEN = "folder_taken"
    OWNER_UNKNOWN = "owner_unknown"


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
    HaltReason.FOLDER_TAKEN: (
        "the folder that its owner's organisation number and its name give belongs to another target, for good:"
        " correct the organisation number if it is wrong; otherwise disable {target} and create a target with another"
        " name"
    ),
    HaltReason.OWNER_UNKNOWN: (
        "the folder has a feed of an epoch that the state database does not know, and nothing in it says whose feed it"
        " is: if you are sure that it is this owner's, run `imsfeed republish {target} --new-epoch --of-owner OWNER`;"
        " if not, move the folder away"
    ),
    HaltReason.UNREADABLE: "the manifest cannot be read: restore the file, or run `imsfeed republish {target}`",
}


def text_of(halt_reason: HaltReason, target: str) -> str:
    """Return what an operator should know about a halted target, and what to do about it.

    >>> text_of(HaltReason.UNREADABLE, "lms")
    'the manifest cannot be read: restore the file, or run `imsfeed republish lms`'
    """
    return _TEXTS[halt_reason].format(target=target)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The state database's record of a feed, and of the files that a manifest names.

    Attributes:
        epoch: the target's current epoch.
        former_epochs: the target's earlier epochs.
        head_seq: number of the last delta, or of the snapshot that began the epoch; ``None`` before any publication.
        head_sha256: digest of that file.
        delta_sha256: digest of the delta with the manifest's ``head_seq``; ``None`` if no such delta is recorded, or
            its record has been deleted.
        snapshot_sha256: digest of the manifest's snapshot, likewise.
    """

    epoch: str
    former_epochs: Collection[str]
    head_seq: int | None
    head_sha256: str | None
    delta_sha256: str | None
    snapshot_sha256: str | None


def contradiction(manifest: Manifest, recorded: Recorded) -> HaltReason | None:
    """Return why the feed's present *manifest* contradicts the record, so that the target has to be halted.

    Returns:
        ``None`` if a newer manifest may replace it: it is of a former epoch, or all files that it names are recorded.
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
    # Records of files older than the head are deleted after the retention time.
    if known is None and not at_head:
        return None
    return None if published == known else HaltReason.AHEAD
