"""`imsfeed targets apply` on a real state database: what a file changes, and what it leaves alone."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app

SHORT = '[[target]]\nname = "lms"\nowner = 1\nenabled = true\nsnapshot_hour = 4\n'


@pytest.fixture(autouse=True)
def _state(state_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DSN", state_dsn)
    first = '[[target]]\nname = "lms"\nowner = 1\nenabled = true\ncase_workers = ["post@example.org"]\n'
    assert apply(first + "allow_test_numbers = true\n").exit_code == 0


def apply(text: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["targets", "apply", "-", *options], input=text)


def shown() -> str:
    return CliRunner().invoke(app, ["targets", "show"]).output


def test_a_short_file_from_stdin_keeps_the_other_keys() -> None:
    result = apply(SHORT)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "changed 1/lms",
        "  snapshot_hour: 2 -> 4",
        '  case_workers: ["post@example.org"] is kept; the file does not have the key',
        "  allow_test_numbers: true is kept; the file does not have the key",
    ]
    assert 'case_workers = ["post@example.org"]' in shown()
    assert "allow_test_numbers = true" in shown()


def test_a_dry_run_shows_the_same_and_changes_nothing() -> None:
    before = shown()
    result = apply(SHORT, "--dry-run")
    assert "  snapshot_hour: 2 -> 4" in result.stdout
    assert result.stdout.endswith("nothing was changed: --dry-run\n")
    assert shown() == before


def test_what_is_shown_can_be_applied_again(tmp_path: Path) -> None:
    file = tmp_path / "targets.toml"
    file.write_text(shown())
    result = CliRunner().invoke(app, ["targets", "apply", str(file)])
    assert result.stdout == "unchanged 1/lms\nnothing to change\n"
