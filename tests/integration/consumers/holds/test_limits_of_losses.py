"""Losses of groups and logins that are too many wait, and the close of a term does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.holds.open_holds import open_holds
from ims.holds.losses import Cause
from ims.records.vocabulary import RecordKind, RecStatus
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import approved, group, next_delta
from tests.support.held_school import held, school, the_hold
from tests.support.pipeline import Pipeline

GONE = RecStatus.GONE


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    assert pipeline.verification().problems == []
    pipeline.close()


@pytest.fixture
def published(pipeline: Pipeline) -> Pipeline:
    school(pipeline)
    return pipeline


def test_many_removed_groups_wait_whole_and_are_approved(pipeline: Pipeline) -> None:
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), *(a_group(n) for n in range(1, 11)), *(a_person(n) for n in range(1, 31)))
    enrolments = [an_enrolment(n + 100 * g, person=n, group=g) for n in range(1, 31) for g in (1 + n % 9, 10)]
    pipeline.commit(*enrolments)
    pipeline.compact()
    pipeline.commit(*(a_group(n) for n in range(1, 10)), gone=True)
    assert next_delta(pipeline) == set(), "all would be in group 10 only"
    assert {hold.cause for hold in open_holds(pipeline.connection)} == {Cause.GROUPS}
    removed = {key for key, status in approved(pipeline) if status is GONE}
    assert removed >= {group(f"group-{n}") for n in range(1, 10)}


def test_a_slip_in_a_school_number_renames_no_group(pipeline: Pipeline) -> None:
    pipeline.target(group_id="{school_no}-{code}")
    pipeline.commit(an_owner(), a_school(1), *(a_group(n, code=f"8{n}") for n in range(1, 9)), a_person(1))
    pipeline.commit(*(an_enrolment(n, group=n) for n in range(1, 9)))
    pipeline.compact()
    before = {key for key in pipeline.snapshot() if key.kind is RecordKind.GROUP}
    pipeline.commit(a_school(1, school_no="999999999"))
    delta = next_delta(pipeline)
    assert not {key for key, status in delta if status is GONE and key in before}
    assert {hold.cause for hold in open_holds(pipeline.connection)} == {Cause.GROUPS}
    pipeline.commit(a_school(1))
    pipeline.compact(seconds=1)
    assert open_holds(pipeline.connection) == []


def test_many_emptied_logins_wait(published: Pipeline) -> None:
    published.commit(*(a_person(n, email=None, feide_name=None) for n in range(1, 7)))
    assert next_delta(published) == set()
    assert the_hold(published).cause is Cause.LOGINS
    assert held(published) == [1, 2, 3, 4, 5, 6]


def test_the_close_of_a_term_by_dates_is_one_hold_of_persons(pipeline: Pipeline) -> None:
    pipeline.target()
    last = pipeline.now.date()
    groups = [a_group(n, ends_on=last if n < 10 else None) for n in range(1, 11)]
    pipeline.commit(an_owner(), a_school(1), *groups, *(a_person(n) for n in range(1, 31)))
    enrolments = [an_enrolment(n + 100 * g, person=n, group=g) for n in range(1, 31) for g in (1 + n % 9, 10)]
    pipeline.commit(*enrolments)
    pipeline.compact()
    delta = next_delta(pipeline, days=1)
    assert {key for key, status in delta if status is GONE} >= {group(f"group-{n}") for n in range(1, 10)}
    assert open_holds(pipeline.connection) == []
