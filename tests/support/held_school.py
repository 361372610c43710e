"""A school many of whose learners leave, for the tests of holds."""

from typing import Any

from consumers.holds.open_holds import Hold, open_holds
from consumers.operations import approvals
from consumers.operations.holds_report import read_hold
from ims.records.vocabulary import RecStatus
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import Entries, member, person
from tests.support.pipeline import Pipeline

MANY = 30
"""The number of learners; all are in group 1 except the last, who is in group 2."""


def school(pipeline: Pipeline, **settings: Any) -> None:
    """Publish two groups and their learners."""
    pipeline.target(**settings)
    learners = [a_person(n) for n in range(1, MANY + 1)]
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), *learners)
    pipeline.commit(*(an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in range(1, MANY + 1)))
    pipeline.compact()


def leave(pipeline: Pipeline, *numbers: int) -> None:
    pipeline.commit(*(an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in numbers), gone=True)


def come_back(pipeline: Pipeline, *numbers: int) -> None:
    pipeline.commit(*(an_enrolment(n, person=n, group=2 if n == MANY else 1) for n in numbers))


def gone(*numbers: int) -> Entries:
    groups = {n: "group-2" if n == MANY else "group-1" for n in numbers}
    return {(key, RecStatus.GONE) for n in numbers for key in (person(n), member(groups[n], n))}


def the_hold(pipeline: Pipeline) -> Hold:
    (hold,) = open_holds(pipeline.connection)
    return hold


def approve(pipeline: Pipeline, hold: Hold) -> None:
    approvals.approve(pipeline.connection, hold.hold_id, hold.digest, "ada", "term is over", pipeline.now)


def held(pipeline: Pipeline) -> list[int]:
    details = read_hold(pipeline.connection, the_hold(pipeline).hold_id, pipeline.now)
    return [one.person for one in details.persons]
