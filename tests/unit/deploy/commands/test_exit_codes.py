"""The exit codes: one table, on a page, and no command with a code that is not in it."""

import re

import pytest
import typer
from typer.testing import CliRunner

from consumers.materialize.kafka_source import OffsetLostError
from deploy import cli
from deploy.cli import app
from deploy.commands.exit_codes import CODES, WRONG_SETTINGS
from ims.errors import BadMessageError, FeedError, ImsfeedError, InvalidSettingsError
from tests.support.paths import DOCS
from tests.unit.deploy.commands.test_commands import commands, run


def test_the_page_has_the_table() -> None:
    page = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == list(CODES)


@pytest.mark.parametrize("path", [*commands(typer.main.get_command(app))], ids=" ".join)
def test_every_command_names_codes_of_the_table_only(path: tuple[str, ...]) -> None:
    text = " ".join(CliRunner().invoke(app, [*path, "--help"]).output.split())
    sentence = text.partition("Exits with ")[2]
    assert {int(code) for code in re.findall(r"\b\d+\b", sentence)} <= set(CODES)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidSettingsError("x"), WRONG_SETTINGS),
        (OffsetLostError("x"), WRONG_SETTINGS),
        (FeedError("x"), 1),
        (BadMessageError("not_json", "x"), 1),
        (OSError("x"), 1),
    ],
)
def test_what_only_a_person_can_fix_ends_with_2(monkeypatch: pytest.MonkeyPatch, error: Exception, code: int) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert run(monkeypatch) == code
    assert isinstance(error, ImsfeedError | OSError)
