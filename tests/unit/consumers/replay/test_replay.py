"""The feed that a file of events becomes: first snapshot, deltas, midnights, hours; always the same bytes."""

from datetime import timedelta
from pathlib import Path

import pytest

from consumers.replay import events_file
from ims.errors import FeedError
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from tests.support.builders import (
    a_debezium_event,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
)
from tests.support.events import START, Replayer, Scenario
from tests.unit.consumers.replay.published_records import HOUR, member, person, said


def created(replayer: Replayer) -> list[float]:
    return [(delta.created - START).total_seconds() for delta in replayer.manifest().deltas]


def test_the_leading_rows_of_a_load_are_the_first_snapshot(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(0, an_enrolment(3, person=2, group=2), op="d")
    result = replayer.replay(scenario)
    manifest = replayer.manifest()
    assert (manifest.snapshot.seq, manifest.snapshot.counts.membership) == (0, 3)
    assert said(replayer, 1) == {(member(2, 2), RecStatus.GONE)}
    assert result.targets[0].deltas == 1


def test_without_a_load_the_first_settled_changes_are_published_first(replayer: Replayer) -> None:
    scenario = Scenario()
    scenario.commit(0, an_owner(), a_school(1), a_group(1))
    scenario.commit(0.1, a_person(1), an_enrolment(1))
    scenario.commit(5, a_person(2), an_enrolment(2, person=2))
    replayer.replay(scenario)
    assert replayer.manifest().snapshot.counts.membership == 1
    assert said(replayer, 1) == {(person(2), RecStatus.NEW), (member(1, 2), RecStatus.NEW)}


def test_a_tick_ends_the_load(replayer: Replayer, scenario: Scenario) -> None:
    scenario.tick(60)
    scenario.commit(120, a_person(3), an_enrolment(4, person=3), op="r")
    replayer.replay(scenario)
    assert replayer.manifest().deltas[0].counts.person.new == 1


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1), op="d")
    scenario.tick(30 * HOUR)
    first, second = Replayer(tmp_path / "one"), Replayer(tmp_path / "two")
    first.replay(scenario, a_target(export_path="Eksport.xml"))
    second.replay(scenario, a_target(export_path="Eksport.xml"))
    assert first.files() == second.files()
    assert len(first.files()) == 5


def test_two_targets_of_one_name_have_different_epochs(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(0, an_owner(owner_id=2, orgnr="200000005"), op="r")
    replayer.replay(scenario, a_target(), a_target(owner=2))
    manifests = list(replayer.root.glob("*/lms/manifest.json"))
    assert len({path.read_bytes().partition(b'"epoch"')[2][:45] for path in manifests}) == 2


def test_changes_within_the_settling_time_are_one_delta(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1), op="d")
    scenario.commit(1.2, an_enrolment(9, group=2))
    scenario.commit(1.401, an_enrolment(2, person=2), op="d")
    replayer.replay(scenario)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (member(2, 1), RecStatus.NEW)}
    assert said(replayer, 2) == {(member(1, 2), RecStatus.GONE)}
    assert created(replayer) == [1.4, 1.601]


def test_a_busy_owner_is_published_after_five_settling_times(replayer: Replayer, scenario: Scenario) -> None:
    for number in range(11):
        scenario.commit(1 + number * 0.15, a_person(1, family_name=f"Nr {number}"))
    replayer.replay(scenario)
    assert created(replayer) == [2.0, 2.7]


def test_a_partly_arrived_transaction_is_not_published(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1), op="d", whole=False)
    scenario.commit(2 * HOUR, an_enrolment(9, group=2))
    replayer.replay(scenario, until=HOUR)
    assert replayer.manifest().deltas == []
    replayer.root = replayer.root / "whole"
    replayer.replay(scenario)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (member(2, 1), RecStatus.NEW)}
    assert created(replayer) == [2 * HOUR + 0.2]


def test_a_partly_arrived_transaction_is_not_published_at_midnight(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1), op="d", whole=False)
    scenario.tick(20 * HOUR)
    replayer.replay(scenario)
    assert replayer.manifest().deltas == []
    assert replayer.manifest().snapshot.counts.membership == 3


def test_a_day_that_passes_makes_a_delta_at_its_midnight(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1, ends_on=START.date()), op="u")
    scenario.commit(2, an_enrolment(2, person=2, ends_on=START.date() + timedelta(days=1)), op="u")
    scenario.tick(60 * HOUR)
    replayer.replay(scenario)
    assert created(replayer) == [12 * HOUR, 36 * HOUR], "Oslo is two hours ahead of UTC"
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (person(1), RecStatus.GONE)}


def test_a_move_across_midnight_is_one_delta(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(12 * HOUR - 0.1, an_enrolment(1), op="d")
    scenario.commit(12 * HOUR + 0.05, an_enrolment(9, group=2))
    replayer.replay(scenario)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (member(2, 1), RecStatus.NEW)}


def test_a_snapshot_is_taken_at_the_hour_of_every_day(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1), op="d")
    scenario.tick(14 * HOUR)
    scenario.tick(62 * HOUR - 1)
    result = replayer.replay(scenario)
    names = sorted(path.name for path in (replayer.folder() / "snapshots").iterdir())
    assert names == ["2026-10-15-0.xml", "2026-10-16-1.xml", "2026-10-17-1.xml"]
    assert result.targets[0].snapshots == 3
    assert replayer.manifest().next_snapshot == START + timedelta(hours=62)


def test_a_replay_ends_at_until(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(10, an_enrolment(1), op="d")
    scenario.commit(20, an_enrolment(2, person=2), op="d")
    result = replayer.replay(scenario, until=10.1)
    assert result.targets[0].deltas == 0, "the first change has not settled"
    assert replayer.manifest().checked == START + timedelta(seconds=10.1)
    replayer.root = replayer.root / "later"
    assert replayer.replay(scenario, until=10.2).targets[0].deltas == 1
    replayer.root = replayer.root / "much"
    assert replayer.replay(scenario, until=100 * HOUR).targets[0].snapshots == 5


def test_an_owner_without_a_number_halts_and_goes_on(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_owner(orgnr=None), op="u")
    scenario.commit(2, an_enrolment(1), op="d")
    result = replayer.replay(scenario)
    assert (result.targets[0].state, result.targets[0].deltas) == ("stale", 0)
    scenario.commit(3, an_owner(), op="u")
    replayer.root = replayer.root / "again"
    assert replayer.replay(scenario).targets[0].deltas == 1


def test_refused_messages_are_counted_and_the_rest_goes_on(replayer: Replayer, scenario: Scenario) -> None:
    scenario.raw(1, "no JSON, and a name")
    scenario.commit(1, an_enrolment(1), op="d")
    result = replayer.replay(scenario)
    assert result.refused == {"not_json": 1}
    assert result.messages == 11
    assert result.targets[0].deltas == 1


def test_a_duplicate_is_counted_and_not_applied(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1), op="d")
    scenario.commit(2, a_person(1, family_name="Ny"))
    scenario.text.insert(10, scenario.text[9])
    assert replayer.replay(scenario).duplicates == 1


def test_a_transaction_ends_with_any_end_in_its_partition(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, an_enrolment(1, status="withdrawn"), whole=False)
    end = a_debezium_event("c", after={}, source={"table": "grades", "lsn": 900, "sequence": None, "epoch": 1})
    scenario.text.append(events_file.message_line(START + timedelta(seconds=60), end))
    replayer.replay(scenario)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (person(1), RecStatus.GONE)}
    assert created(replayer) == [60.2]


def test_an_owner_missing_from_a_later_load_is_halted(replayer: Replayer, scenario: Scenario) -> None:
    scenario.tick(1)
    scenario.commit(2, an_owner(owner_id=9), op="r", epoch=2)
    (target,) = replayer.replay(scenario).targets
    assert (target.state, target.deltas) == ("stale", 0)


def test_a_later_load_removes_unseen_rows(replayer: Replayer, scenario: Scenario) -> None:
    scenario.tick(1)
    rows = (an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    scenario.commit(2, *rows, op="r", epoch=2)
    replayer.replay(scenario)
    assert said(replayer, 1) == {
        (key, RecStatus.GONE) for key in (person(2), RecordKey(RecordKind.GROUP, "group-2"), member(1, 2), member(2, 2))
    }


def test_exclusions_are_counted_by_reason(replayer: Replayer, scenario: Scenario) -> None:
    scenario.commit(1, a_person(1, protected=True), a_person(3, given_name=" "), an_employee(1, person=3))
    (target,) = replayer.replay(scenario).targets
    assert {(kind.name, reason.value): n for (kind, reason), n in target.excluded.items()} == {
        ("PERSON", "person_protected"): 1,
        ("PERSON", "name_incomplete"): 1,
    }


def test_files_of_another_replay_are_not_touched(replayer: Replayer, scenario: Scenario) -> None:
    replayer.replay(scenario)
    other = Scenario()
    other.commit(0, an_owner(), op="r")
    with pytest.raises(FeedError, match="other content"):
        replayer.replay(other)
