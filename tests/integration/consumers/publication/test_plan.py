"""`imsfeed plan`: it shows what the next publication does, and changes nothing."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner, Result

from consumers.database import sessions
from consumers.database.targets_table import find_target
from consumers.publication import gathering
from consumers.publication.plan import Excluded, Plan, plan
from deploy.cli import app
from ims.errors import InvalidSettingsError
from ims.rules.eligibility import Reason
from ims.targets.written_settings import changed
from tests.support.builders import (
    a_birth_number,
    a_d_number,
    a_group,
    a_person,
    a_school,
    an_employee,
    an_enrolment,
    an_owner,
)
from tests.support.pipeline import Pipeline

EVERYTHING = "select table_name from information_schema.tables where table_schema = 'imsfeed' order by 1"


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Yield learner 1 in groups 1 (norsk) and 2 (grunnskole), 2 and 4 in group 1, teacher 3, and 5 without a group."""
    monkeypatch.setenv("STATE_DSN", state_dsn)
    monkeypatch.setenv("COLUMNS", "200")
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2, programme="grunnskole"))
    pipeline.commit(*(a_person(number) for number in range(1, 6)), an_employee(1, person=3))
    pipeline.commit(an_enrolment(1, person=1, group=1), an_enrolment(2, person=1, group=2))
    pipeline.commit(an_enrolment(3, person=2, group=1), an_enrolment(4, person=4, group=1))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def planned(pipeline: Pipeline, name: str = "lms", **changes: Any) -> Plan:
    row = find_target(pipeline.connection, name)
    return plan(pipeline.connection, row, changed(row.settings, changes), pipeline.now)


def said(found: Plan) -> dict[tuple[str, str], tuple[int, list[int], list[str]]]:
    return {(line.kind, line.what): (line.count, line.persons, line.groups) for line in found.changes}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


def everything(pipeline: Pipeline) -> dict[str, Counter[tuple[Any, ...]]]:
    names = [name for (name,) in pipeline.connection.execute(EVERYTHING).fetchall()]
    return {
        name: Counter(
            pipeline.connection.execute(
                sql.SQL("select t::text from {} t").format(sql.Identifier("imsfeed", name))
            ).fetchall()
        )
        for name in names
    }


def test_a_narrower_scope_takes_away_groups_members_and_persons(pipeline: Pipeline) -> None:
    found = planned(pipeline, scope="grunnskole")
    assert said(found) == {
        ("person", "gone"): (2, [2, 4], []),
        ("group", "gone"): (1, [], ["group-1"]),
        ("membership", "gone"): (3, [1, 2, 4], []),
    }
    assert found.losing_last_membership == [2, 4]
    assert found.excluded == [
        Excluded("person", Reason.NO_ACTIVE_ENROLMENT, 3, 2),
        Excluded("group", Reason.OUT_OF_SCOPE, 1, 1),
    ]
    assert (found.state, found.worked_out, found.first, found.persons) == ("ok", True, False, 5)


def test_losses_by_a_setting_would_wait_for_an_approval(
    pipeline: Pipeline,
) -> None:
    assert planned(pipeline, scope="grunnskole").would_hold
    assert not planned(pipeline, login="email").would_hold
    pipeline.commit(an_enrolment(3, person=2, group=1, status="withdrawn"))
    assert not planned(pipeline).would_hold
    assert "would wait for an approval" in run("lms", "scope=grunnskole").stdout


def test_a_first_publication_would_wait_unless_it_is_accepted(pipeline: Pipeline) -> None:
    pipeline.target(name="other", accept_initial=False)
    assert planned(pipeline, "other").would_hold
    assert not planned(pipeline, "other", accept_initial=True).would_hold


def test_a_plan_names_persons_with_changed_ids(pipeline: Pipeline) -> None:
    found = planned(pipeline, person_id="running")
    assert found.changed_ids == [1, 2, 3, 4]
    assert said(found)["person", "new"] == said(found)["person", "gone"] == (4, [1, 2, 3, 4], [])
    assert found.losing_last_membership == []


def test_a_plan_without_settings_shows_unpublished_changes(pipeline: Pipeline) -> None:
    assert planned(pipeline).changes == []
    pipeline.commit(a_person(2, given_name="Ny"), an_enrolment(4, person=4, group=1, status="ended"))
    assert said(planned(pipeline)) == {
        ("person", "changed"): (1, [2], []),
        ("person", "gone"): (1, [4], []),
        ("membership", "gone"): (1, [4], []),
    }


def test_a_day_that_has_passed_is_not_published_yet(pipeline: Pipeline) -> None:
    pipeline.commit(an_enrolment(3, person=2, group=1, ends_on=pipeline.now.date()))
    pipeline.compact(seconds=1)
    pipeline.now += timedelta(days=1)
    assert planned(pipeline).losing_last_membership == [2]


def test_a_target_that_was_never_published_is_sent_everything(pipeline: Pipeline) -> None:
    pipeline.target(name="idm", enabled=False)
    found = planned(pipeline, "idm", enabled=True)
    assert (found.first, found.state) == (True, "waiting")
    assert {key: count for key, (count, _, _) in said(found).items()} == {
        ("person", "new"): 4,
        ("group", "new"): 2,
        ("membership", "new"): 4,
    }
    assert found.excluded == [Excluded("person", Reason.NO_ACTIVE_ENROLMENT, 1, 0)]
    pipeline.target(name="idm")
    pipeline.compact(seconds=1)
    assert pipeline.manifest("idm").snapshot.counts.person == 4


def test_a_disabled_target_is_worked_out_as_enabled(pipeline: Pipeline) -> None:
    found = planned(pipeline, enabled=False, scope="grunnskole")
    assert (found.state, found.losing_last_membership) == ("disabled", [2, 4])


def test_a_target_that_would_be_halted_is_not_worked_out(pipeline: Pipeline) -> None:
    pipeline.commit(an_owner(orgnr=None))
    found = planned(pipeline, scope="grunnskole")
    assert (found.state, found.worked_out, found.changes) == ("stale", False, [])
    pipeline.target(name="idm")
    assert planned(pipeline, "idm").worked_out is False


def test_a_setting_that_invalidates_the_owners_number_stops_the_feed(pipeline: Pipeline) -> None:
    pipeline.commit(an_owner(orgnr="123456785"))
    pipeline.connection.execute("update imsfeed.target set orgnr = '123456785'")
    assert planned(pipeline).state == "ok"
    assert planned(pipeline, allow_test_numbers=False).state == "stale"


def test_a_plan_says_that_a_transaction_arrived_in_part(pipeline: Pipeline) -> None:
    assert not planned(pipeline).arriving
    pipeline.commit(a_person(2), whole=False)
    assert planned(pipeline).arriving


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_plan_is_the_same_in_parts_of_any_size(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Another person, in another part, may have a person's old id."""
    pipeline.target(dialect="pifu")
    pipeline.compact(seconds=1)
    pipeline.commit(a_person(1, national_id=a_d_number(1)))
    pipeline.compact(seconds=1)
    pipeline.commit(a_person(5, national_id=a_birth_number(1)), an_enrolment(9, person=5))
    assert said(planned(pipeline))["person", "changed"] == (1, [1], [])
    whole = planned(pipeline, group_id="{code}", dialect="pifu")
    monkeypatch.setattr(gathering, "CHUNK", size)
    seen: list[tuple[int, int]] = []
    row = find_target(pipeline.connection, "lms")
    settings = changed(row.settings, {"group_id": "{code}", "dialect": "pifu"})
    assert plan(pipeline.connection, row, settings, pipeline.now, lambda done, of: seen.append((done, of))) == whole
    assert (seen[0], seen[-1]) == ((0, 5), (5, 5))
    assert len(seen) > 2


def test_a_plan_reads_one_state_and_cannot_write(pipeline: Pipeline, state_dsn: str) -> None:
    names = "select name from imsfeed.owner"
    with sessions.connect(state_dsn, "test") as other, sessions.read_only(other):
        before = other.execute(names).fetchall()
        pipeline.commit(an_owner(name="Ny kommune"))
        assert other.execute(names).fetchall() == before
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), other.transaction():
            other.execute("update imsfeed.owner set name = 'x'")


def test_a_plan_changes_nothing_and_waits_for_no_publication(pipeline: Pipeline) -> None:
    before = everything(pipeline)
    with pipeline.connection.transaction():
        pipeline.connection.execute("select from imsfeed.target for update")
        result = run("lms", "scope=grunnskole")
    assert result.exit_code == 0, result.output
    assert everything(pipeline) == before


def test_the_command_shows_some_running_numbers_and_counts_the_others(pipeline: Pipeline) -> None:
    pipeline.target(name="idm")
    output = run("1/lms", "scope=grunnskole", "--show", "1").output
    lines = [" ".join(line.replace("│", " ").split()) for line in output.splitlines()]
    assert "person gone 2 2 and 1 more" in lines
    assert "group gone 1 group-1" in lines
    assert "persons losing their last membership 2 2 and 1 more" in lines
    assert "person no_active_enrolment 3 2" in lines
    assert "Nothing would be published." not in output
    assert "this would be its first publication" in run("idm").output
    assert "the target is disabled" in run("lms", "enabled=false").output
    assert "Nothing would be published." in run("lms").output


@pytest.mark.usefixtures("pipeline")
def test_a_plan_is_complete_as_json() -> None:
    found = msgspec.json.decode(run("lms", "scope=grunnskole", "--json").stdout, type=Plan)
    assert found.losing_last_membership == [2, 4]


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize(
    "arguments", [("moodle",), ("lms", "scope"), ("lms", "scope=everything"), ("lms", "nonsense=1"), ("lms", "owner=2")]
)
def test_an_unknown_target_or_setting_is_an_error(arguments: tuple[str, ...]) -> None:
    assert isinstance(run(*arguments).exception, InvalidSettingsError)
