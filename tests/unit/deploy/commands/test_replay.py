"""The commands `imsfeed replay`, and the arguments that `imsfeed export-events` refuses."""

import stat
from pathlib import Path

import pytest

from deploy.cli import main
from ims.targets.written_settings import to_toml
from tests.support.builders import ORGNR, a_group, a_person, a_school, a_target, an_enrolment, an_owner
from tests.support.events import Scenario


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with events.jsonl and targets.toml."""
    events = Scenario()
    events.commit(0, an_owner(), a_school(1), a_group(1), a_person(1), a_person(2, protected=True), op="r", whole=False)
    events.commit(0, an_enrolment(1), op="r")
    events.commit(60, an_enrolment(1), op="d")
    events.raw(61, "no JSON")
    (tmp_path / "events.jsonl").write_bytes(b"".join(events.text))
    (tmp_path / "targets.toml").write_text(to_toml([a_target()]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["imsfeed", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def replay(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    return run(monkeypatch, "replay", "events.jsonl", "--targets", "targets.toml", "--out", "feed", *arguments)


def test_a_replay_writes_the_feed_and_prints_a_summary(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DSN", "postgresql://localhost:1/none")
    monkeypatch.setenv("COLUMNS", "120")
    assert replay(monkeypatch) == 0
    written = files / "feed" / ORGNR / "lms" / "deltas" / "1.xml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o640
    printed = capsys.readouterr().out
    assert "1/lms" in printed
    assert "1/lms excluded: person person_protected 1" in printed
    assert "8 messages" in printed
    assert "not_json 1" in printed


def test_a_replay_ends_at_the_given_time(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert replay(monkeypatch, "--until", "2026-10-15T12:00:30+02:00") == 0
    assert list((files / "feed" / ORGNR / "lms" / "deltas").iterdir()) == []


@pytest.mark.parametrize("until", ["noon", "2026-10-15T12:00:00"])
def test_a_time_without_its_zone_is_refused(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], until: str
) -> None:
    assert replay(monkeypatch, "--until", until) == 2
    assert "is not a time with its zone" in capsys.readouterr().err
    assert not (files / "feed").exists()


def test_a_broken_line_is_named_and_exits_with_2(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (files / "events.jsonl").open("ab") as events:
        events.write(b'{"when":"now"}\n')
    assert replay(monkeypatch) == 2
    assert "imsfeed: events.jsonl, line 9: " in capsys.readouterr().err


def test_a_folder_that_is_not_empty_is_left_alone(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "feed").mkdir()
    (files / "feed" / "mine").write_text("mine")
    assert replay(monkeypatch) == 2
    assert "feed is not empty" in capsys.readouterr().err
    assert [path.name for path in (files / "feed").iterdir()] == ["mine"]


@pytest.mark.parametrize("offset", ["3", "3:", "a:1", "3:-1"])
def test_a_wrong_offset_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], offset: str
) -> None:
    assert run(monkeypatch, "export-events", "--from-offset", offset) == 2
    assert "is not PARTITION:OFFSET" in capsys.readouterr().err
