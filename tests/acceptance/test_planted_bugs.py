"""Bugs that such pipelines are known to have, each planted in a real process: the tests' oracle catches each."""

import pytest

from tests.chaos.planted_bugs.bugs import BUGS
from tests.chaos.planted_bugs.scenarios import SCENARIOS, Scenario
from tests.chaos.planted_bugs.scene import Scene
from tests.chaos.workload.school_owner import SchoolOwner
from tests.support.installation import PROCESSES


def found_by(owner: SchoolOwner, scenario: Scenario, bug: str) -> list[str]:
    """Run a scenario with a planted bug, and return what it finds wrong."""
    scene = Scene(owner, bug)
    for name in PROCESSES:
        if name not in owner.installation.processes:
            scene.start(name)
    owner.publish()
    try:
        return scenario(scene)
    finally:
        scene.close()


@pytest.mark.parametrize("scenario", dict.fromkeys(SCENARIOS.values()), ids=lambda scenario: scenario.__name__)
def test_nothing_is_wrong_without_a_bug(an_owner_of_its_own: SchoolOwner, scenario: Scenario) -> None:
    assert found_by(an_owner_of_its_own, scenario, "") == []


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(an_owner_of_its_own: SchoolOwner, bug: str) -> None:
    assert found_by(an_owner_of_its_own, SCENARIOS[bug], bug) != []
