"""The approval of a first publication is bound to its settings and to its records."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.holds.open_holds import Hold, open_holds
from consumers.operations import approvals
from consumers.operations.holds_report import read_hold
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Return two learners who wait for the first publication, in a group of grunnskole and in one of another kind."""
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target(accept_initial=False, scope="grunnskole")
    pipeline.commit(an_owner(), a_school(1), a_group(1, programme="grunnskole"), a_group(2))
    pipeline.commit(a_person(1), a_person(2), a_person(3), an_enrolment(1), an_enrolment(2, person=2))
    pipeline.commit(an_enrolment(3, person=3, group=2))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def the_hold(pipeline: Pipeline) -> Hold:
    (hold,) = open_holds(pipeline.connection)
    return hold


def approve(pipeline: Pipeline) -> None:
    hold = the_hold(pipeline)
    shown = read_hold(pipeline.connection, hold.hold_id, pipeline.now)
    approvals.approve(pipeline.connection, hold.hold_id, shown.hold.digest, "ada", "seen", pipeline.now)


def test_what_was_approved_is_published(pipeline: Pipeline) -> None:
    approve(pipeline)
    pipeline.compact(seconds=1)
    assert pipeline.manifest().snapshot.counts.person == 2


def test_less_than_was_approved_is_published(pipeline: Pipeline) -> None:
    approve(pipeline)
    pipeline.commit(an_enrolment(2, person=2), gone=True)
    pipeline.compact(seconds=1)
    assert pipeline.manifest().snapshot.counts.person == 1


def test_another_scope_than_was_approved_asks_again(pipeline: Pipeline) -> None:
    approve(pipeline)
    pipeline.target(accept_initial=False, scope="all")
    pipeline.compact(seconds=1)
    assert not pipeline.folder().exists()
    assert the_hold(pipeline).state == "waiting"
    approve(pipeline)
    pipeline.compact(seconds=1)
    assert pipeline.manifest().snapshot.counts.person == 3


def test_another_login_than_was_approved_asks_again(pipeline: Pipeline) -> None:
    approve(pipeline)
    pipeline.target(accept_initial=False, scope="grunnskole", login="none")
    pipeline.compact(seconds=1)
    assert not pipeline.folder().exists()
    assert the_hold(pipeline).state == "waiting"


def test_one_person_more_than_was_approved_asks_again(pipeline: Pipeline) -> None:
    approve(pipeline)
    pipeline.commit(a_person(4), an_enrolment(4, person=4))
    pipeline.compact(seconds=1)
    assert not pipeline.folder().exists()
    assert the_hold(pipeline).state == "waiting"


def test_another_hour_of_the_snapshot_does_not_ask_again(pipeline: Pipeline) -> None:
    approve(pipeline)
    pipeline.target(accept_initial=False, scope="grunnskole", snapshot_hour=4)
    pipeline.compact(seconds=1)
    assert pipeline.manifest().snapshot.counts.person == 2
