"""`imsfeed verify --as-importer`: its exit codes, and what it prints."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from deploy.commands.exit_codes import DIFFERENCES
from ims.errors import InvalidSettingsError
from tests.support.paths import DOCS

FEED = DOCS / "importers" / "kit" / "feed" / "310000000"


def verified(folder: Path, importer: str) -> Result:
    return CliRunner().invoke(app, ["verify", str(folder), "--as-importer", importer])


def test_a_feed_made_for_its_importer_is_right_at_the_end() -> None:
    result = verified(FEED / "moodle", "moodle")
    assert result.exit_code == 0, result.output
    assert "as moodle: nothing is wrong at the end" in result.output


def test_a_feed_made_for_another_importer_has_a_code_of_its_own() -> None:
    result = verified(FEED / "lms", "moodle")
    assert result.exit_code == DIFFERENCES
    assert "as moodle: after the last delta: 4 x a course is hidden, and nothing shows it again" in result.output
    assert "as moodle: after a gap, with Eksport.xml: 6 x a person who has left is still enrolled" in result.output


@pytest.mark.parametrize("name", ["lms", "pifu", "running", "moodle"])
def test_every_feed_of_the_kit_suits_an_importer_by_the_contract(name: str) -> None:
    assert verified(FEED / name, "none").exit_code == 0


def test_a_damaged_feed_is_not_played(tmp_path: Path) -> None:
    folder = shutil.copytree(FEED / "moodle", tmp_path / "moodle")
    (folder / "deltas" / "3.xml").write_text("<enterprise>")
    result = verified(folder, "moodle")
    assert result.exit_code == 1
    assert "as moodle" not in result.output


def test_an_unknown_importer_is_named_with_those_that_are_known() -> None:
    result = verified(FEED, "canvas")
    assert isinstance(result.exception, InvalidSettingsError)
    assert "one of none, moodle, itslearning" in str(result.exception)
