"""What a file of events becomes: first snapshot, deltas, midnights, hours, settings; always the same bytes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.replay import events_file
from consumers.replay.events_file import EventsFileError
from ims.errors import FeedError
from ims.holds.losses import Cause
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

HOUR = 3600.0


def id_of(person: int) -> str:
    national_id = a_person(person).national_id
    assert national_id is not None
    return national_id.reveal()


def member(group: int, person: int) -> RecordKey:
    return RecordKey(RecordKind.MEMBERSHIP, f"group-{group}", id_of(person))


def person(number: int) -> RecordKey:
    return RecordKey(RecordKind.PERSON, id_of(number))


@pytest.fixture
def replayer(tmp_path: Path) -> Replayer:
    return Replayer(tmp_path / "feed")


@pytest.fixture
def story() -> Scenario:
    """A load at START of learner 1 in group 1, and learner 2 in groups 1 and 2."""
    story = Scenario()
    rows = (an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2))
    story.commit(0, *rows, an_enrolment(1), an_enrolment(2, person=2), an_enrolment(3, person=2, group=2), op="r")
    return story


def said(replayer: Replayer, seq: int) -> set[tuple[RecordKey, RecStatus | None]]:
    return {(record.key, recstatus) for record, recstatus in replayer.delta(seq)}


def created(replayer: Replayer) -> list[float]:
    return [(delta.created - START).total_seconds() for delta in replayer.manifest().deltas]


def test_the_leading_rows_of_a_load_are_the_first_snapshot(replayer: Replayer, story: Scenario) -> None:
    story.commit(0, an_enrolment(3, person=2, group=2), op="d")
    result = replayer.replay(story)
    manifest = replayer.manifest()
    assert (manifest.snapshot.seq, manifest.snapshot.counts.membership) == (0, 3)
    assert said(replayer, 1) == {(member(2, 2), RecStatus.GONE)}
    assert result.targets[0].deltas == 1


def test_without_a_load_the_first_settled_changes_are_published_first(replayer: Replayer) -> None:
    story = Scenario()
    story.commit(0, an_owner(), a_school(1), a_group(1))
    story.commit(0.1, a_person(1), an_enrolment(1))
    story.commit(5, a_person(2), an_enrolment(2, person=2))
    replayer.replay(story)
    assert replayer.manifest().snapshot.counts.membership == 1
    assert said(replayer, 1) == {(person(2), RecStatus.NEW), (member(1, 2), RecStatus.NEW)}


def test_a_tick_ends_the_load(replayer: Replayer, story: Scenario) -> None:
    story.tick(60)
    story.commit(120, a_person(3), an_enrolment(4, person=3), op="r")
    replayer.replay(story)
    assert replayer.manifest().deltas[0].counts.person.new == 1


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, story: Scenario) -> None:
    story.commit(1, an_enrolment(1), op="d")
    story.tick(30 * HOUR)
    first, second = Replayer(tmp_path / "one"), Replayer(tmp_path / "two")
    first.replay(story, a_target(export_path="Eksport.xml"))
    second.replay(story, a_target(export_path="Eksport.xml"))
    assert first.files() == second.files()
    assert len(first.files()) == 5


def test_two_targets_of_one_name_have_different_epochs(replayer: Replayer, story: Scenario) -> None:
    story.commit(0, an_owner(owner_id=2, orgnr="200000005"), op="r")
    replayer.replay(story, a_target(), a_target(owner=2))
    manifests = list(replayer.root.glob("*/lms/manifest.json"))
    assert len({path.read_bytes().partition(b'"epoch"')[2][:45] for path in manifests}) == 2


def test_changes_within_the_settling_time_are_one_delta(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_enrolment(1), op="d")
    story.commit(1.2, an_enrolment(9, group=2))
    story.commit(1.401, an_enrolment(2, person=2), op="d")
    replayer.replay(story)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (member(2, 1), RecStatus.NEW)}
    assert said(replayer, 2) == {(member(1, 2), RecStatus.GONE)}
    assert created(replayer) == [1.4, 1.601]


def test_a_busy_owner_is_published_after_five_settling_times(replayer: Replayer, story: Scenario) -> None:
    for number in range(11):
        story.commit(1 + number * 0.15, a_person(1, family_name=f"Nr {number}"))
    replayer.replay(story)
    assert created(replayer) == [2.0, 2.7]


def test_a_partly_arrived_transaction_is_not_published(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_enrolment(1), op="d", whole=False)
    story.commit(2 * HOUR, an_enrolment(9, group=2))
    replayer.replay(story, until=HOUR)
    assert replayer.manifest().deltas == []
    replayer.root = replayer.root / "whole"
    replayer.replay(story)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (member(2, 1), RecStatus.NEW)}
    assert created(replayer) == [2 * HOUR + 0.2]


def test_not_even_at_midnight(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_enrolment(1), op="d", whole=False)
    story.tick(20 * HOUR)
    replayer.replay(story)
    assert replayer.manifest().deltas == []
    assert replayer.manifest().snapshot.counts.membership == 3


def test_a_day_that_passes_makes_a_delta_at_its_midnight(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_enrolment(1, ends_on=START.date()), op="u")
    story.commit(2, an_enrolment(2, person=2, ends_on=START.date() + timedelta(days=1)), op="u")
    story.tick(60 * HOUR)
    replayer.replay(story)
    assert created(replayer) == [12 * HOUR, 36 * HOUR], "Oslo is two hours ahead of UTC"
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (person(1), RecStatus.GONE)}


def test_a_move_across_midnight_is_one_delta(replayer: Replayer, story: Scenario) -> None:
    story.commit(12 * HOUR - 0.1, an_enrolment(1), op="d")
    story.commit(12 * HOUR + 0.05, an_enrolment(9, group=2))
    replayer.replay(story)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (member(2, 1), RecStatus.NEW)}


def test_a_snapshot_is_taken_at_the_hour_of_every_day(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_enrolment(1), op="d")
    story.tick(14 * HOUR)
    story.tick(62 * HOUR - 1)
    result = replayer.replay(story)
    names = sorted(path.name for path in (replayer.folder() / "snapshots").iterdir())
    assert names == ["2026-10-15-0.xml", "2026-10-16-1.xml", "2026-10-17-1.xml"]
    assert result.targets[0].snapshots == 3
    assert replayer.manifest().next_snapshot == START + timedelta(hours=62)


def test_until_ends_it_there(replayer: Replayer, story: Scenario) -> None:
    story.commit(10, an_enrolment(1), op="d")
    story.commit(20, an_enrolment(2, person=2), op="d")
    result = replayer.replay(story, until=10.1)
    assert result.targets[0].deltas == 0, "the first change rests still"
    assert replayer.manifest().checked == START + timedelta(seconds=10.1)
    replayer.root = replayer.root / "later"
    assert replayer.replay(story, until=10.2).targets[0].deltas == 1
    replayer.root = replayer.root / "much"
    assert replayer.replay(story, until=100 * HOUR).targets[0].snapshots == 5


def test_changed_settings_are_published_as_one_delta(replayer: Replayer, story: Scenario) -> None:
    story.settings(1, "lms", person_id="running")
    story.settings(5, "1/lms", enabled=False)
    story.commit(6, an_enrolment(1), op="d")
    replayer.replay(story)
    (delta,) = replayer.manifest().deltas
    assert (delta.counts.person.new, delta.counts.person.gone) == (2, 2)


def test_a_target_that_is_enabled_later_begins_then(replayer: Replayer, story: Scenario) -> None:
    story.settings(HOUR, "lms", enabled=True)
    replayer.replay(story, a_target(enabled=False))
    assert replayer.manifest().generated == START + timedelta(hours=1, seconds=0.2)


@pytest.mark.parametrize(
    ("target", "changes"), [("lmx", {}), ("lms", {"snapshot_hour": 24}), ("lms", {"colour": "red"})]
)
def test_a_line_with_wrong_settings_is_named(
    replayer: Replayer, story: Scenario, target: str, changes: dict[str, Any]
) -> None:
    story.settings(1, target, **changes)
    with pytest.raises(EventsFileError, match=r"events\.jsonl, line 10: "):
        replayer.replay(story)


def test_an_owner_without_a_number_halts_and_goes_on(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_owner(orgnr=None), op="u")
    story.commit(2, an_enrolment(1), op="d")
    result = replayer.replay(story)
    assert (result.targets[0].state, result.targets[0].deltas) == ("stale", 0)
    story.commit(3, an_owner(), op="u")
    replayer.root = replayer.root / "again"
    assert replayer.replay(story).targets[0].deltas == 1


def test_refused_messages_are_counted_and_the_rest_goes_on(replayer: Replayer, story: Scenario) -> None:
    story.raw(1, "no JSON, and a name")
    story.commit(1, an_enrolment(1), op="d")
    result = replayer.replay(story)
    assert result.refused == {"not_json": 1}
    assert result.messages == 11
    assert result.targets[0].deltas == 1


def test_what_comes_twice_is_counted_and_applied_once(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_enrolment(1), op="d")
    story.commit(2, a_person(1, family_name="Ny"))
    story.text.insert(10, story.text[9])
    assert replayer.replay(story).duplicates == 1


def test_a_transaction_ends_with_whatever_ends_one_in_its_partition(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, an_enrolment(1, status="withdrawn"), whole=False)
    end = a_debezium_event("c", after={}, source={"table": "grades", "lsn": 900, "sequence": None, "epoch": 1})
    story.text.append(events_file.message_line(START + timedelta(seconds=60), end))
    replayer.replay(story)
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (person(1), RecStatus.GONE)}
    assert created(replayer) == [60.2]


def test_an_owner_that_a_later_load_has_not_stands_still(replayer: Replayer, story: Scenario) -> None:
    story.tick(1)
    story.commit(2, an_owner(owner_id=9), op="r", epoch=2)
    (target,) = replayer.replay(story).targets
    assert (target.state, target.deltas) == ("stale", 0)


def test_a_later_load_removes_what_it_has_not_seen(replayer: Replayer, story: Scenario) -> None:
    story.tick(1)
    rows = (an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    story.commit(2, *rows, op="r", epoch=2)
    replayer.replay(story)
    assert said(replayer, 1) == {
        (key, RecStatus.GONE) for key in (person(2), RecordKey(RecordKind.GROUP, "group-2"), member(1, 2), member(2, 2))
    }


def test_who_is_left_out_is_counted_by_reason(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, a_person(1, protected=True), a_person(3, given_name=" "), an_employee(1, person=3))
    (target,) = replayer.replay(story).targets
    assert {(kind.name, reason.value): n for (kind, reason), n in target.excluded.items()} == {
        ("PERSON", "person_protected"): 1,
        ("PERSON", "name_incomplete"): 1,
    }


def test_files_of_another_replay_are_not_touched(replayer: Replayer, story: Scenario) -> None:
    replayer.replay(story)
    other = Scenario()
    other.commit(0, an_owner(), op="r")
    with pytest.raises(FeedError, match="other content"):
        replayer.replay(other)


def test_without_approvals_a_hold_waits_for_ever(replayer: Replayer, story: Scenario) -> None:
    story.settings(1, "lms", excluded_groups=[2])
    story.commit(2, an_enrolment(1), op="d")
    (target,) = replayer.replay(story, holds=True).targets
    assert (target.state, target.waiting) == ("held", {Cause.SETTING: 1})
    assert replayer.manifest().state == "held"
    assert said(replayer, 1) == {(member(1, 1), RecStatus.GONE), (person(1), RecStatus.GONE)}


def test_without_holds_nothing_waits(replayer: Replayer, story: Scenario) -> None:
    story.settings(1, "lms", excluded_groups=[2])
    (target,) = replayer.replay(story, a_target(accept_initial=False)).targets
    assert (target.state, target.waiting, target.deltas) == ("ok", {}, 1)


def test_a_first_publication_that_is_not_accepted_waits(replayer: Replayer, story: Scenario) -> None:
    (target,) = replayer.replay(story, a_target(accept_initial=False), holds=True).targets
    assert (target.state, target.snapshots) == ("held", 0)
    assert not replayer.folder().exists()


def test_leavers_are_counted_by_the_clock_of_the_events(replayer: Replayer, story: Scenario) -> None:
    story.commit(1, *(a_person(n) for n in range(10, 22)), *(an_enrolment(n, person=n) for n in range(10, 22)))
    for number in range(10, 22):
        story.commit(2 + (number - 10) * 7000, an_enrolment(number, person=number), op="d")
    (target,) = replayer.replay(story, holds=True).targets
    assert target.waiting == {Cause.PERSONS: 2}, "ten in a day, and two hours between two of them"
