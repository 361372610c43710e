"""Losses that wait for an approval and changes that do not, from facts in a real state database to files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.holds.open_holds import open_holds
from ims.holds.losses import Cause
from ims.records.model import PersonRecord
from ims.records.vocabulary import RecStatus
from ims.source.facts import Fact
from tests.support.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.feed_words import approved, group, member, next_delta, person
from tests.support.held_school import MANY, come_back, gone, held, leave, school, the_hold
from tests.support.pipeline import Pipeline

NEW, CHANGED, GONE = RecStatus.NEW, RecStatus.CHANGED, RecStatus.GONE


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


def test_a_loss_of_a_third_waits_while_a_single_leaver_leaves(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    assert next_delta(published) == set()
    leave(published, MANY)
    assert next_delta(published) == gone(MANY)
    assert held(published) == [*range(1, 12)]
    assert the_hold(published).cause is Cause.PERSONS


def test_additions_and_changes_are_published_while_losses_wait(published: Pipeline) -> None:
    published.commit(
        *(an_enrolment(n, person=n, status="ended") for n in range(1, 12)),
        a_person(40),
        an_enrolment(40, person=40),
        a_person(20, family_name="Ny"),
    )
    assert next_delta(published) == {(person(40), NEW), (member("group-1", 40), NEW), (person(20), CHANGED)}


def test_nothing_is_published_about_a_person_who_waits(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    published.commit(a_person(1, family_name="Ny"))
    assert next_delta(published) == set()
    assert person(1) in published.snapshot()


def test_persons_who_come_back_are_released(published: Pipeline) -> None:
    leave(published, *range(1, 16))
    published.compact(seconds=1)
    come_back(published, 1, 2)
    assert next_delta(published) == set()
    assert held(published) == [*range(3, 16)]
    come_back(published, 3, 4, 5)
    assert next_delta(published) == gone(*range(6, 16)), "the rest are no more than may leave in an hour"
    assert open_holds(published.connection) == []


def test_time_alone_releases_no_person(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    published.compact(days=2)
    leave(published, MANY)
    assert next_delta(published) == gone(MANY)
    assert held(published) == [*range(1, 12)]


def test_slow_losses_wait_once_a_day_has_too_many(published: Pipeline) -> None:
    for number in range(1, 11):
        leave(published, number)
        assert next_delta(published, hours=2) == gone(number)
    leave(published, 11)
    assert next_delta(published, hours=2) == set()
    assert held(published) == [11]


def test_a_group_stays_while_a_member_waits(published: Pipeline) -> None:
    published.commit(a_group(1, active=False))
    assert next_delta(published) == set()
    assert group("group-1") in published.snapshot()
    assert (group("group-1"), GONE) in approved(published)


def test_a_group_leaves_when_its_members_return_in_another(published: Pipeline) -> None:
    published.commit(a_group(1, active=False))
    published.compact(seconds=1)
    published.commit(*(an_enrolment(n, person=n, group=2) for n in range(1, MANY)))
    said = next_delta(published)
    assert {(group("group-1"), GONE), (member("group-1", 1), GONE), (member("group-2", 1), NEW)} <= said
    assert open_holds(published.connection) == []


def test_teachers_wait_by_their_own_limit_while_learners_leave(published: Pipeline) -> None:
    published.commit(*(a_person(n) for n in range(50, 54)), *(an_employee(n, person=n) for n in range(50, 54)))
    published.compact(seconds=1)
    leaving: list[Fact] = [an_employee(n, person=n) for n in range(50, 54)]
    published.commit(*leaving, an_enrolment(1), gone=True)
    assert next_delta(published) == gone(1)
    assert (the_hold(published).cause, held(published)) == (Cause.TEACHERS, [50, 51, 52, 53])


def test_more_changed_ids_than_may_change_in_an_hour_wait(published: Pipeline) -> None:
    published.commit(*(a_person(n, national_id=person(100 + n).id) for n in range(1, 7)))
    assert next_delta(published) == set()
    assert (the_hold(published).cause, held(published)) == (Cause.ID_CHANGES, [1, 2, 3, 4, 5, 6])
    said = approved(published)
    assert {(person(1), GONE), (person(101), NEW), (member("group-1", 101), NEW)} <= said


def test_the_published_id_of_a_waiting_person_is_not_reused(published: Pipeline) -> None:
    published.commit(*(a_person(n, national_id=person(100 + n).id) for n in range(1, 7)))
    published.compact(seconds=1)
    published.commit(a_person(60, national_id=person(1).id, family_name="Ny"), an_enrolment(60, person=60, group=2))
    assert next_delta(published) == set()
    assert held(published) == [1, 2, 3, 4, 5, 6, 60]
    record = published.snapshot()[person(1)]
    assert isinstance(record, PersonRecord)
    assert record.family_name == "Testesen 1"
    said = approved(published)
    assert {(person(1), CHANGED), (person(101), NEW), (member("group-2", 1), NEW)} <= said
    assert open_holds(published.connection) == []


def test_an_id_that_moves_to_another_running_number_is_kept(published: Pipeline) -> None:
    published.commit(*(a_person(n, national_id=None) for n in range(1, 14)))
    published.compact(seconds=1)
    published.commit(a_person(60, national_id=person(1).id, family_name="Ny"), an_enrolment(60, person=60))
    assert next_delta(published) == {(person(1), CHANGED)}
    assert held(published) == [*range(2, 14)]


def test_a_leaver_is_published_without_a_waiting_persons_login(published: Pipeline) -> None:
    published.connection.execute(  # as published before logins were unique
        "update imsfeed.published set xml = replace(xml, 'ada20@', 'ada1@') where person_id = 20 and kind = 1"
    )
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    leave(published, 20)
    published.compact(seconds=1)
    (record,) = (one.record for one in published.delta(published.manifest().head_seq) if one.record.key == person(20))
    assert isinstance(record, PersonRecord)
    assert record.login is None


def test_a_protected_person_leaves_immediately_however_many_wait(published: Pipeline) -> None:
    published.commit(*(a_person(n, protected=True) for n in range(1, 15)))
    assert {(person(n), GONE) for n in range(1, 15)} <= next_delta(published)


def test_protection_covers_who_inherits_the_id_while_others_wait(published: Pipeline) -> None:
    others = [a_person(n, national_id=person(100 + n).id) for n in range(3, 9)]
    published.commit(a_person(1, protected=True), a_person(2, national_id=person(1).id), *others)
    assert next_delta(published) == gone(1) | gone(2)
    assert held(published) == [*range(3, 9)]


def test_a_waiting_person_who_becomes_protected_leaves_immediately(published: Pipeline) -> None:
    leave(published, *range(1, 13))
    published.compact(seconds=1)
    published.commit(a_person(1, protected=True))
    assert next_delta(published) == gone(1)
    assert held(published) == [*range(2, 13)]


def test_losses_by_a_setting_wait_and_losses_by_the_source_do_not(
    published: Pipeline,
) -> None:
    published.target(excluded_groups=(2,))
    leave(published, 1)
    assert next_delta(published) == gone(1)
    assert (the_hold(published).cause, held(published), the_hold(published).groups) == (Cause.SETTING, [MANY], 1)
    published.target()
    assert next_delta(published) == set()
    assert open_holds(published.connection) == []


def test_waiting_persons_are_published_in_everyone_elses_dialect_and_source(published: Pipeline) -> None:
    leave(published, *range(1, 12))
    published.compact(seconds=1)
    published.target(source="fjordvik", dialect="pifu")
    published.compact(seconds=1)
    assert len(held(published)) == 11
    published.compact(days=1)
    assert {record.source for record in published.snapshot().values()} == {"fjordvik"}
    assert (person(1) in published.snapshot(), member("group-1", 1) in published.snapshot()) == (True, True)
    published.approve()
    assert {record.source for record, _ in published.delta(published.manifest().head_seq)} == {"fjordvik"}


def test_losses_by_a_load_wait_and_losses_by_an_event_do_not(published: Pipeline) -> None:
    leave(published, 1)
    people = [a_person(n) for n in range(1, MANY + 1)]
    enrolments = [an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in range(3, MANY + 1)]
    published.load(an_owner(), a_school(1), a_group(1), a_group(2), *people, *enrolments)
    assert next_delta(published) == gone(1)
    assert (the_hold(published).cause, held(published)) == (Cause.RESYNC, [2])
    assert approved(published) == gone(2)


def test_a_load_that_finds_everything_holds_nothing(published: Pipeline) -> None:
    people = [a_person(n) for n in range(1, MANY + 1)]
    enrolments = [an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in range(1, MANY + 1)]
    published.load(an_owner(), a_school(1), a_group(1), a_group(2), *people, *enrolments)
    assert next_delta(published) == set()
    assert open_holds(published.connection) == []


def test_a_school_that_loses_its_number_is_not_emptied(published: Pipeline) -> None:
    published.commit(
        a_school(2), a_group(3, school=2), an_enrolment(80, person=1, group=3), an_enrolment(81, person=2, group=3)
    )
    published.compact(seconds=1)
    published.commit(a_school(2, school_no=" "))
    assert next_delta(published) == set()
    assert (the_hold(published).cause, held(published), the_hold(published).groups) == (Cause.SCHOOL_NUMBER, [1, 2], 1)
    published.commit(a_school(2))
    assert next_delta(published) == set()
    assert open_holds(published.connection) == []


def test_teachers_without_groups_wait_when_their_school_loses_its_number(published: Pipeline) -> None:
    published.commit(a_school(2), a_person(50), an_employee(1, person=50, school=2))
    published.compact(seconds=1)
    published.commit(a_school(2, school_no=None))
    assert next_delta(published) == set()
    assert (the_hold(published).cause, held(published)) == (Cause.SCHOOL_NUMBER, [50])


def test_a_target_switched_on_again_is_judged_by_the_limits(published: Pipeline) -> None:
    published.target(enabled=False)
    published.compact(seconds=1)
    leave(published, 1, 2)
    published.compact(minutes=11)
    published.target()
    assert next_delta(published) == gone(1, 2)


def test_a_waiting_school_group_stays_in_publications_about_others(published: Pipeline) -> None:
    published.target(org_groups=True)
    published.compact(seconds=1)
    published.target()
    published.compact(seconds=1)
    assert the_hold(published).cause is Cause.SETTING
    published.commit(a_group(9))
    assert next_delta(published) == {(group("group-9"), NEW)}
    published.target(org_groups=True)
    published.compact(seconds=1)
    assert open_holds(published.connection) == []


def test_a_move_between_two_groups_loses_no_last_membership(published: Pipeline) -> None:
    published.commit(
        *(an_enrolment(n, person=n, status="ended") for n in range(1, 12)),
        *(an_enrolment(100 + n, person=n, group=2) for n in range(1, 12)),
    )
    assert len(next_delta(published)) == 22
