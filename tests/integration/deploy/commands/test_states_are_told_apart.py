"""Status, why, report and mails on a real state database: in the feed, held, excluded and not published yet."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consumers.notices import notice_store
from deploy.cli import app
from ims.reports.mail_texts import daily
from tests.support.builders import ORGNR, a_birth_number, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline

Start = Callable[..., Pipeline]


@pytest.fixture
def start(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A function that makes a target with these settings, and its owner with six learners."""
    monkeypatch.setenv("STATE_DSN", state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path / "feed")

    def started(**settings: Any) -> Pipeline:
        pipeline.target(**settings)
        pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), *map(a_person, range(1, 6)))
        pipeline.commit(*(an_enrolment(n, person=n) for n in range(1, 6)))
        pipeline.commit(a_person(6, national_id=None), an_enrolment(6, person=6))
        pipeline.compact()
        return pipeline

    yield started
    pipeline.close()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def mail_of(pipeline: Pipeline) -> str:
    from consumers.database.targets_table import find_target  # noqa: PLC0415 - only here

    target = find_target(pipeline.connection, "lms")
    return daily(notice_store.figures(pipeline.connection, target, (), None, pipeline.now)).text


def everything(pipeline: Pipeline) -> str:
    return "\n".join([
        run("report", "lms"),
        run("report", "lms", "--format", "csv"),
        run("why", "lms", "1", "--language", "nb"),
        mail_of(pipeline),
    ])


def in_csv() -> dict[str, str]:
    lines = csv.DictReader(StringIO(run("report", "lms", "--format", "csv")[1:]), delimiter=";")
    return {f"{line['Type']} {line['Løpenummer']}": line["Status"] for line in lines}


def test_held_persons_are_not_called_excluded_anywhere(start: Start) -> None:
    pipeline = start(hold_hour_persons=1, hold_hour_persons_percent=0)
    pipeline.commit(an_enrolment(1, person=1), an_enrolment(2, person=2), gone=True)
    pipeline.compact(seconds=1)
    assert in_csv() == {
        "person 1": "på vent, fortsatt med",
        "person 2": "på vent, fortsatt med",
        "person 6": "ikke med",
    }
    said = run("why", "lms", "1")
    assert "Held: person 1 is still in the feed" in said
    assert "`imsfeed holds approve" in said
    assert "Person 1 is in the feed of lms, as learner" in said
    assert "is not in the feed" not in said
    (target,) = json.loads(run("status", "--json"))["targets"]
    assert [(one["id"], one["reason"]) for one in target["excluded"]] == [(6, "national_id_missing")]
    assert "verken deltaker" not in mail_of(pipeline)
    assert "still in the feed until decided" in run("status")


def test_a_held_first_publication_is_the_reason_that_is_given(start: Start) -> None:
    pipeline = start(accept_initial=False)
    said = everything(pipeline)
    assert said.count("den første eksporten har ventet på godkjenning") >= 4
    assert "Alle personer og grupper er med" not in said
    assert "rganisasjonsnummer" not in said
    assert "the first export has been waiting for an approval" in run("status")
    assert "not in the feed" not in run("why", "lms", "1")
    assert "has not been evaluated" in run("why", "lms", "1")


def test_a_missing_volume_is_the_reason_that_is_given(start: Start) -> None:
    pipeline = start()
    shutil.rmtree(pipeline.folder())
    pipeline.commit(a_person(1, given_name="Ida"))
    pipeline.compact(seconds=60)
    said = everything(pipeline)
    assert "filene er borte" in said
    assert "rganisasjonsnummer" not in said
    assert "mount the feed's volume" in run("why", "lms", "1")


@pytest.mark.parametrize(
    ("registered", "said"),
    [
        (ORGNR, "allow_test_numbers=true"),
        ("", "has no organisation number"),
        (None, "has no organisation number"),
        ("12", "is no organisation number"),
    ],
)
def test_a_number_that_is_not_accepted_is_named_with_its_key(start: Start, registered: str | None, said: str) -> None:
    pipeline = start(allow_test_numbers=False)
    pipeline.commit(an_owner(orgnr=registered))
    pipeline.compact(seconds=1)
    assert said in run("status")
    assert said in run("plan", "lms")
    assert said in run("report", "lms", "--language", "en")
    (target,) = json.loads(run("status", "--json"))["targets"]
    assert target["obstacle"] in {"test_number", "number_missing", "number_invalid"}


def test_persons_with_one_national_id_name_each_other_in_the_report(start: Start) -> None:
    pipeline = start()
    pipeline.commit(*(a_person(n, national_id=a_birth_number(3)) for n in (8, 9)))
    pipeline.commit(*(an_enrolment(n, person=n) for n in (8, 9)))
    pipeline.compact(seconds=1)
    lines = csv.DictReader(StringIO(run("report", "lms", "--format", "csv")[1:]), delimiter=";")
    same = {line["Løpenummer"]: line["Samme nummer eller kode som"] for line in lines if line["Type"] == "person"}
    assert same["8"].split(", ")[-1] == "9" or same["9"].split(", ")[0] == "8"
    assert a_birth_number(3) not in run("report", "lms")
