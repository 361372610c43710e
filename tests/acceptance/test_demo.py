"""`make demo` as a new user runs it: the real command, on embedded servers, in a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from consumers.feed.feed_directory import verify_folder
from ims.feed.manifest import decode
from ims.records.model import MemberRecord
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import ReadRecord, read
from tests.support.paths import ROOT

SERVERS = ("SOURCE_DSN", "STATE_DSN", "KAFKA_BOOTSTRAP_SERVERS")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder in which the demo ran, and the lines that it printed."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {name: value for name, value in os.environ.items() if name not in SERVERS}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "demo"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return folder, done.stdout.splitlines()


def test_the_demos_last_line_names_the_leavers_delta(demo: tuple[Path, list[str]]) -> None:
    folder, lines = demo
    match = re.fullmatch(r"leaver: (\S+) (\d+) ms after commit", lines[-1])
    assert match is not None
    path = folder / match[1]
    records = [item for item in read(path) if isinstance(item, ReadRecord)]
    assert {recstatus for _, recstatus in records} == {RecStatus.GONE}
    groups = [record for record, _ in records if isinstance(record, MemberRecord)]
    assert len(groups) >= 2
    removed = f'recstatus="3">\n{" " * 8}<status>0</status>'
    assert path.read_text(encoding="utf-8").count(removed) == len(groups)


def test_each_change_is_shown_with_its_delta_and_its_time(demo: tuple[Path, list[str]]) -> None:
    _, lines = demo
    assert sum(line.startswith("committed") for line in lines) == 4
    assert sum(bool(re.match(r" +\d+ ms  \.imsfeed-demo/\S+\.xml: ", line)) for line in lines) == 4


def test_the_demos_feed_verifies(demo: tuple[Path, list[str]]) -> None:
    folder, _ = demo
    (manifest,) = (folder / ".imsfeed-demo" / "feed").rglob("manifest.json")
    target = manifest.parent
    assert verify_folder(target).problems == []
    decoded = decode(manifest.read_bytes())
    assert [delta.seq for delta in decoded.deltas] == [1, 2, 3, 4]
    assert decoded.snapshot.counts.person > 1500
    assert sum(delta.counts.person.gone for delta in decoded.deltas) == 2


def test_the_demo_leaves_no_process_and_logs_no_national_id(demo: tuple[Path, list[str]]) -> None:
    folder, lines = demo
    (target,) = (path.parent for path in (folder / ".imsfeed-demo" / "feed").rglob("manifest.json"))
    keys = {item.record.key for path in target.rglob("*.xml") for item in read(path) if isinstance(item, ReadRecord)}
    numbers = {key.id for key in keys if key.kind is RecordKind.PERSON and len(key.id) >= 11}
    assert len(numbers) > 1000
    logs = "".join(path.read_text() for path in (folder / ".imsfeed-demo" / "logs").iterdir()) + "".join(lines)
    assert not [number for number in numbers if number in logs]
    environments = {path: _environment(path) for path in Path("/proc").glob("[0-9]*/environ")}
    assert not [path for path, environment in environments.items() if bytes(folder) in environment]


def _environment(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended, or belongs to another user
        return b""
