"""Every command that shows data, with data that looks like markup, moves the cursor, or has a national id in it."""

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from consumers.holds.open_holds import open_holds
from deploy.cli import app, main
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline

NUMBER: Final = a_birth_number(400)
SPACED: Final = f"{NUMBER[:6]}\u00a0{NUMBER[6:]}"
HOSTILE: Final = f"8[/b]A [red]{SPACED}\x1b[2J\x9b1m\u202e:smile:"
COMMANDS: Final = (
    ("status",),
    ("status", "--json"),
    ("holds", "list"),
    ("holds", "list", "--json"),
    ("holds", "show", "HOLD"),
    ("holds", "show", "HOLD", "--json"),
    ("plan", "lms"),
    ("plan", "lms", "--json"),
    ("plan", "lms", "scope=grunnskole"),
    ("report", "lms"),
    ("report", "lms", "--format", "csv"),
    ("why", "lms", "1"),
    ("why", "lms", "3"),
    ("quarantine", "list"),
    ("quarantine", "list", "--json"),
    ("quarantine", "show", "MESSAGE"),
    ("quarantine", "show", "MESSAGE", "--json"),
    ("targets", "show"),
    ("leave-now", "1", "3", "--reason", HOSTILE, "--name", HOSTILE),
    ("holds", "reject", "HOLD", "--reason", HOSTILE, "--name", HOSTILE),
    ("quarantine", "discard", "MESSAGE", "--reason", HOSTILE, "--name", HOSTILE),
    ("status",),
)


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A feed whose groups have hostile codes, with a hold and a message in quarantine."""
    monkeypatch.setenv("STATE_DSN", state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target(
        group_id="{code}", excluded_kinds=(f"x{HOSTILE.replace(SPACED, '')}",), hold_hour_persons=0, hold_day_persons=0,
        hold_hour_persons_percent=0, hold_day_persons_percent=0,
    )  # fmt: skip
    pipeline.commit(an_owner(name=HOSTILE), a_school(1, name=HOSTILE))
    pipeline.commit(*(a_group(n, code=f"{HOSTILE}{n}", name=HOSTILE) for n in (1, 2)))
    pipeline.commit(*(a_person(n, given_name=HOSTILE) for n in (1, 2)), a_person(3, given_name=HOSTILE, national_id=""))
    pipeline.commit(*(an_enrolment(n, person=n, group=1) for n in (1, 2, 3)))
    pipeline.compact()
    pipeline.commit(an_enrolment(2, person=2), gone=True)
    pipeline.deliver(a_message(table=HOSTILE))
    pipeline.compact(seconds=1)
    yield pipeline
    pipeline.close()


def a_message(table: str) -> bytes:
    row = {"owner_id": 1, "id": int(NUMBER), HOSTILE: HOSTILE}
    return encode(
        Envelope(
            source=Source(schema=HOSTILE, table=table, epoch=1),
            op="c",
            after=row,
            transaction=Transaction("7:900", 1, 1, last=True),
        )
    )


def run(pipeline: Pipeline, *arguments: str) -> Result:
    (hold,) = open_holds(pipeline.connection)
    (message,) = pipeline.connection.execute("select quarantine_id from imsfeed.quarantine").fetchone() or (0,)
    places = {"HOLD": str(hold.hold_id), "MESSAGE": str(message)}
    return CliRunner().invoke(app, [places.get(one, one) for one in arguments])


def unseen(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in "\n\r\ufeff"}


def test_hostile_data_reaches_no_terminal_raw(pipeline: Pipeline) -> None:
    for arguments in COMMANDS:
        result = run(pipeline, *arguments)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        assert unseen(result.output) == set(), arguments
        digits = re.sub(r"\D", "", result.output)
        assert NUMBER not in digits, arguments
        assert NUMBER.lstrip("0") not in digits, arguments


def test_hostile_codes_are_shown_as_they_are_written(pipeline: Pipeline) -> None:
    assert "8[/b]A [red]" in run(pipeline, "holds", "show", "HOLD").output
    (person,) = json.loads(run(pipeline, "holds", "show", "HOLD", "--json").output)["persons"]
    assert person["loses"]["groups"][0].startswith("8[/b]A [red]***********")


@pytest.mark.parametrize(
    ("command", "table", "columns"),
    [
        (("holds", "approve", "HOLD", "--digest", "DIGEST"), "hold_audit", "decided_by, reason"),
        (("holds", "reject", "HOLD"), "hold_audit", "decided_by, reason"),
        (("quarantine", "discard", "MESSAGE"), "quarantine_audit", "done_by, explanation"),
        (("suppress", "1", "3"), "suppression_audit", "who, reason"),
        (("leave-now", "1", "3"), "suppression_audit", "who, reason"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_what_is_typed_for_an_audit_is_kept_without_national_ids(
    pipeline: Pipeline, command: tuple[str, ...], table: str, columns: str
) -> None:
    (hold,) = open_holds(pipeline.connection)
    command = tuple(hold.digest if one == "DIGEST" else one for one in command)
    typed = ("--reason", f"asked for by {SPACED}\x1b[2J", "--name", f"Kari {NUMBER}")
    result = run(pipeline, *command, *typed)
    assert result.exit_code == 0, result.output
    row: Any = pipeline.connection.execute(f"select {columns} from imsfeed.{table}").fetchone()  # noqa: S608 - of this test
    assert row == ("Kari ***********", "asked for by ***********\\x1b[2J")


@pytest.mark.parametrize(
    "arguments",
    [
        ("holds", "show", "999"),
        ("holds", "reject", "999", "--reason", "x"),
        ("quarantine", "show", "999"),
        ("quarantine", "discard", "999", "--reason", "x"),
        ("why", "lms", "999"),
        ("why", "moodle", "1"),
        ("report", "moodle"),
        ("plan", "moodle"),
        ("targets", "show", "moodle"),
        ("targets", "set", "moodle", "enabled=true"),
        ("leave-now", "99", "1", "--reason", "x"),
        ("docs", "moodel"),
    ],
    ids=" ".join,
)
def test_what_is_named_and_does_not_exist_ends_with_2(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert pipeline.manifest().state == "held"
    monkeypatch.setattr("sys.argv", ["imsfeed", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("imsfeed: ")
