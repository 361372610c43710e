"""A pipeline, and one whose small school has been published."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    pipeline.close()


@pytest.fixture
def published(pipeline: Pipeline) -> Pipeline:
    """A published school: groups 1 and 2, learner 1 in both, learner 2 in group 2, teacher 3 of group 1."""
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2), a_person(3))
    pipeline.commit(an_enrolment(1, person=1, group=1), an_enrolment(2, person=1, group=2))
    pipeline.commit(an_enrolment(3, person=2, group=2))
    pipeline.commit(an_employee(1, person=3), an_enrolment(4, person=3, group=1, role="teacher"))
    pipeline.compact()
    return pipeline
