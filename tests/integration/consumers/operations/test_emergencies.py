"""Emergency orders in the feed: the next delta removes the person, and no later one does again."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from consumers.compact.process import Compactor
from consumers.database import sessions
from consumers.facts import suppressions
from ims.errors import InvalidSettingsError
from ims.records.vocabulary import RecordKind, RecStatus
from ims.source.facts import Fact
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.emergencies import WHY, a_small_school, audit, done, refused
from tests.support.feed_words import Entries, group, member, next_delta, person
from tests.support.pipeline import Immediately, Pipeline

GONE, NEW = RecStatus.GONE, RecStatus.NEW
ALL_OF_1: Entries = {(person(1), GONE), (member("group-1", 1), GONE), (member("group-2", 1), GONE)}


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("STATE_DSN", state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    a_small_school(pipeline)
    yield pipeline
    pipeline.close()


def excluded(pipeline: Pipeline, number: int = 1) -> str | None:
    row = pipeline.connection.execute(
        "select reason from imsfeed.exclusion where kind = 1 and id = %s", (number,)
    ).fetchone()
    return None if row is None else str(row[0])


def let_changes_settle_for_an_hour(pipeline: Pipeline) -> None:
    """Publish a change only when it is an hour old."""
    settings = pipeline.settings.model_copy(update={"settle_seconds": 3600})
    pipeline.compactor = Compactor(settings, pipeline.metrics, pipeline.connection, Immediately())


@pytest.mark.parametrize("command", ["suppress", "leave-now"])
def test_an_order_removes_only_that_person_from_every_group(pipeline: Pipeline, command: str) -> None:
    done(command, "1", "1", *WHY)
    assert next_delta(pipeline) == ALL_OF_1
    assert '<role roletype="01" recstatus="3">' in (pipeline.folder() / "deltas/1.xml").read_text()
    assert excluded(pipeline) == ("person_suppressed" if command == "suppress" else "leave_now")
    assert next_delta(pipeline) == set()
    assert pipeline.verification().problems == []


def test_an_order_does_not_wait_for_settling_changes(pipeline: Pipeline) -> None:
    let_changes_settle_for_an_hour(pipeline)
    pipeline.commit(a_person(1, given_name="Ny"), a_person(2, given_name="Ny"))
    assert next_delta(pipeline) == set()
    done("suppress", "1", "1", *WHY)
    assert next_delta(pipeline) == ALL_OF_1


def test_an_order_does_not_wait_for_an_open_transaction(pipeline: Pipeline) -> None:
    pipeline.commit(a_person(2, given_name="Ny"), a_school(1, school_no=None), whole=False)
    done("leave-now", "1", "1", *WHY)
    assert next_delta(pipeline) == ALL_OF_1
    assert excluded(pipeline) == "leave_now"
    assert next_delta(pipeline) == set()


def test_an_order_is_published_alone_in_the_published_dialect(pipeline: Pipeline) -> None:
    pipeline.target(dialect="pifu", source="another", excluded_groups=(2,))
    done("suppress", "1", "1", *WHY)
    pipeline.compact(seconds=1)
    assert {(record.key, status) for record, status in pipeline.delta(1)} == ALL_OF_1
    assert "another" not in (pipeline.folder() / "deltas/1.xml").read_text()
    pipeline.approve(seconds=1)
    last = pipeline.manifest().head_seq
    assert (group("group-2"), GONE) in {(record.key, status) for record, status in pipeline.delta(last)}
    assert pipeline.verification().problems == []


def test_an_emergency_leaver_stays_in_the_file_as_a_tombstone(pipeline: Pipeline) -> None:
    pipeline.target(export_path="Eksport.xml", export_shape="tombstones")
    pipeline.compact(seconds=1)
    done("leave-now", "1", "1", *WHY)
    pipeline.compact(minutes=2)
    assert '<role roletype="01" recstatus="3">' in (pipeline.folder() / "Eksport.xml").read_text()


@pytest.mark.parametrize(
    "changes",
    [
        [a_person(1, given_name="Ny", national_id=a_birth_number(77))],
        [an_enrolment(9, person=1, group=2)],
        [an_enrolment(1, person=1, group=1, status="ended"), an_enrolment(2, person=1, group=2, status="ended")],
        [an_employee(9, person=1)],
        [a_person(1, protected=True)],
        [a_person(99, national_id=a_birth_number(1)), an_enrolment(99, person=99)],
    ],
)
def test_no_change_in_the_source_readds_a_suppressed_person(pipeline: Pipeline, changes: list[Fact]) -> None:
    done("suppress", "1", "1", *WHY)
    next_delta(pipeline)
    for fact in changes:
        pipeline.commit(fact)
        assert next_delta(pipeline) == set()
    pipeline.commit(an_enrolment(10, person=1, group=1), a_person(1))
    assert next_delta(pipeline) == set()
    pipeline.connection.execute("update imsfeed.target set recompute = true")
    assert next_delta(pipeline, days=1) == set()


def test_a_suppression_is_taken_back_by_another_person_only(pipeline: Pipeline) -> None:
    done("suppress", "1", "1", *WHY, "--name", "Kari Nordmann")
    next_delta(pipeline)
    error = refused("suppress", "1", "1", *WHY, "--undo", "--name", " kari  NORDMANN")
    assert isinstance(error, InvalidSettingsError)
    assert "another person must take it back" in str(error)
    assert next_delta(pipeline) == set()
    assert "no longer suppressed" in done("suppress", "1", "1", *WHY, "--undo", "--name", "Ola Nordmann")
    assert next_delta(pipeline) == {(key, NEW) for key, _ in ALL_OF_1}
    assert [row[:2] for row in audit(pipeline)] == [
        ("Kari Nordmann", "suppressed"),
        ("Ola Nordmann", "suppressed_undone"),
    ]


def test_leave_now_ends_when_the_source_agrees(pipeline: Pipeline) -> None:
    done("leave-now", "1", "1", *WHY, "--name", "Kari")
    next_delta(pipeline)
    pipeline.commit(an_enrolment(1, person=1, group=1, status="ended"))
    assert next_delta(pipeline) == set()
    assert excluded(pipeline) == "leave_now"
    pipeline.commit(an_enrolment(2, person=1, group=2, ends_on=pipeline.now.date()))
    assert next_delta(pipeline) == set()
    assert next_delta(pipeline, days=1) == set()
    assert excluded(pipeline) == "no_active_enrolment"
    assert [row[:3] for row in audit(pipeline)] == [
        ("Kari", "leave_now", "case 26/117"),
        ("imsfeed", "leave_now_ended", "the source agrees"),
    ]
    pipeline.commit(an_enrolment(5, person=1, group=1))
    assert next_delta(pipeline) == {(person(1), NEW), (member("group-1", 1), NEW)}


def test_leave_now_ends_when_the_source_deletes_the_person(pipeline: Pipeline) -> None:
    done("leave-now", "1", "1", *WHY)
    next_delta(pipeline)
    pipeline.commit(an_enrolment(1), an_enrolment(2), a_person(1), gone=True)
    assert next_delta(pipeline) == set()
    assert audit(pipeline)[-1][1] == "leave_now_ended"


def test_a_target_without_the_groups_does_not_end_leave_now(pipeline: Pipeline) -> None:
    pipeline.target(name="idm", excluded_groups=(1, 2))
    pipeline.compact(seconds=1)
    done("leave-now", "1", "1", *WHY)
    assert next_delta(pipeline) == ALL_OF_1
    pipeline.target(name="idm")
    pipeline.compact(seconds=1)
    assert {(r.key, status) for r, status in pipeline.delta(1, "idm")} == {
        (key, NEW) for key in (group("group-1"), group("group-2"), person(2), member("group-1", 2))
    }
    assert [row[1] for row in audit(pipeline)] == ["leave_now"]


def test_grace_days_of_one_target_keep_leave_now_in_force(pipeline: Pipeline) -> None:
    pipeline.target(name="idm", grace_days=2)
    pipeline.compact(seconds=1)
    done("leave-now", "1", "1", *WHY)
    today = pipeline.now.date()
    pipeline.commit(a_group(1, ends_on=today), a_group(2, ends_on=today))
    pipeline.compact(seconds=1)
    before = pipeline.manifest("idm").head_seq
    pipeline.compact(days=1)
    assert [row[1] for row in audit(pipeline)] == ["leave_now"]
    assert pipeline.manifest("idm").head_seq == before
    pipeline.compact(days=2)
    assert [row[1] for row in audit(pipeline)] == ["leave_now", "leave_now_ended"]


def test_unsettled_changes_do_not_end_leave_now(pipeline: Pipeline) -> None:
    let_changes_settle_for_an_hour(pipeline)
    pipeline.commit(an_enrolment(1, person=1, group=1, status="ended"))
    pipeline.commit(an_enrolment(2, person=1, group=2, status="ended"))
    done("leave-now", "1", "1", *WHY)
    assert next_delta(pipeline) == ALL_OF_1
    assert [row[1] for row in audit(pipeline)] == ["leave_now"]


def test_leave_now_may_be_taken_back_by_its_own_author(pipeline: Pipeline) -> None:
    done("leave-now", "1", "1", *WHY, "--name", "Kari")
    next_delta(pipeline)
    done("leave-now", "1", "1", *WHY, "--name", "Kari", "--undo")
    assert next_delta(pipeline) == {(key, NEW) for key, _ in ALL_OF_1}


def test_an_order_taken_back_before_publication_changes_nothing(pipeline: Pipeline) -> None:
    done("leave-now", "1", "1", *WHY)
    done("leave-now", "1", "1", *WHY, "--undo")
    assert next_delta(pipeline) == set()


@pytest.mark.parametrize("command", ["suppress", "leave-now"])
def test_an_order_for_an_unknown_person_prevents_publication(pipeline: Pipeline, command: str) -> None:
    assert "has sent no such person" in done(command, "1", "50", *WHY)
    assert next_delta(pipeline) == set()
    pipeline.commit(a_person(50), an_enrolment(50, person=50))
    assert next_delta(pipeline) == set()
    assert excluded(pipeline, 50) == ("person_suppressed" if command == "suppress" else "leave_now")


def test_the_first_publication_excludes_a_suppressed_person(pipeline: Pipeline) -> None:
    done("suppress", "1", "1", *WHY)
    pipeline.target(name="idm")
    pipeline.compact(seconds=1)
    assert person(1) not in pipeline.snapshot("idm")
    assert person(2) in pipeline.snapshot("idm")


def test_a_halted_target_publishes_the_order_after_it_resumes(pipeline: Pipeline) -> None:
    pipeline.commit(an_owner(orgnr=None))
    pipeline.compact(seconds=1)
    assert "  lms: stale: nothing is published, and the feed still HAS the person" in done("suppress", "1", "1", *WHY)
    assert next_delta(pipeline) == set()
    pipeline.commit(an_owner())
    assert next_delta(pipeline) == ALL_OF_1


def test_a_leaver_is_removed_without_a_reused_login(pipeline: Pipeline) -> None:
    pipeline.connection.execute(  # as published before logins were unique
        "update imsfeed.published set xml = replace(xml, 'ada2@', 'ada1@') where person_id = 2 and kind = 1"
    )
    done("leave-now", "1", "1", *WHY)
    assert next_delta(pipeline) == ALL_OF_1
    assert "ada1@fjordvik.example" not in (pipeline.folder() / "deltas/1.xml").read_text()


def test_an_urgent_person_is_published_once(pipeline: Pipeline) -> None:
    done("suppress", "1", "1", *WHY)
    next_delta(pipeline)
    assert pipeline.connection.execute("select from imsfeed.urgent_person").fetchall() == []


def test_an_order_during_a_publication_waits_for_the_next(pipeline: Pipeline) -> None:
    with sessions.repeatable_read(pipeline.connection):
        assert suppressions.urgent(pipeline.connection, 1) == frozenset()
        done("suppress", "1", "1", *WHY)
        suppressions.delete_urgent(pipeline.connection, 1)
    assert next_delta(pipeline) == ALL_OF_1


def test_leave_now_lasts_until_both_same_id_persons_have_left(pipeline: Pipeline) -> None:
    done("leave-now", "1", "1", *WHY)
    next_delta(pipeline)
    pipeline.commit(a_person(4, national_id=a_birth_number(1)), an_enrolment(4, person=4, group=1))
    pipeline.commit(an_enrolment(1, person=1, group=1, status="ended"))
    pipeline.commit(an_enrolment(2, person=1, group=2, status="ended"))
    assert next_delta(pipeline) == set()
    assert excluded(pipeline, 4) == "leave_now"
    assert [row[1] for row in audit(pipeline)] == ["leave_now"]
    pipeline.commit(an_enrolment(4, person=4, group=1, status="ended"))
    assert next_delta(pipeline) == set()
    assert audit(pipeline)[-1][1] == "leave_now_ended"


def test_an_order_keeps_the_groups_of_owner_and_schools(pipeline: Pipeline) -> None:
    pipeline.target(org_groups=True)
    pipeline.compact(seconds=1)
    done("suppress", "1", "1", *WHY)
    said = next_delta(pipeline)
    assert said > ALL_OF_1
    assert {key.kind for key, _ in said} == {RecordKind.PERSON, RecordKind.MEMBERSHIP}


def test_leave_now_between_two_places_lasts_beyond_the_next(pipeline: Pipeline) -> None:
    pipeline.commit(an_enrolment(1, person=1, group=1, starts_on=pipeline.now.date() + timedelta(days=1)))
    pipeline.commit(an_enrolment(2, person=1, group=2), gone=True)
    pipeline.compact(seconds=1)
    assert "on a later day" in done("leave-now", "1", "1", *WHY)
    pipeline.compact(seconds=1)
    assert suppressions.in_force(pipeline.connection, 1, [1])["leave_now"] == {1}
    pipeline.compact(days=1)
    assert (excluded(pipeline), person(1) in pipeline.snapshot()) == ("leave_now", False)
    pipeline.commit(an_enrolment(1, person=1, group=1), gone=True)
    pipeline.compact(seconds=1)
    assert suppressions.in_force(pipeline.connection, 1, [1])["leave_now"] == frozenset()
