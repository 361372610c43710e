"""`imsfeed report` and `imsfeed why` on a real state database."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from ims.errors import InvalidSettingsError
from ims.feed.manifest import delta_path
from tests.support.builders import a_d_number, a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Learners 1 (in groups 1 and 2), 2 and 6 (without a national id), teacher 3, group 4 ended, 5 protected."""
    monkeypatch.setenv("STATE_DSN", state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target()
    ended = a_group(4, ends_on=pipeline.now.date().replace(day=1))
    pipeline.commit(an_owner(), a_school(1), a_school(2, name="Vest"), a_group(1), a_group(2, school=2), ended)
    pipeline.commit(a_person(1), a_person(2, national_id=None), a_person(3), a_person(5, protected=True))
    pipeline.commit(a_person(6, national_id=None, given_name="Åse"), an_enrolment(6, person=6, group=2))
    pipeline.commit(an_enrolment(1, person=1, group=1), an_enrolment(2, person=1, group=2))
    pipeline.commit(an_enrolment(3, person=2, group=1), an_enrolment(5, person=5, group=1))
    pipeline.commit(an_employee(1, person=3), an_enrolment(4, person=3, group=1, role="teacher"))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    for number in range(1, 10):
        national_id = a_person(number).national_id
        assert national_id is not None
        assert national_id.reveal() not in re.sub(r"\s", "", result.output)
    return result


def why(*arguments: str) -> str:
    result = run("why", "lms", *arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("pipeline")
def test_the_report_names_every_excluded_person_and_group(tmp_path: Path) -> None:
    result = run("report", "lms", "--format", "csv")
    assert result.exit_code == 0
    lines = [line.split(";") for line in result.output.splitlines()]
    named = [line[:5] for line in lines[1:]]
    assert named == [
        ["person", "2", "Ada Testesen 2", "Fjordvik voksenopplæring", "Norsk B1 (B1)"],
        ["person", "6", "Åse Testesen 6", "Vest", "Norsk B2 (B2)"],
        ["gruppe", "4", "Norsk B4 (B4)", "Fjordvik voksenopplæring", ""],
        ["person", "5", "", "", ""],
    ]
    out = tmp_path / "report.html"
    assert run("report", "1/lms", "--out", str(out), "--language", "en").output == ""
    assert 'lang="en"' in out.read_text(encoding="utf-8")
    assert "Åse Testesen 6" in out.read_text(encoding="utf-8")
    assert oct(out.stat().st_mode & 0o777) == "0o640"


@pytest.mark.usefixtures("pipeline")
def test_the_default_report_is_a_page_in_bokmal() -> None:
    assert run("report", "lms").output.startswith('<!DOCTYPE html>\n<html lang="nb">')


@pytest.mark.usefixtures("pipeline")
def test_a_target_that_does_not_exist_is_an_error() -> None:
    assert run("report", "moodle").exit_code != 0


@pytest.mark.usefixtures("pipeline")
def test_why_shows_a_persons_role_in_the_feed() -> None:
    assert why("1") == (
        "Person 1 is in the feed of lms, as learner, under a national id.\nSince before the first delta.\n"
        "In these groups:\n  Norsk B1: learner\n  Norsk B2: learner\nNo delta mentions the person.\n"
    )
    assert "as teacher" in why("3")
    assert "  Norsk B1: teacher" in why("3")


@pytest.mark.usefixtures("pipeline")
def test_why_says_which_rule_keeps_a_person_out_and_where_to_mend_it() -> None:
    said = why("2")
    assert said.startswith("Person 2 is not in the feed of lms.\n")
    assert "(national_id_missing)" in said
    assert "How to correct it: Register a valid" in said
    assert "Since 2026-10-15 12:00." in said
    assert "Rettes slik: Registrer gyldig fødselsnummer" in why("2", "--language", "nb")


def test_why_names_the_delta_that_published_the_person(pipeline: Pipeline) -> None:
    pipeline.commit(a_person(2))
    pipeline.compact(minutes=1)
    pipeline.commit(an_enrolment(1, person=1, group=1, status="withdrawn"))
    pipeline.compact(minutes=1)
    assert "Since 2026-10-15 12:01." in why("2")
    assert "Last published in delta 1, of 2026-10-15 12:01: 1 x person new, 1 x membership new." in why("2")
    assert "Last published in delta 2, of 2026-10-15 12:02: 1 x membership removed." in why("1")
    assert "Since before the first delta." in why("1")
    pipeline.commit(an_enrolment(3, person=2, group=1, status="withdrawn"))
    pipeline.compact(minutes=1)
    assert "Last published in delta 3, of 2026-10-15 12:03: 1 x person removed, 1 x membership removed." in why("2")
    assert "(no_active_enrolment)" in why("2")


def test_why_shows_roles_that_only_memberships_contain(pipeline: Pipeline) -> None:
    pipeline.target(dialect="pifu")
    pipeline.compact(minutes=1)
    assert "as learner, under a national id" in why("1")
    assert "as teacher, under a national id" in why("3")


def test_since_counts_from_the_persons_present_id(pipeline: Pipeline) -> None:
    pipeline.commit(a_person(1, national_id=a_d_number(1)))
    pipeline.compact(minutes=1)
    pipeline.commit(a_person(1, national_id=a_d_number(1), given_name="Ida"))
    pipeline.compact(minutes=1)
    said = why("1")
    assert "Since 2026-10-15 12:01." in said
    assert "Last published in delta 2, of 2026-10-15 12:02: 1 x person changed." in said
    assert a_d_number(1) not in said


def test_a_group_id_is_not_mistaken_for_a_running_number(pipeline: Pipeline) -> None:
    """A person's running number and the id of a group may be the same number; their kinds distinguish them."""
    pipeline.target(include_without_national_id=True, group_id="{id}")
    pipeline.compact(minutes=1)
    assert "running number" in why("2")
    pipeline.commit(a_group(2, school=2, name="Ny"))
    pipeline.compact(minutes=1)
    assert "Last published in delta 1," in why("2")


def test_why_says_when_the_delta_is_no_longer_kept(pipeline: Pipeline) -> None:
    for name in ("Ny", "Nyere"):
        pipeline.commit(a_person(3, family_name=name))
        pipeline.compact(minutes=1)
    pipeline.connection.execute("delete from imsfeed.delta where seq = 1")
    (pipeline.folder() / delta_path(1)).unlink()
    said = why("1")
    assert "Since before the oldest delta kept (2, of 2026-10-15 12:02)." in said
    assert "Last published before the oldest delta kept (2, of 2026-10-15 12:02)." in said


def test_why_says_that_a_target_is_disabled(pipeline: Pipeline) -> None:
    pipeline.target(enabled=False)
    assert "the target is disabled; `imsfeed targets set lms enabled=true` enables it.\n" in why("1")
    pipeline.target(name="idm", enabled=False)
    assert "Person 1 has not been evaluated for idm yet." in run("why", "idm", "1").output


@pytest.mark.usefixtures("pipeline")
def test_an_unknown_person_is_an_error() -> None:
    result = run("why", "lms", "999")
    assert isinstance(result.exception, InvalidSettingsError)
    assert "person 999 is not known" in str(result.exception)
