"""The owner and its schools as groups, from facts in a real state database to files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.database import targets_table
from consumers.facts.pending_changes import Pending
from consumers.publication.gathering import Gatherer
from consumers.publication.postgres_view import PostgresView
from ims.publication.gathered import Terms
from ims.records.model import GroupRecord, MemberRecord
from ims.records.vocabulary import RecordKind, RecStatus, RoleType
from tests.support.builders import ORGNR, a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.feed_words import approved, group, member, next_delta, person
from tests.support.pipeline import Pipeline

NEW, CHANGED, GONE = RecStatus.NEW, RecStatus.CHANGED, RecStatus.GONE


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    pipeline.close()


@pytest.fixture
def with_schools(pipeline: Pipeline) -> Pipeline:
    """Return a published owner with two schools as groups; learner 1 in group 1 at school 1, teacher 2 at school 2."""
    pipeline.target(org_groups=True)
    pipeline.commit(an_owner(), a_school(1), a_school(2), a_group(1), a_person(1), an_enrolment(1))
    pipeline.commit(a_person(2), an_employee(1, person=2, school=2))
    pipeline.compact()
    return pipeline


def test_owner_and_schools_are_in_the_first_snapshot_with_members(with_schools: Pipeline) -> None:
    assert with_schools.snapshot().keys() == {
        *(person(1), person(2), group("group-1"), group(f"org-{ORGNR}"), group("school-NO1"), group("school-NO2")),
        *(member("group-1", 1), member("school-NO1", 1), member("school-NO2", 2)),
    }
    # Groups of the owner and its schools are compared at every publication; nothing has changed.
    with_schools.commit(a_person(1, mobile="99900099"))
    assert next_delta(with_schools) == set()


def test_groups_for_owner_and_schools_come_and_go_together(pipeline: Pipeline) -> None:
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    orgs = {group(f"org-{ORGNR}"), group("school-NO1"), member("school-NO1", 1)}
    pipeline.target(org_groups=True)
    assert {(key, NEW) for key in orgs} <= next_delta(pipeline)
    pipeline.target()
    assert (group("group-1"), CHANGED) in next_delta(pipeline)
    assert {(key, GONE) for key in orgs} <= approved(pipeline)
    assert pipeline.verification().problems == []


def test_a_school_stays_when_its_last_member_leaves(with_schools: Pipeline) -> None:
    with_schools.commit(an_enrolment(1), gone=True)
    assert next_delta(with_schools) == {
        (key, GONE) for key in (person(1), member("group-1", 1), member("school-NO1", 1))
    }
    with_schools.commit(an_enrolment(1))
    assert (member("school-NO1", 1), NEW) in next_delta(with_schools)


def test_a_school_without_a_number_leaves_with_its_members(with_schools: Pipeline) -> None:
    with_schools.commit(a_school(1, school_no=None))
    keys = {group("school-NO1"), group("group-1"), member("school-NO1", 1), member("group-1", 1), person(1)}
    assert approved(with_schools) == {(key, GONE) for key in keys}
    with_schools.commit(a_school(1))
    assert next_delta(with_schools) == {(key, NEW) for key in keys}
    with_schools.commit(a_school(2), gone=True)
    assert next_delta(with_schools) == {
        (key, GONE) for key in (group("school-NO2"), member("school-NO2", 2), person(2))
    }


def test_a_school_with_a_new_number_is_a_new_school(with_schools: Pipeline) -> None:
    with_schools.commit(a_school(2, school_no="NO9"))
    old, new = (group("school-NO2"), member("school-NO2", 2)), (group("school-NO9"), member("school-NO9", 2))
    assert next_delta(with_schools) == {*((key, GONE) for key in old), *((key, NEW) for key in new)}


def test_a_new_school_is_published_without_members(with_schools: Pipeline) -> None:
    with_schools.commit(a_school(3))
    assert next_delta(with_schools) == {(group("school-NO3"), NEW)}
    with_schools.commit(a_school(3, name="Nordvik"))
    assert next_delta(with_schools) == {(group("school-NO3"), CHANGED)}


def test_the_next_school_with_the_same_number_gives_the_name(with_schools: Pipeline) -> None:
    with_schools.commit(a_school(3, school_no="NO1", name="Nordvik"))
    assert next_delta(with_schools) == set()
    with_schools.commit(a_school(1, school_no=None))
    assert next_delta(with_schools) == {(group("school-NO1"), CHANGED)}
    assert (member("school-NO1", 1), GONE) in approved(with_schools)


def test_a_group_moves_to_another_school_with_its_learners(with_schools: Pipeline) -> None:
    with_schools.commit(a_group(1, school=2))
    assert {key for key in next_delta(with_schools) if key[0].kind is RecordKind.MEMBERSHIP} == {
        (member("school-NO1", 1), GONE),
        (member("school-NO2", 1), NEW),
    }


def test_a_learner_who_becomes_a_teacher_changes_role(with_schools: Pipeline) -> None:
    with_schools.commit(an_employee(2, person=1, school=1))
    assert {(member("school-NO1", 1), GONE), (member("school-NO1", 1), NEW)} <= next_delta(with_schools)
    with_schools.compact(days=1)
    record = with_schools.snapshot()[member("school-NO1", 1)]
    assert isinstance(record, MemberRecord)
    assert record.role is RoleType.INSTRUCTOR
    assert with_schools.verification().problems == []


def test_a_removed_school_brings_in_its_published_members(
    with_schools: Pipeline,
) -> None:
    """The school's change is published even if a newer change of a member has not settled."""
    with_schools.commit(an_employee(1, person=2, school=2), gone=True)
    with_schools.commit(a_school(2, school_no=None))
    target = targets_table.find_target(with_schools.connection, "lms")
    pending = Pending(
        0, everything=False, schools=frozenset({2}), persons=frozenset(), groups=frozenset(), oldest_event_at=None
    )
    terms = Terms(target.settings, ORGNR, with_schools.now.date())
    assert Gatherer(PostgresView(with_schools.connection, target), terms).affected(pending, None).persons == [2]


def test_a_school_that_takes_a_groups_id_excludes_the_group(pipeline: Pipeline) -> None:
    pipeline.target(org_groups=True, group_id="school-{id}")
    pipeline.commit(an_owner(), a_school(1), a_school(2), a_group(7), a_person(1), an_enrolment(1, group=7))
    pipeline.compact()
    assert isinstance(pipeline.snapshot()[group("school-7")], GroupRecord)
    pipeline.commit(a_school(2, school_no="7"))
    said = next_delta(pipeline)
    assert {(group("school-7"), CHANGED), (member("school-7", 1), GONE), (person(1), GONE)} <= said
    pipeline.commit(a_school(2))
    said = next_delta(pipeline)
    assert {(group("school-7"), CHANGED), (member("school-7", 1), NEW), (person(1), NEW)} <= said
    assert pipeline.verification().problems == []


def test_a_school_that_changes_owner_changes_feed(pipeline: Pipeline) -> None:
    there: dict[str, Any] = {"owner_id": 2}
    pipeline.target(org_groups=True)
    pipeline.target(org_groups=True, name="other", owner=2)
    pipeline.commit(an_owner(), an_owner(owner_id=2, orgnr="123456785"), a_school(1), a_group(1))
    pipeline.commit(a_person(1), an_enrolment(1), a_person(1, **there))
    pipeline.compact()
    pipeline.commit(a_school(1), gone=True)
    pipeline.commit(a_school(1, **there), a_group(1, **there), an_enrolment(1, **there))
    keys = {person(1), group("group-1"), group("school-NO1"), member("group-1", 1), member("school-NO1", 1)}
    assert next_delta(pipeline) == {(key, GONE) for key in keys}
    folder = pipeline.settings.feed_directory / "123456785" / "other"
    joined = (folder / "deltas/1.xml").read_text()
    assert joined.count('recstatus="1"') == len(keys)
    assert "<source>imsfeed@123456785</source>" in joined


def test_protection_set_and_lifted_is_a_leave_and_a_return(with_schools: Pipeline) -> None:
    keys = {person(1), member("group-1", 1), member("school-NO1", 1)}
    with_schools.commit(a_person(1, protected=True))
    assert next_delta(with_schools) == {(key, GONE) for key in keys}
    with_schools.commit(a_person(1, protected=False))
    assert next_delta(with_schools) == {(key, NEW) for key in keys}
