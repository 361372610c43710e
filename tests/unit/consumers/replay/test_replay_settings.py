"""Settings and holds in a replay: what changed settings publish, and what waits."""

from datetime import timedelta
from typing import Any

import pytest

from consumers.replay.events_file import EventsFileError
from ims.holds.losses import Cause
from ims.records.vocabulary import RecStatus
from tests.support.builders import (
    a_person,
    a_target,
    an_enrolment,
)
from tests.support.events import START, Replayer, Scenario
from tests.unit.consumers.replay.published_records import HOUR, member, person, said


def test_changed_settings_are_published_as_one_delta(replayer: Replayer, scenario: Scenario) -> None:
    scenario.settings(1, "lms", person_id="running")
    scenario.settings(5, "1/lms", enabled=False)
    scenario.commit(6, an_enrolment(1), op="d")
    replayer.replay(scenario)
    (delta,) = replayer.manifest().deltas
    assert (delta.counts.person.new, delta.counts.person.gone) == (2, 2)


def test_a_target_that_is_enabled_later_begins_then(replayer: Replayer, scenario: Scenario) -> None:
    scenario.settings(HOUR, "lms", enabled=True)
    replayer.replay(scenario, a_target(enabled=False))
    assert replayer.manifest().generated == START + timedelta(hours=1, seconds=0.2)


@pytest.mark.parametrize(
    ("target", "changes"), [("lmx", {}), ("lms", {"snapshot_hour": 24}), ("lms", {"colour": "red"})]
)
def test_a_line_with_wrong_settings_is_named(
    replayer: Replayer, scenario: Scenario, target: str, changes: dict[str, Any]
) -> None:
    scenario.settings(1, target, **changes)
    with pytest.raises(EventsFileError, match=r"events\.jsonl, line 10: "):
        replayer.replay(scenario)


def test_without_approvals_a_hold_waits_for_ever(replayer: Replayer, scenario: Scenario) -> None:
    scenario.settings(1, "lms", excluded_groups=[2])
    scenario.commit(2, an_enrolment(1), op="d")
    (target,) = replayer.replay(scenario, holds=True).targets
    assert (target.state, target.waiting) == ("held", {Cause.SETTING: 1})
    assert replayer.manifest().state == "held"
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (person(1), RecStatus.GONE)}


def test_without_holds_nothing_waits(replayer: Replayer, scenario: Scenario) -> None:
    scenario.settings(1, "lms", excluded_groups=[2])
    (target,) = replayer.replay(scenario, a_target(accept_initial=False)).targets
    assert (target.state, target.waiting, target.deltas) == ("ok", {}, 1)


def test_a_first_publication_that_is_not_accepted_waits(replayer: Replayer, scenario: Scenario) -> None:
    (target,) = replayer.replay(scenario, a_target(accept_initial=False), holds=True).targets
    assert (target.state, target.snapshots) == ("held", 0)
    assert not replayer.folder().exists()


def test_leavers_are_counted_by_the_clock_of_the_events(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, *(a_person(n) for n in range(10, 22)), *(an_enrolment(n, person=n) for n in range(10, 22)))
    for number in range(10, 22):
        scenario.commit(2 + (number - 10) * 7000, an_enrolment(number, person=number), op="d")
    (target,) = replayer.replay(scenario, holds=True).targets
    assert target.waiting == {Cause.PERSONS: 2}, "ten in a day, and two hours between two of them"
