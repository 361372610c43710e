"""A replayer, and a load that most replays begin with."""

from pathlib import Path

import pytest

from tests.support.builders import (
    a_group,
    a_person,
    a_school,
    an_enrolment,
    an_owner,
)
from tests.support.events import Replayer, Scenario


@pytest.fixture
def replayer(tmp_path: Path) -> Replayer:
    return Replayer(tmp_path / "feed")


@pytest.fixture
def scenario() -> Scenario:
    """Return a load at START of learner 1 in group 1, and learner 2 in groups 1 and 2."""
    scenario = Scenario()
    rows = (an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2))
    scenario.commit(0, *rows, an_enrolment(1), an_enrolment(2, person=2), an_enrolment(3, person=2, group=2), op="r")
    return scenario
