"""`imsfeed holds`: what it shows, and what an approval or a rejection does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app, main
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import id_of, next_delta
from tests.support.pipeline import Pipeline


@pytest.fixture
def held(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A target with three learners, of whom two have left, where the limit is one."""
    monkeypatch.setenv("STATE_DSN", state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target(hold_hour_persons=1, hold_hour_persons_percent=0)
    pipeline.commit(an_owner(), a_school(1), a_group(1), *map(a_person, range(1, 4)))
    pipeline.commit(*(an_enrolment(n, person=n) for n in range(1, 4)))
    pipeline.compact()
    pipeline.commit(an_enrolment(1, person=1), an_enrolment(2, person=2), gone=True)
    pipeline.compact(seconds=1)
    yield pipeline
    pipeline.close()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["holds", *arguments], env={"COLUMNS": "200"})
    assert [number for number in range(1, 4) if id_of(number) in re.sub(r"\s", "", result.output)] == []
    return result


def shown(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").output)


def failed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["imsfeed", "holds", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_hold_shows_its_persons_by_running_number(held: Pipeline) -> None:
    (listed,) = shown("list")
    number = str(listed["hold_id"])
    assert (listed["target"], listed["cause"], listed["state"], listed["persons"]) == ("1/lms", "persons", "waiting", 2)
    assert listed["digest"][:12] in run("list").output
    details = shown("show", number)
    assert [person["person"] for person in details["persons"]] == [1, 2]
    assert details["persons"][0]["loses"]["groups"] == ["group-1"]
    text = run("show", number).output
    assert listed["digest"] in text
    assert "2 persons (2 removed, 0 with another id), 2 memberships, 0 groups removed" in text
    assert "everything: removed from the feed; membership in group-1" in text
    assert held.manifest().state == "held"


def test_an_approved_hold_is_published_by_the_next_delta(held: Pipeline) -> None:
    (listed,) = shown("list")
    arguments = (str(listed["hold_id"]), "--digest", listed["digest"][:12].upper(), "--reason", "term is over")
    result = run("approve", *arguments, "--name", "Kari")
    assert (result.exit_code, "approved hold" in result.output) == (0, True)
    assert len(next_delta(held)) == 4
    assert run("list").output == "No hold is open.\n"
    assert held.connection.execute("select decided_by from imsfeed.hold_audit").fetchall() == [("Kari",)]


def test_a_changed_hold_is_not_approved(
    held: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (listed,) = shown("list")
    number = str(listed["hold_id"])
    held.commit(an_enrolment(3, person=3), a_person(4), an_enrolment(4, person=4))
    held.compact(seconds=1)
    held.commit(an_enrolment(3, person=3), an_enrolment(4, person=4), gone=True)
    held.compact(seconds=1)
    assert failed(monkeypatch, "approve", number, "--digest", listed["digest"], "--reason", "term is over") == 1
    assert f"look again with `imsfeed holds show {number}`" in capsys.readouterr().err
    assert next_delta(held) == set()


def test_a_rejected_hold_is_listed_as_rejected(held: Pipeline) -> None:
    (listed,) = shown("list")
    assert run("reject", str(listed["hold_id"]), "--reason", "wrong import").exit_code == 0
    assert [hold["state"] for hold in shown("list")] == ["rejected"]
    assert next_delta(held) == set()


@pytest.mark.parametrize("command", [("show", "77"), ("reject", "77", "--reason", "x")])
def test_an_unknown_hold_is_named_and_exits_with_2(
    held: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert held.manifest().state == "held"
    assert failed(monkeypatch, *command) == 2
    assert "hold 77" in capsys.readouterr().err


def test_the_status_has_a_line_for_each_hold(held: Pipeline) -> None:
    assert held.manifest().state == "held"
    output = CliRunner().invoke(app, ["status"], env={"COLUMNS": "200"}).output
    assert re.search(r"1/lms hold \d+ waiting: persons, since .*: 2 persons, 0 groups", output)


def test_a_first_publication_is_counted_before_it_is_approved(
    state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DSN", state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target(accept_initial=False)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    (listed,) = shown("list")
    number = str(listed["hold_id"])
    assert "a first publication of 1 persons, 1 groups, 1 memberships" in run("show", number).output
    digest = shown("show", number)["hold"]["digest"]
    assert run("approve", number, "--digest", digest, "--reason", "looked at").exit_code == 0
    pipeline.compact(seconds=1)
    assert len(pipeline.snapshot()) == 3
    pipeline.close()
