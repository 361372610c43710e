"""`imsfeed verify` on a feed in order and on a damaged one, with a terminal and without."""

from pathlib import Path

import pytest

from tests.support.memory.feed import FIRST, a_feed
from tests.unit.deploy.commands.test_commands import run

Said = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of one target, in a feed directory."""
    folder = tmp_path / "100000008" / "lms"
    for path, content in a_feed().files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def test_a_feed_in_order_exits_with_0(monkeypatch: pytest.MonkeyPatch, capsys: Said, folder: Path) -> None:
    assert run(monkeypatch, "verify", str(folder.parents[1])) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{folder}: 2 snapshots, 3 deltas, 3 records\n", "")


def test_a_damaged_feed_exits_with_1(monkeypatch: pytest.MonkeyPatch, capsys: Said, folder: Path) -> None:
    (folder / FIRST).write_bytes(b"<enterprise>")
    assert run(monkeypatch, "verify", str(folder)) == 1
    said = capsys.readouterr()
    assert f"  {FIRST}: line 1: not well-formed XML\n" in said.out
    assert said.err.endswith("2 problems found\n")


def test_progress_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Said, folder: Path) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert run(monkeypatch, "verify", str(folder)) == 0
    said = capsys.readouterr()
    assert "verifying lms" in said.err
    assert "100%" in said.err
    assert said.out == f"{folder}: 2 snapshots, 3 deltas, 3 records\n"
