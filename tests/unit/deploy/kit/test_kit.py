"""The conformance kit in the repository is what the code writes, and its feeds verify."""

from pathlib import Path

import pytest

from consumers.feed.feed_directory import verify_folder
from deploy.kit import kit
from ims.feed.manifest import MANIFEST
from tests.support.paths import DOCS

KIT = DOCS / "importers" / "kit"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit")
    (folder / kit.FEED / "older").mkdir(parents=True)
    kit.write(folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_writing_the_kit_again_gives_the_same_bytes(written: Path) -> None:
    now, kept = files(written), files(KIT)
    assert now.keys() == kept.keys(), "run `make kit`"
    assert [name for name in now if now[name] != kept[name]] == [], "run `make kit`"


def test_every_feed_of_the_kit_verifies(written: Path) -> None:
    folders = [path.parent for path in (written / kit.FEED).rglob(MANIFEST)]
    assert len(folders) == 5
    for verification in map(verify_folder, folders):
        assert verification.problems == []
        assert verification.records > 0


def test_all_cases_but_five_publish_a_delta(written: Path) -> None:
    rows = (written / kit.PAGE).read_text(encoding="utf-8").split("|---|")[-1].splitlines()[1:]
    silent = [cells[2] for cells in (row.split("|") for row in rows) if {cell.strip() for cell in cells[3:-1]} == {"-"}]
    assert [title.strip() for title in silent] == [
        "The roster is loaded: the first snapshots",
        "Half a transaction arrives: nothing is published",
        "A message that is not JSON is quarantined",
        "The owner loses its organisation number: the target is halted",
        "… and gets it back",
    ]
