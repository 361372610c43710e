"""Settings that are valid but unwise give a warning when they are changed and when the status is shown."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from ims.targets.written_settings import to_toml
from tests.support.builders import a_target


@pytest.fixture
def unwise(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DSN", state_dsn)
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "targets.toml"
    file.write_text(to_toml([a_target(importer_sync_time="02:30")]))
    return file


def test_a_snapshot_too_close_to_the_importer_deadline_gives_a_warning(unwise: Path) -> None:
    run = CliRunner().invoke
    applied = run(app, ["targets", "apply", str(unwise)])
    assert applied.stdout.startswith("created 1/lms\n")
    warning = "target lms: the snapshot is made at 02:00 and the importer reads at 02:30"
    assert applied.stderr.startswith(f"warning: {warning}")
    assert f"Warning: {warning}" in run(app, ["status"]).output
    assert warning in run(app, ["status", "--json"]).output
    kept = run(app, ["targets", "set", "lms", "importer_sync_time=02:45"])
    assert "importer reads at 02:45" in kept.stderr
    assert kept.stdout.startswith("[[target]]")
    fixed = run(app, ["targets", "set", "lms", "snapshot_hour=1"])
    assert (fixed.exit_code, fixed.stderr) == (0, "")
    assert "Warning" not in run(app, ["status"]).output
