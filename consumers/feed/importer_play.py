"""Lets an importer read the feed in a target's folder, and says what is wrong then (:mod:`ims.importers.play`)."""

from pathlib import Path

from consumers.feed.feed_directory import inside
from ims.feed.manifest import MANIFEST, SNAPSHOTS
from ims.importers.play import play
from ims.targets.importer_profiles import PROFILES, Importer


def play_folder(folder: Path, importer: Importer) -> list[str]:
    """Return what the importer would have wrong at the end; empty if nothing.

    Every other file in the folder is taken for one at a fixed path.

    Raises:
        FeedError: a file cannot be read, or the feed has no snapshot.
        FileNotFoundError: a file does not exist.
    """
    beside = (path.name for path in folder.iterdir() if path.is_file())
    return play(
        lambda name: inside(folder, name).open("rb"),
        [path.name for path in (folder / SNAPSHOTS).glob("*")],
        [name for name in beside if name != MANIFEST and not name.startswith(".")],
        PROFILES[importer],
    )
