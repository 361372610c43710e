"""The command line: every command has help, and every error says what is wrong and exits with its code."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy import cli
from deploy.cli import app, main
from deploy.commands.private_file import private
from ims.errors import FeedError
from ims.runtime.settings import descriptions, read_settings
from tests.support.builders import a_birth_number
from tests.support.paths import DOCS, ROOT

SETTINGS_PAGE = DOCS / "settings.md"
SECRET = "postgresql://imsfeed:correct-horse@localhost:1/none"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from commands(child, (*path, name))
    if not children:
        yield path


@pytest.mark.parametrize("path", [*commands(typer.main.get_command(app))], ids=" ".join)
def test_every_commands_help_has_an_example_and_its_exit_codes(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example: " in result.output
    assert f"imsfeed {' '.join(path)}" in result.output.partition("Example: ")[2]
    assert "Exits with 0 if done, 1 if it failed" in " ".join(result.output.split())


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"imsfeed {project['version']}\n")


def test_the_page_of_settings_is_up_to_date() -> None:
    result = CliRunner().invoke(app, ["settings", "--markdown"])
    assert SETTINGS_PAGE.read_text(encoding="utf-8") == result.output


def test_every_setting_is_listed_with_unit_and_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DSN", SECRET)
    result = CliRunner().invoke(app, ["settings"], env={"COLUMNS": "240"})
    for setting in descriptions():
        assert setting.name in result.output
        assert setting.unit
        assert setting.meaning.endswith(".")
    assert "correct-horse" not in result.output


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["imsfeed", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_missing_setting_is_named_and_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STATE_DSN", raising=False)
    assert run(monkeypatch, "status") == 2
    assert capsys.readouterr().err.startswith("imsfeed: STATE_DSN is not set")


def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METRICS_PORT", "correct-horse")
    assert run(monkeypatch, "capture") == 2
    printed = capsys.readouterr().err
    assert "METRICS_PORT" in printed
    assert "correct-horse" not in printed


def test_an_unreachable_server_exits_with_1_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DSN", SECRET)
    assert run(monkeypatch, "status") == 1
    printed = capsys.readouterr().err
    assert printed.startswith("imsfeed: STATE_DSN: OperationalError: ")
    assert "correct-horse" not in printed
    assert printed.count("\n") == 1


def test_an_unreachable_kafka_is_one_line_that_names_its_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "export-events"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "STATE_DSN": SECRET, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
    )
    (line,) = filter(None, done.stderr.splitlines())
    assert line.startswith("imsfeed: KAFKA_BOOTSTRAP_SERVERS: no Kafka broker accepted a connection: 127.0.0.1:1: ")


def test_a_directory_without_a_feed_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "verify", str(tmp_path)) == 1
    assert "there is no manifest.json" in capsys.readouterr().err


def test_the_demo_empties_no_directory_but_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    assert run(monkeypatch, "demo", "--directory", str(tmp_path)) == 2
    assert "contains files of other programs" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(("error", "code"), [(FeedError("x"), 1), (KeyboardInterrupt(), 130)])
def test_an_error_becomes_its_exit_code(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert run(monkeypatch) == code


def test_settings_come_from_secret_files_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "STATE_DSN").write_text(f"{SECRET}\n")
    (tmp_path / "KAFKA_TOPIC").write_text("from.a.file")
    monkeypatch.setenv("SECRETS_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("STATE_DSN", raising=False)
    monkeypatch.setenv("KAFKA_TOPIC", "from.the.environment")
    settings = read_settings()
    assert settings.state() == SECRET
    assert settings.kafka_topic == "from.the.environment"
    assert "correct-horse" not in repr(settings)


def test_a_typed_national_id_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DSN", SECRET)
    number = a_birth_number()
    assert run(monkeypatch, "why", "lms", number) == 2
    assert run(monkeypatch, "why", "lms", f"{number[:6]} {number[6:]}") == 2
    assert run(monkeypatch, "replay", __file__, "--targets", __file__, "--out", "out", "--until", number) == 2
    printed = capsys.readouterr()
    assert "it must be a running number (løpenummer)" in printed.err
    assert number[6:] not in printed.out + printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("NUMBER",),
        ("holds", "NUMBER"),
        ("status", "--NUMBER"),
        ("status", "NUMBER"),
        ("holds", "show", "NUMBER"),
        ("holds", "approve", "1", "--digest", "NUMBER", "--reason", "x"),
        ("quarantine", "show", "NUMBER"),
        ("quarantine", "discard", "NUMBER", "--reason", "x"),
        ("leave-now", "NUMBER", "1", "--reason", "x"),
        ("resync", "NUMBER"),
        ("export-events", "--owner", "NUMBER"),
        ("export-events", "--from-offset", "NUMBER"),
        ("report", "lms", "--format", "NUMBER"),
        ("report", "lms", "--language", "NUMBER"),
        ("verify", "NUMBER"),
        ("compare", "NUMBER.xml", "lms"),
        ("targets", "apply", "NUMBER.toml"),
        ("targets", "set", "lms", "NUMBER"),
        ("replay", "NUMBER", "--targets", "NUMBER", "--out", "NUMBER"),
        ("docs", "NUMBER"),
    ],
    ids=" ".join,
)
def test_no_error_repeats_a_national_id_typed_anywhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("STATE_DSN", SECRET)
    monkeypatch.setenv("SOURCE_DSN", SECRET)
    number = a_birth_number(7)
    for typed in (number, f"{number[:6]} {number[6:]}", f"{number[:6]}\u2013{number[6:]}"):
        assert run(monkeypatch, *(one.replace("NUMBER", typed) for one in arguments)) in {1, 2}
    printed = capsys.readouterr()
    assert number.lstrip("0")[-5:] not in printed.out + printed.err


def test_an_invalid_dsn_is_not_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STATE_DSN", "postgresql//imsfeed:correct-horse@localhost/none")
    assert run(monkeypatch, "status") == 2
    printed = capsys.readouterr().err
    assert printed.startswith("imsfeed: SOURCE_DSN or STATE_DSN is not a valid DSN")
    assert "correct-horse" not in printed


def test_an_unexpected_error_is_logged_without_any_values() -> None:
    """Python's own traceback would show the text, and PostgreSQL's text quotes the row."""
    program = (
        "import psycopg, sys; from consumers.database import sessions; from deploy import cli\n"
        "def fail(*_): raise psycopg.errors.UniqueViolation('Key (national_id)=(01810012345) exists')\n"
        "sessions.connect, sys.argv = fail, ['imsfeed', 'status']\n"
        "cli.run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "STATE_DSN": SECRET},
    )
    assert done.returncode == 1
    (line,) = map(json.loads, done.stderr.splitlines())
    assert line["exception"][0]["error"] == "UniqueViolation (SQLSTATE 23505)"
    assert "01810012345" not in done.stderr


def test_an_existing_file_becomes_private_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.touch(mode=0o644)
    with open(path, "wb", opener=private) as file:
        assert path.stat().st_mode & 0o777 == 0o640
        file.write(b"<html>")
    assert path.read_bytes() == b"<html>"


def test_a_private_file_may_be_a_device() -> None:
    with open("/dev/null", "wb", opener=private) as file:
        file.write(b"<html>")
