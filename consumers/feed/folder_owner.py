"""The mark in a target's folder that says whose feed it is; it survives the loss of the state database.

The state database has the same (:mod:`consumers.database.feed_folders`), which survives the loss of the folder. A
folder that belongs to another target by either of them is never written to, and no command takes it over.
"""

from pathlib import Path
from typing import Final

import msgspec

from consumers.database import feed_folders
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.regular_files import read_regular
from ims.errors import FeedError
from ims.feed.conflicts import HaltReason

MARK: Final = ".owner.json"
_LONGEST_MARK: Final = 4_096


class Owner(msgspec.Struct, frozen=True):
    """Whose a folder is: the school owner's number and the target's name."""

    owner: int
    target: str


def owner_in(folder: Path) -> Owner | None:
    """Return whose the folder is by its mark, or ``None`` without one.

    Raises:
        FeedError: the mark cannot be read.
        OSError: the folder cannot be read.
    """
    try:
        return msgspec.json.decode(read_regular(folder / MARK, _LONGEST_MARK), type=Owner)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FeedError(f"{folder / MARK} cannot be read; it says whose feed this is, so restore it") from None


def refusal(connection: Connection, folder: Path, target: TargetRow, orgnr: str) -> HaltReason | None:
    """Return why the target may not use its folder, or ``None`` if it is its own, or no target's yet.

    Args:
        folder: the folder of the target under the organisation number *orgnr*.
    """
    if feed_folders.holder(connection, orgnr, target.settings.name) not in {None, target.target_id}:
        return HaltReason.FOLDER_TAKEN
    mark = owner_in(folder)
    return None if mark in {None, _owner(target)} else HaltReason.FOLDER_TAKEN


def is_unknown(connection: Connection, directory: FeedDirectory, target: TargetRow) -> bool:
    """Return whether the folder has a feed of which neither a mark nor an epoch says that it is the target's.

    Folders that were written before there were marks have none.
    """
    if owner_in(directory.path) is not None:
        return False
    try:
        manifest = directory.manifest()
    except FeedError:
        return not target.position.announced
    if manifest is None:
        return not target.position.announced and directory.highest_seq() > 0
    return manifest.epoch != target.position.epoch and manifest.epoch not in former_epochs(connection, target.target_id)


def former_epochs(connection: Connection, target_id: int) -> frozenset[str]:
    """Return the epochs that a target has had before."""
    rows = connection.execute("select epoch from imsfeed.former_epoch where target_id = %s", (target_id,)).fetchall()
    return frozenset(epoch for (epoch,) in rows)


def mark(directory: FeedDirectory, target: TargetRow) -> None:
    """Mark the folder as the target's, if it has no mark yet."""
    if owner_in(directory.path) is None:
        directory.link(MARK, msgspec.json.encode(_owner(target)) + b"\n")


def _owner(target: TargetRow) -> Owner:
    return Owner(target.owner_id, target.settings.name)
