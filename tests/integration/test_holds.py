"""What waits for an approval and what goes on, from facts in a real state database to files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers import approvals, targets_table
from consumers.approvals import HoldChangedError
from consumers.holds_report import read_hold
from consumers.open_holds import Hold, open_holds
from consumers.status_report import report
from ims.errors import InvalidSettingsError
from ims.facts import Fact
from ims.holds import Cause
from ims.records import PersonRecord
from ims.vocabulary import RecStatus
from tests.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.feed_words import approved, group, member, next_delta, person
from tests.pipeline import Pipeline

NEW, CHANGED, GONE = RecStatus.NEW, RecStatus.CHANGED, RecStatus.GONE
MANY = 30
"""Learners, all in group 1 but for the last, who is in group 2."""


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    assert not pipeline.folder().exists() or pipeline.proof().problems == []
    pipeline.close()


def school(pipeline: Pipeline, **settings: Any) -> None:
    """Two groups and their learners, told."""
    pipeline.target(**settings)
    learners = [a_person(n) for n in range(1, MANY + 1)]
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), *learners)
    pipeline.commit(*(an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in range(1, MANY + 1)))
    pipeline.compact()


@pytest.fixture
def told(pipeline: Pipeline) -> Pipeline:
    school(pipeline)
    return pipeline


def leave(pipeline: Pipeline, *numbers: int) -> None:
    pipeline.commit(*(an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in numbers), gone=True)


def come_back(pipeline: Pipeline, *numbers: int) -> None:
    pipeline.commit(*(an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in numbers))


def gone(*numbers: int) -> set[tuple[Any, RecStatus]]:
    groups = {n: "group-2" if n == MANY else "group-1" for n in numbers}
    return {(key, GONE) for n in numbers for key in (person(n), member(groups[n], n))}


def the_hold(pipeline: Pipeline) -> Hold:
    (hold,) = open_holds(pipeline.connection)
    return hold


def approve(pipeline: Pipeline, hold: Hold) -> None:
    approvals.approve(pipeline.connection, hold.hold_id, hold.digest, "ada", "term is over", pipeline.now)


def held(pipeline: Pipeline) -> list[int]:
    details = read_hold(pipeline.connection, the_hold(pipeline).hold_id, pipeline.now)
    return [one.person for one in details.persons]


def test_a_loss_of_a_third_waits_whole_while_a_single_leaver_of_the_same_minute_is_told(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    assert next_delta(told) == set()
    leave(told, MANY)
    assert next_delta(told) == gone(MANY)
    assert held(told) == [*range(1, 12)]
    assert the_hold(told).cause is Cause.PERSONS


def test_additions_and_changes_go_on_in_the_very_cut_that_waits(told: Pipeline) -> None:
    told.commit(
        *(an_enrolment(n, person=n, status="ended") for n in range(1, 12)),
        a_person(40),
        an_enrolment(40, person=40),
        a_person(20, family_name="Ny"),
    )
    assert next_delta(told) == {(person(40), NEW), (member("group-1", 40), NEW), (person(20), CHANGED)}


def test_the_manifest_and_the_status_say_that_something_waits(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    assert told.manifest().state == "held"
    (target,) = report(told.connection).targets
    assert (target.state, [hold.persons for hold in target.holds]) == ("held", [11])
    told.compact(minutes=1)
    assert told.metrics.held.labels("persons")._value.get() == 11
    assert told.metrics.targets.labels("held")._value.get() == 1
    come_back(told, *range(1, 12))
    told.compact(seconds=1)
    assert told.manifest().state == "ok"


def test_nothing_is_told_about_a_person_who_waits(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    told.commit(a_person(1, family_name="Ny"))
    assert next_delta(told) == set()
    assert person(1) in told.snapshot()


def test_people_who_come_back_release_themselves(told: Pipeline) -> None:
    leave(told, *range(1, 16))
    told.compact(seconds=1)
    come_back(told, 1, 2)
    assert next_delta(told) == set()
    assert held(told) == [*range(3, 16)]
    come_back(told, 3, 4, 5)
    assert next_delta(told) == gone(*range(6, 16)), "the rest are no more than may leave in an hour"
    assert open_holds(told.connection) == []


def test_time_alone_releases_nobody(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    told.compact(days=2)
    leave(told, MANY)
    assert next_delta(told) == gone(MANY)
    assert held(told) == [*range(1, 12)]


def test_losses_that_trickle_wait_once_they_are_too_many_for_a_day(told: Pipeline) -> None:
    for number in range(1, 11):
        leave(told, number)
        assert next_delta(told, hours=2) == gone(number)
    leave(told, 11)
    assert next_delta(told, hours=2) == set()
    assert held(told) == [11]


def test_who_was_approved_is_told_at_once_and_counts_against_no_limit(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    approve(told, the_hold(told))
    assert next_delta(told) == gone(*range(1, 12))
    assert open_holds(told.connection) == []
    leave(told, *range(12, 22))
    assert next_delta(told) == gone(*range(12, 22))


def test_an_approval_of_another_set_than_was_looked_at_is_refused(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    looked_at = the_hold(told)
    leave(told, *range(12, 24))
    told.compact(seconds=1)
    with pytest.raises(HoldChangedError, match="look again"):
        approve(told, looked_at)
    told.compact(seconds=1)
    assert len(held(told)) == 23


def test_a_part_of_a_digest_is_enough_if_it_is_long_enough(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    hold = the_hold(told)
    for wrong in (hold.digest[:11], "", "x" * 12):
        with pytest.raises(InvalidSettingsError):
            approvals.approve(told.connection, hold.hold_id, wrong, "ada", "why", told.now)
    approvals.approve(told.connection, hold.hold_id, hold.digest[:12], "ada", "why", told.now)
    assert next_delta(told) == gone(*range(1, 12))


def test_what_is_lost_between_an_approval_and_the_next_cut_waits_on(told: Pipeline) -> None:
    told.commit(*(an_enrolment(100 + n, person=n, group=2) for n in range(1, 4)))
    told.compact(seconds=1)
    told.target(excluded_groups=(1,))
    told.compact(seconds=1)
    approve(told, the_hold(told))
    told.commit(an_enrolment(101, person=1, group=2), gone=True)
    said = next_delta(told)
    assert (member("group-1", 2), GONE) in said
    assert held(told) == [1]
    assert (group("group-1"), GONE) not in said, "a membership in it still stands"


def test_a_rejected_hold_stays_reminds_nobody_and_can_still_be_approved(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    hold = the_hold(told)
    approvals.reject(told.connection, hold.hold_id, "ada", "wrong import", told.now)
    assert next_delta(told) == set()
    assert the_hold(told).state == "rejected"
    assert told.manifest().state == "held"
    approve(told, hold)
    assert next_delta(told) == gone(*range(1, 12))


def test_a_rejected_hold_that_grows_waits_for_somebody_again(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    approvals.reject(told.connection, the_hold(told).hold_id, "ada", "wrong import", told.now)
    come_back(told, 1)
    told.commit(a_person(2, protected=True))
    leave(told, *range(12, 24))
    told.compact(seconds=1)
    assert the_hold(told).state == "waiting"


def test_every_decision_is_kept_with_name_reason_and_what_was_decided_on(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    hold = the_hold(told)
    approvals.reject(told.connection, hold.hold_id, "ada", "wrong import", told.now)
    approve(told, hold)
    rows = told.connection.execute(
        "select decided_by, action, reason, owner_id, name, cause, digest, persons, groups from imsfeed.hold_audit"
        " order by audit_id"
    ).fetchall()
    what = (1, "lms", "persons", hold.digest, 11, 0)
    assert rows == [("ada", "rejected", "wrong import", *what), ("ada", "approved", "term is over", *what)]


def test_a_decision_without_a_reason_is_refused(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    hold = the_hold(told)
    with pytest.raises(InvalidSettingsError, match="reason"):
        approvals.approve(told.connection, hold.hold_id, hold.digest, "ada", " ", told.now)
    with pytest.raises(InvalidSettingsError, match="reason"):
        approvals.reject(told.connection, hold.hold_id, "ada", "", told.now)
    assert the_hold(told).state == "waiting"


def test_nothing_that_is_shown_or_kept_of_a_hold_holds_a_national_id(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    shown = str(read_hold(told.connection, the_hold(told).hold_id, told.now))
    kept = str(told.connection.execute("select * from imsfeed.held").fetchall())
    assert [n for n in range(1, 12) if person(n).id in shown + kept] == []


def test_a_group_stands_while_a_member_of_it_waits(told: Pipeline) -> None:
    told.commit(a_group(1, active=False))
    assert next_delta(told) == set()
    assert group("group-1") in told.snapshot()
    assert (group("group-1"), GONE) in approved(told)


def test_a_group_whose_members_come_back_in_another_goes(told: Pipeline) -> None:
    told.commit(a_group(1, active=False))
    told.compact(seconds=1)
    told.commit(*(an_enrolment(n, person=n, group=2) for n in range(1, MANY)))
    said = next_delta(told)
    assert {(group("group-1"), GONE), (member("group-1", 1), GONE), (member("group-2", 1), NEW)} <= said
    assert open_holds(told.connection) == []


def test_teachers_wait_by_a_limit_of_their_own_and_the_learners_of_the_cut_go(told: Pipeline) -> None:
    told.commit(*(a_person(n) for n in range(50, 54)), *(an_employee(n, person=n) for n in range(50, 54)))
    told.compact(seconds=1)
    leaving: list[Fact] = [an_employee(n, person=n) for n in range(50, 54)]
    told.commit(*leaving, an_enrolment(1), gone=True)
    assert next_delta(told) == gone(1)
    assert (the_hold(told).cause, held(told)) == (Cause.TEACHERS, [50, 51, 52, 53])


def test_more_changed_ids_than_may_change_in_an_hour_wait(told: Pipeline) -> None:
    told.commit(*(a_person(n, national_id=person(100 + n).id) for n in range(1, 7)))
    assert next_delta(told) == set()
    assert (the_hold(told).cause, held(told)) == (Cause.ID_CHANGES, [1, 2, 3, 4, 5, 6])
    said = approved(told)
    assert {(person(1), GONE), (person(101), NEW), (member("group-1", 101), NEW)} <= said


def test_an_id_that_a_person_who_waits_was_told_under_is_nobody_elses_meanwhile(told: Pipeline) -> None:
    told.commit(*(a_person(n, national_id=person(100 + n).id) for n in range(1, 7)))
    told.compact(seconds=1)
    told.commit(a_person(60, national_id=person(1).id, family_name="Ny"), an_enrolment(60, person=60, group=2))
    assert next_delta(told) == set()
    assert held(told) == [1, 2, 3, 4, 5, 6, 60]
    record = told.snapshot()[person(1)]
    assert isinstance(record, PersonRecord)
    assert record.family_name == "Testesen 1"
    said = approved(told)
    assert {(person(1), CHANGED), (person(101), NEW), (member("group-2", 1), NEW)} <= said
    assert open_holds(told.connection) == []


def test_an_id_that_has_gone_to_another_running_number_is_not_lost(told: Pipeline) -> None:
    told.commit(*(a_person(n, national_id=None) for n in range(1, 14)))
    told.compact(seconds=1)
    told.commit(a_person(60, national_id=person(1).id, family_name="Ny"), an_enrolment(60, person=60))
    assert next_delta(told) == {(person(1), CHANGED)}
    assert held(told) == [*range(2, 14)]


def test_the_login_of_one_who_waits_is_not_told_of_one_who_goes(told: Pipeline) -> None:
    told.commit(a_person(20, feide_name="ada1@fjordvik.example"))
    told.compact(seconds=1)
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    leave(told, 20)
    told.compact(seconds=1)
    (record,) = (one.record for one in told.delta(told.manifest().head_seq) if one.record.key == person(20))
    assert isinstance(record, PersonRecord)
    assert record.login is None


def test_whoever_is_protected_goes_at_once_however_many_wait(told: Pipeline) -> None:
    told.commit(*(a_person(n, protected=True) for n in range(1, 15)))
    assert {(person(n), GONE) for n in range(1, 15)} <= next_delta(told)


def test_whoever_is_protected_goes_even_if_somebody_who_waits_would_get_the_id(told: Pipeline) -> None:
    others = [a_person(n, national_id=person(100 + n).id) for n in range(3, 8)]
    told.commit(a_person(1, protected=True), a_person(2, national_id=person(1).id), *others)
    assert next_delta(told) == gone(1)
    assert held(told) == [*range(2, 8)]


def test_whoever_waits_and_is_protected_goes_at_once(told: Pipeline) -> None:
    leave(told, *range(1, 13))
    told.compact(seconds=1)
    told.commit(a_person(1, protected=True))
    assert next_delta(told) == gone(1)
    assert held(told) == [*range(2, 13)]


def test_what_a_changed_setting_takes_away_waits_and_what_the_source_takes_away_with_it_goes(told: Pipeline) -> None:
    told.target(excluded_groups=(2,))
    leave(told, 1)
    assert next_delta(told) == gone(1)
    assert (the_hold(told).cause, held(told), the_hold(told).groups) == (Cause.SETTING, [MANY], 1)
    told.target()
    assert next_delta(told) == set()
    assert open_holds(told.connection) == []


def test_who_was_in_a_group_taken_away_by_a_setting_is_told_to_leave_once_it_is_approved(told: Pipeline) -> None:
    told.target(excluded_groups=(2,))
    assert approved(told) == {*gone(MANY), (group("group-2"), GONE)}


def test_those_who_wait_are_told_in_the_dialect_and_source_of_all_others(told: Pipeline) -> None:
    leave(told, *range(1, 12))
    told.compact(seconds=1)
    told.target(source="fjordvik", dialect="pifu")
    told.compact(seconds=1)
    assert len(held(told)) == 11
    told.compact(days=1)
    assert {record.source for record in told.snapshot().values()} == {"fjordvik"}
    assert (person(1) in told.snapshot(), member("group-1", 1) in told.snapshot()) == (True, True)
    told.approve()
    assert {record.source for record, _ in told.delta(told.manifest().head_seq)} == {"fjordvik"}


def test_what_only_a_load_finds_gone_waits_and_what_an_event_has_said_goes(told: Pipeline) -> None:
    leave(told, 1)
    people = [a_person(n) for n in range(1, MANY + 1)]
    enrolments = [an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in range(3, MANY + 1)]
    told.load(an_owner(), a_school(1), a_group(1), a_group(2), *people, *enrolments)
    assert next_delta(told) == gone(1)
    assert (the_hold(told).cause, held(told)) == (Cause.RESYNC, [2])
    assert approved(told) == gone(2)


def test_a_load_that_finds_everything_holds_nothing(told: Pipeline) -> None:
    people = [a_person(n) for n in range(1, MANY + 1)]
    enrolments = [an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in range(1, MANY + 1)]
    told.load(an_owner(), a_school(1), a_group(1), a_group(2), *people, *enrolments)
    assert next_delta(told) == set()
    assert open_holds(told.connection) == []


def test_a_school_that_loses_its_number_is_not_emptied(told: Pipeline) -> None:
    told.commit(
        a_school(2), a_group(3, school=2), an_enrolment(80, person=1, group=3), an_enrolment(81, person=2, group=3)
    )
    told.compact(seconds=1)
    told.commit(a_school(2, school_no=" "))
    assert next_delta(told) == set()
    assert (the_hold(told).cause, held(told), the_hold(told).groups) == (Cause.SCHOOL_NUMBER, [1, 2], 1)
    told.commit(a_school(2))
    assert next_delta(told) == set()
    assert open_holds(told.connection) == []


def test_the_teachers_of_a_school_that_loses_its_number_wait_though_they_have_no_group(told: Pipeline) -> None:
    told.commit(a_school(2), a_person(50), an_employee(1, person=50, school=2))
    told.compact(seconds=1)
    told.commit(a_school(2, school_no=None))
    assert next_delta(told) == set()
    assert (the_hold(told).cause, held(told)) == (Cause.SCHOOL_NUMBER, [50])


def test_nothing_is_published_before_somebody_has_looked(pipeline: Pipeline) -> None:
    school(pipeline, accept_initial=False)
    assert not pipeline.folder().exists()
    hold = the_hold(pipeline)
    assert (hold.cause, report(pipeline.connection).targets[0].state) == (Cause.INITIAL, "held")
    found = read_hold(pipeline.connection, hold.hold_id, pipeline.now)
    assert found.would_tell is not None
    assert (found.would_tell.person, found.would_tell.group, found.would_tell.membership) == (MANY, 2, MANY)
    pipeline.commit(a_person(90), an_enrolment(90, person=90))
    pipeline.compact(seconds=1)
    with pytest.raises(HoldChangedError):
        approve(pipeline, found.hold)
    assert not pipeline.folder().exists()
    approve(pipeline, read_hold(pipeline.connection, hold.hold_id, pipeline.now).hold)
    pipeline.compact(seconds=1)
    assert (pipeline.manifest().state, len(pipeline.snapshot())) == ("ok", 2 + 2 * (MANY + 1))
    assert open_holds(pipeline.connection) == []


def test_a_first_publication_that_is_accepted_by_a_setting_waits_no_longer(pipeline: Pipeline) -> None:
    school(pipeline, accept_initial=False)
    pipeline.target()
    pipeline.compact(seconds=1)
    assert pipeline.manifest().state == "ok"
    assert open_holds(pipeline.connection) == []


def test_a_target_that_was_switched_off_is_judged_by_the_limits_and_not_as_a_setting(told: Pipeline) -> None:
    told.target(enabled=False)
    told.compact(seconds=1)
    leave(told, 1, 2)
    told.compact(minutes=11)
    told.target()
    assert next_delta(told) == gone(1, 2)


def test_holds_and_departures_of_a_target_are_its_own(told: Pipeline) -> None:
    targets_table.apply_settings(
        told.connection, [told.target(name="other", hold_day_persons=0, hold_day_persons_percent=0)], "t"
    )
    told.compact(seconds=1)
    leave(told, 1)
    told.compact(seconds=1)
    assert [hold.target for hold in open_holds(told.connection)] == ["1/other"]
    assert (told.manifest().state, told.manifest("other").state) == ("ok", "held")


def test_departures_are_forgotten_after_a_day(told: Pipeline) -> None:
    leave(told, 1)
    told.compact(seconds=1)
    told.compact(days=1, minutes=1)
    assert told.connection.execute("select count(*) from imsfeed.departure").fetchone() == (0,)


def test_the_group_of_a_school_stands_in_cuts_that_bear_on_nobody_who_waits(told: Pipeline) -> None:
    told.target(org_groups=True)
    told.compact(seconds=1)
    told.target()
    told.compact(seconds=1)
    assert the_hold(told).cause is Cause.SETTING
    told.commit(a_group(9))
    assert next_delta(told) == {(group("group-9"), NEW)}
    told.target(org_groups=True)
    told.compact(seconds=1)
    assert open_holds(told.connection) == []


def test_a_move_between_two_groups_is_no_loss_of_the_last_membership(told: Pipeline) -> None:
    told.commit(
        *(an_enrolment(n, person=n, status="ended") for n in range(1, 12)),
        *(an_enrolment(100 + n, person=n, group=2) for n in range(1, 12)),
    )
    assert len(next_delta(told)) == 22
