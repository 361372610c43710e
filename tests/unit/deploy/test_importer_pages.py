"""The importers' pages: their settings can be applied, and their links and the settings that they name exist."""

import re
from pathlib import Path

import pytest

from ims.runtime.settings import descriptions
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import parse_toml
from tests.support.paths import DOCS

FOLDER = DOCS / "importers"
PAGES = sorted(FOLDER.glob("*.md"))
IMPORTERS = ["eadm-efeide.md", "fronter.md", "iam-core.md", "itslearning.md", "moodle.md", "vigobas.md"]


def settings_on(page: Path) -> list[TargetSettings]:
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [settings for block in blocks for settings in parse_toml(block)]


def test_every_importer_has_a_page_with_settings() -> None:
    assert [page.name for page in PAGES if settings_on(page)] == IMPORTERS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_links_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_process_settings_that_exist(page: Path) -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", page.read_text(encoding="utf-8")))
    assert named <= {setting.name for setting in descriptions()}


@pytest.mark.parametrize("page", IMPORTERS)
def test_only_an_importer_that_ignores_absence_gets_tombstones(page: str) -> None:
    (settings,) = settings_on(FOLDER / page)
    assert (settings.export_shape == "tombstones") is (page == "moodle.md")


@pytest.mark.parametrize("page", IMPORTERS)
def test_a_page_has_its_sources(page: str) -> None:
    assert "\nSources: " in (FOLDER / page).read_text(encoding="utf-8")
