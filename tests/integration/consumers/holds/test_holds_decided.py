"""Decisions on holds, and what is shown and stored of them; the hold of a first publication."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.database import targets_table
from consumers.holds.open_holds import open_holds
from consumers.operations import approvals
from consumers.operations.approvals import HoldChangedError
from consumers.operations.holds_report import read_hold
from consumers.operations.status_report import report
from ims.errors import InvalidSettingsError
from ims.holds.losses import Cause
from ims.records.vocabulary import RecStatus
from tests.support.builders import a_person, an_enrolment
from tests.support.feed_words import approved, group, member, next_delta, person
from tests.support.held_school import MANY, approve, come_back, gone, held, leave, school, the_hold
from tests.support.pipeline import Pipeline

GONE = RecStatus.GONE


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    assert not pipeline.folder().exists() or pipeline.verification().problems == []
    pipeline.close()


@pytest.fixture
def published(pipeline: Pipeline) -> Pipeline:
    school(pipeline)
    return pipeline


def test_the_manifest_and_the_status_say_that_something_waits(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    assert published.manifest().state == "held"
    (target,) = report(published.connection).targets
    assert (target.state, [hold.persons for hold in target.holds]) == ("held", [11])
    published.compact(minutes=1)
    assert published.metrics.held_persons.labels("persons")._value.get() == 11
    assert published.metrics.targets.labels("held")._value.get() == 1
    come_back(published, *range(1, 12))
    published.compact(seconds=1)
    assert published.manifest().state == "ok"


def test_approved_persons_leave_immediately_and_count_against_no_limit(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    approve(published, the_hold(published))
    assert next_delta(published) == gone(*range(1, 12))
    assert open_holds(published.connection) == []
    leave(published, *range(12, 22))
    assert next_delta(published) == gone(*range(12, 22))


def test_an_approval_of_a_changed_set_is_refused(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    in_scope = the_hold(published)
    leave(published, *range(12, 24))
    published.compact(seconds=1)
    with pytest.raises(HoldChangedError, match="look again"):
        approve(published, in_scope)
    published.compact(seconds=1)
    assert len(held(published)) == 23


def test_a_long_enough_digest_prefix_is_accepted(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    hold = the_hold(published)
    for wrong in (hold.digest[:11], "", "x" * 12):
        with pytest.raises(InvalidSettingsError):
            approvals.approve(published.connection, hold.hold_id, wrong, "ada", "why", published.now)
    approvals.approve(published.connection, hold.hold_id, hold.digest[:12], "ada", "why", published.now)
    assert next_delta(published) == gone(*range(1, 12))


def test_losses_after_an_approval_go_on_waiting(published: Pipeline) -> None:
    published.commit(*(an_enrolment(100 + n, person=n, group=2) for n in range(1, 4)))
    published.compact(seconds=1)
    published.target(excluded_groups=(1,))
    published.compact(seconds=1)
    approve(published, the_hold(published))
    published.commit(an_enrolment(101, person=1, group=2), gone=True)
    said = next_delta(published)
    assert (member("group-1", 2), GONE) in said
    assert held(published) == [1]
    assert (group("group-1"), GONE) not in said, "a membership in it still stands"


def test_a_rejected_hold_stays_silent_and_can_be_approved(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    hold = the_hold(published)
    approvals.reject(published.connection, hold.hold_id, "ada", "wrong import", published.now)
    assert next_delta(published) == set()
    assert the_hold(published).state == "rejected"
    assert published.manifest().state == "held"
    approve(published, hold)
    assert next_delta(published) == gone(*range(1, 12))


def test_a_rejected_hold_that_grows_waits_again(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    approvals.reject(published.connection, the_hold(published).hold_id, "ada", "wrong import", published.now)
    come_back(published, 1)
    published.commit(a_person(2, protected=True))
    leave(published, *range(12, 24))
    published.compact(seconds=1)
    assert the_hold(published).state == "waiting"


def test_every_decision_is_recorded_with_name_reason_and_digest(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    hold = the_hold(published)
    approvals.reject(published.connection, hold.hold_id, "ada", "wrong import", published.now)
    approve(published, hold)
    rows = published.connection.execute(
        "select decided_by, action, reason, owner_id, name, cause, digest, persons, groups from imsfeed.hold_audit"
        " order by audit_id"
    ).fetchall()
    what = (1, "lms", "persons", hold.digest, 11, 0)
    assert rows == [("ada", "rejected", "wrong import", *what), ("ada", "approved", "term is over", *what)]


def test_a_decision_without_a_reason_is_refused(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    hold = the_hold(published)
    with pytest.raises(InvalidSettingsError, match="reason"):
        approvals.approve(published.connection, hold.hold_id, hold.digest, "ada", " ", published.now)
    with pytest.raises(InvalidSettingsError, match="reason"):
        approvals.reject(published.connection, hold.hold_id, "ada", "", published.now)
    assert the_hold(published).state == "waiting"


def test_holds_never_show_or_store_a_national_id(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    shown = str(read_hold(published.connection, the_hold(published).hold_id, published.now))
    kept = str(published.connection.execute("select * from imsfeed.hold_entry").fetchall())
    assert [n for n in range(1, 12) if person(n).id in shown + kept] == []


def test_members_of_a_group_excluded_by_a_setting_leave_once_approved(published: Pipeline) -> None:
    published.target(excluded_groups=(2,))
    assert approved(published) == {*gone(MANY), (group("group-2"), GONE)}


def test_nothing_is_published_before_an_approval(pipeline: Pipeline) -> None:
    school(pipeline, accept_initial=False)
    assert not pipeline.folder().exists()
    hold = the_hold(pipeline)
    assert (hold.cause, report(pipeline.connection).targets[0].state) == (Cause.INITIAL, "held")
    found = read_hold(pipeline.connection, hold.hold_id, pipeline.now)
    assert found.would_publish is not None
    assert (found.would_publish.person, found.would_publish.group, found.would_publish.membership) == (MANY, 2, MANY)
    pipeline.commit(a_person(90), an_enrolment(90, person=90))
    pipeline.compact(seconds=1)
    with pytest.raises(HoldChangedError):
        approve(pipeline, found.hold)
    assert not pipeline.folder().exists()
    approve(pipeline, read_hold(pipeline.connection, hold.hold_id, pipeline.now).hold)
    pipeline.compact(seconds=1)
    assert (pipeline.manifest().state, len(pipeline.snapshot())) == ("ok", 2 + 2 * (MANY + 1))
    assert open_holds(pipeline.connection) == []


def test_a_setting_that_accepts_the_first_publication_ends_its_wait(pipeline: Pipeline) -> None:
    school(pipeline, accept_initial=False)
    pipeline.target()
    pipeline.compact(seconds=1)
    assert pipeline.manifest().state == "ok"
    assert open_holds(pipeline.connection) == []


def test_holds_and_departures_of_a_target_are_its_own(published: Pipeline) -> None:
    targets_table.apply_settings(
        published.connection, [published.target(name="other", hold_day_persons=0, hold_day_persons_percent=0)], "t"
    )
    published.compact(seconds=1)
    leave(published, 1)
    published.compact(seconds=1)
    assert [hold.target for hold in open_holds(published.connection)] == ["1/other"]
    assert (published.manifest().state, published.manifest("other").state) == ("ok", "held")


def test_departures_are_deleted_after_a_day(published: Pipeline) -> None:
    leave(published, 1)
    published.compact(seconds=1)
    published.compact(days=1, minutes=1)
    assert published.connection.execute("select count(*) from imsfeed.departure").fetchone() == (0,)
