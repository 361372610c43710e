"""Values as a source may have them: who is published, and who is not, whatever else is wrong with a row."""

from typing import Any

import pytest

from ims.records.vocabulary import RecStatus
from ims.source.facts import Fact
from tests.support.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.events import Replayer, Scenario
from tests.unit.consumers.replay.published_records import member, person, said

GONE = RecStatus.GONE
MICROSECONDS_OF_JUNE = 1_781_733_600_000_000
MILLISECONDS_OF_JUNE = 1_781_733_600_000


def left_behind(replayer: Replayer) -> set[int]:
    """Return the persons among 1 and 2 whom the last delta has not removed."""
    manifest = replayer.manifest()
    gone = {
        record for seq in range(1, manifest.head_seq + 1) for record, status in said(replayer, seq) if status is GONE
    }
    return {number for number in (1, 2) if person(number) not in gone}


@pytest.mark.parametrize(
    ("fact", "columns"),
    [
        (a_person(1, protected=True), {"birth_date": "19853-01-01"}),
        (a_person(1, protected=True), {"given_name": None}),
        (a_person(1, protected=True), {"national_id": ["?"]}),
        (a_person(1), {"protected": "perhaps"}),
        (a_person(1), {"protected": None}),
        (a_person(1), {"protected": 2}),
        (a_person(1), {"protected": "2.0"}),
        (an_enrolment(1, status="ended"), {"role": "elev"}),
        (an_enrolment(1), {"ends_on": "2026-06-18", "status": "aktiv"}),
        (an_enrolment(1), {"ends_on": "2026-06-18", "starts_on": 10**9}),
        (an_enrolment(1), {"starts_on": "2026-12-01", "ends_on": MICROSECONDS_OF_JUNE}),
        (an_enrolment(1), {"group_id": 2, "role": "elev", "person_id": 2}),
        (a_group(1), {"active": False, "name": None}),
        (a_group(1), {"active": 0, "programme": "innføring"}),
        (a_group(1), {"ends_on": "2026-06-18", "code": None}),
    ],
)
def test_what_takes_access_away_is_obeyed_whatever_else_is_wrong(
    replayer: Replayer, scenario: Scenario, fact: Fact, columns: dict[str, Any]
) -> None:
    scenario.written(60, fact, **columns)
    replayer.replay(scenario)
    assert 1 not in left_behind(replayer)


@pytest.mark.parametrize(
    ("fact", "columns", "reason"),
    [
        (an_enrolment(1), {"status": "aktiv"}, "unknown_word"),
        (an_enrolment(1), {"role": "elev"}, "unknown_word"),
        (an_enrolment(1), {"ends_on": MICROSECONDS_OF_JUNE}, "impossible_value"),
        (an_enrolment(1), {"ends_on": MILLISECONDS_OF_JUNE}, "impossible_value"),
        (an_enrolment(1), {"ends_on": -(10**10)}, "impossible_value"),
        (a_group(1), {"active": "kanskje"}, "impossible_value"),
        (a_group(1), {"programme": "grunnskolen"}, "unknown_word"),
        (a_person(1), {"family_name": None}, "impossible_value"),
    ],
)
def test_what_is_not_understood_is_put_aside_and_removes_nobody(
    replayer: Replayer, scenario: Scenario, fact: Fact, columns: dict[str, Any], reason: str
) -> None:
    scenario.written(60, fact, **columns)
    result = replayer.replay(scenario)
    assert (left_behind(replayer), result.refused) == ({1, 2}, {reason: 1})


def test_a_column_that_is_never_published_keeps_no_row_out(replayer: Replayer, scenario: Scenario) -> None:
    scenario.written(60, a_person(1), birth_date="19853-01-01", mobile=["?"], given_name="Ny")
    result = replayer.replay(scenario)
    assert (result.refused, said(replayer, 1)) == ({}, {(person(1), RecStatus.CHANGED)})


def test_a_readable_row_replaces_what_an_unreadable_one_took_away(replayer: Replayer, scenario: Scenario) -> None:
    scenario.written(60, a_person(1, protected=True), given_name=None)
    scenario.written(120, a_person(1))
    replayer.replay(scenario)
    assert said(replayer, 1) == {(person(1), GONE), (member(1, 1), GONE)}
    assert said(replayer, 2) == {(person(1), RecStatus.NEW), (member(1, 1), RecStatus.NEW)}


def test_an_unreadable_row_gives_no_access(replayer: Replayer, scenario: Scenario) -> None:
    scenario.written(60, an_enrolment(1, status="ended"))
    scenario.written(120, an_enrolment(1), role="elev", ends_on=None)
    scenario.written(180, a_person(3), op="c")
    scenario.written(181, an_enrolment(9, person=3), op="c", status="aktiv")
    replayer.replay(scenario)
    assert replayer.manifest().head_seq == 1


def test_a_protected_person_without_a_readable_row_hides_a_second_registration(replayer: Replayer) -> None:
    scenario = Scenario()
    scenario.commit(0, an_owner(), a_school(1), a_group(1), a_person(2), an_enrolment(2, person=2), op="r")
    twin = a_person(5, national_id=a_person(1).national_id)
    scenario.written(60, a_person(1, protected=True), op="c", given_name=None)
    scenario.written(120, twin, op="c")
    scenario.written(121, an_enrolment(5, person=5), op="c")
    replayer.replay(scenario)
    assert replayer.manifest().head_seq == 0


def test_a_delete_needs_nothing_of_the_old_row_but_its_key(replayer: Replayer, scenario: Scenario) -> None:
    scenario.written(60, an_enrolment(1), op="d", status="aktiv", starts_on="19853-01-01")
    result = replayer.replay(scenario)
    assert (left_behind(replayer), result.refused) == ({2}, {})


def test_blanks_at_the_end_of_a_word_count_nowhere(replayer: Replayer) -> None:
    scenario = Scenario()
    scenario.commit(0, an_owner(), a_school(1), a_group(1), a_person(2), an_enrolment(2, person=2), op="r")
    number = a_person(1).national_id
    assert number is not None
    scenario.written(60, a_person(1), op="c", national_id=f"{number.reveal()}   ", owner_id="1   ", id=" 1 ")
    scenario.written(61, an_enrolment(1), op="c", status="active    ", role="learner   ", person_id="1  ")
    result = replayer.replay(scenario)
    assert result.refused == {}
    assert (person(1), RecStatus.NEW) in said(replayer, 1)


@pytest.mark.parametrize(
    ("last_day", "stays"),
    [
        ("2026-10-14T22:00:00Z", True),
        ("2026-10-14 22:00:00+00", True),
        ("2026-10-15T00:00:00+02:00", True),
        ("2026-10-14T21:59:59Z", False),
        ("2026-10-14 23:30:00", False),
        ("2026-10-15", True),
    ],
)
def test_a_time_with_its_zone_counts_by_its_norwegian_date(
    replayer: Replayer, scenario: Scenario, last_day: str, stays: bool
) -> None:
    scenario.written(60, an_enrolment(1), ends_on=last_day)
    replayer.replay(scenario)
    assert (1 in left_behind(replayer)) is stays


def test_an_employee_who_is_no_teacher_any_more_is_no_instructor(replayer: Replayer) -> None:
    scenario = Scenario()
    teaches = an_enrolment(1, role="teacher")
    scenario.commit(0, an_owner(), a_school(1), a_group(1), a_person(1), an_employee(1, person=1), teaches, op="r")
    scenario.written(60, an_employee(1, person=1, active=False), kind="rektor")
    replayer.replay(scenario)
    assert 1 not in left_behind(replayer)
