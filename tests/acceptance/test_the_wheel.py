"""The wheel, built by the project's own build backend and installed alone: it has all that it needs."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from deploy.local.postgres import LocalPostgres
from deploy.state.migrate import MIGRATIONS
from tests.acceptance.fresh_environment import FreshEnvironment, locked
from tests.support.fixtures.postgres import temporary_database
from tests.support.paths import DOCS, ROOT

KIT = DOCS / "importers" / "kit"
PACKAGES = ("consumers", "deploy", "ims", "producers")
DEVELOPMENT = ("deploy/audit.py", "deploy/containers/", "deploy/kit/", "deploy/lock/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `make wheel` builds it: from the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert len(list(folder.glob("*.tar.gz"))) == 1
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    environment = FreshEnvironment(tmp_path_factory.mktemp("alone"))
    environment.install(wheel)
    return environment


@pytest.fixture
def empty_dsn(state_server: LocalPostgres) -> Iterator[str]:
    with temporary_database(state_server) as name:
        yield state_server.dsn(name)


def test_the_wheel_is_the_product_without_the_development_parts(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    kept = {path.relative_to(ROOT).as_posix() for path in files if path.is_file() and "__pycache__" not in path.parts}
    pages = {f"deploy/pages/{path.relative_to(DOCS)}" for path in DOCS.rglob("*.md") if KIT not in path.parents}
    assert pages == {name for name in names if name.startswith("deploy/pages/") and name.endswith(".md")}
    names = {name for name in names if not name.startswith("deploy/pages/")}
    assert names == {name for name in kept if not name.startswith(DEVELOPMENT)}
    assert {"deploy/state/roles.sql", "deploy/monitoring/alerts.yml", "ims/xml/schemas/pifu-ims-1.3.rng"} < names


def test_the_metadata_says_nothing_that_is_not_so(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_string(archive.read(name).decode())
    assert metadata["Author"] == "the imsfeed authors"
    assert metadata["License-Expression"] == "MIT"
    assert not {"Author-email", "Home-page", "Project-URL"} & set(metadata)
    assert "Private :: Do Not Upload" in metadata.get_all("Classifier", [])
    assert metadata["Keywords"]


def test_nothing_is_installed_but_the_wheel_and_the_lock(installed: FreshEnvironment) -> None:
    names = {line.partition("==")[0].partition(" @")[0] for line in installed.pip("freeze", "--all").splitlines()}
    assert {canonicalize_name(name) for name in names} == {
        "imsfeed",
        *(canonicalize_name(requirement.name) for requirement in locked()),
    }
    assert "No broken requirements" in installed.pip("check")
    where = installed.run("python", "-c", f"import {', '.join(PACKAGES)}; print(ims.__file__)").stdout
    assert where.startswith(str(installed.packages))


def test_it_explains_itself_and_says_its_version(installed: FreshEnvironment, wheel: Path) -> None:
    explained = installed.run("imsfeed", "--help")
    assert explained.returncode == 0, explained.stderr
    assert all(command in explained.stdout for command in ("capture", "materialize", "compact", "replay", "setup"))
    assert installed.run("imsfeed", "--version").stdout == f"imsfeed {wheel.name.split('-')[1]}\n"


def test_a_replay_of_the_kit_has_the_kits_bytes(installed: FreshEnvironment) -> None:
    events, targets = str(KIT / "events.jsonl"), str(KIT / "targets.toml")
    options = ("--out", "feed", "--until", "2026-08-21T06:00:00Z", "--no-holds")
    done = installed.run("imsfeed", "replay", events, "--targets", targets, *options)
    assert done.returncode == 0, done.stderr
    written, kept = _files(installed.folder / "feed"), _files(KIT / "feed")
    assert written.keys() == kept.keys()
    assert [name for name in kept if written[name] != kept[name]] == []


def test_it_sets_the_state_database_up(installed: FreshEnvironment, empty_dsn: str) -> None:
    done = installed.run("imsfeed", "setup", "state", STATE_DSN=empty_dsn)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == sorted(path.name for path in MIGRATIONS.glob("*.sql"))


def test_the_demo_says_in_one_line_what_to_install(installed: FreshEnvironment) -> None:
    done = installed.run("imsfeed", "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("install imsfeed[local]\n")
    assert done.stderr.count("\n") == 1


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_page_that_a_message_cites_is_printed_by_the_wheel(installed: FreshEnvironment) -> None:
    assert installed.run("imsfeed", "docs", "docs/runbook/lost-slot.md").stdout.startswith("# ")
