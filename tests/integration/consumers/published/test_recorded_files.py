"""What may be deleted of the recorded files, and the day through which snapshots have been taken."""

from datetime import date, timedelta

from consumers.database.targets_table import find_target
from consumers.facts.facts_reader import affected_groups, affected_persons
from consumers.facts.pending_changes import Days, as_changed
from consumers.published import recorded_files
from tests.support.builders import TODAY, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import NOON, Pipeline


def begin(pipeline: Pipeline) -> int:
    """Publish learner 1 of group 1, and return the target's number."""
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    return find_target(pipeline.connection, "lms").target_id


def test_an_old_delta_stays_while_no_newer_snapshot_has_it(pipeline: Pipeline) -> None:
    target = begin(pipeline)
    pipeline.commit(a_person(1, family_name="Ny"))
    pipeline.compact(seconds=1)
    assert recorded_files.expire(pipeline.connection, target, NOON + timedelta(days=99)) == []
    pipeline.compact(days=1)
    expired = recorded_files.expire(pipeline.connection, target, NOON + timedelta(days=99))
    assert expired == ["snapshots/2026-10-15-0.xml", "deltas/1.xml"]


def test_the_scheduled_day_never_goes_back(pipeline: Pipeline) -> None:
    target = begin(pipeline)
    for day in (date(2026, 10, 20), date(2026, 10, 18)):
        recorded_files.scheduled_through(pipeline.connection, target, day)
    assert find_target(pipeline.connection, "lms").position.snapshot_through == date(2026, 10, 20)


def test_what_begins_or_ends_at_midnight_is_found(pipeline: Pipeline) -> None:
    begin(pipeline)
    tomorrow = TODAY + timedelta(days=1)
    pipeline.commit(a_group(2, ends_on=TODAY), a_group(3, starts_on=tomorrow), a_group(4, ends_on=tomorrow))
    pipeline.commit(an_enrolment(2, person=2, ends_on=TODAY), an_enrolment(3, person=3, starts_on=tomorrow))
    pipeline.commit(an_enrolment(4, person=4, ends_on=tomorrow), an_enrolment(5, person=5, starts_on=TODAY))
    target, nothing = find_target(pipeline.connection, "lms"), as_changed((), ())
    midnight = Days(TODAY, tomorrow, 0, 0)
    assert sorted(affected_groups(pipeline.connection, target, nothing, midnight)) == [2, 3]
    assert sorted(affected_persons(pipeline.connection, target, nothing, [], midnight)) == [2, 3]
    assert affected_persons(pipeline.connection, target, nothing, [], None) == []
