"""What time it is when clocks disagree."""

from datetime import UTC, datetime, timedelta

import pytest

from ims.publication.clock import Clocks, ClockTrouble, Judgement, judge, text_of

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
LEAPS = [300 * DAY, 2 * DAY, -300 * DAY, -2 * DAY]


def test_clocks_that_agree_are_certain() -> None:
    assert judge(Clocks(NOON, NOON + SECOND, NOON - MINUTE, NOON)) == Judgement(NOON, certain=True)


@pytest.mark.parametrize("leap", LEAPS)
def test_a_machine_that_leaps_alone_is_outvoted(leap: timedelta) -> None:
    judged = judge(Clocks(NOON + leap, NOON, NOON, NOON))
    assert judged == Judgement(NOON, certain=True, trouble=ClockTrouble.LOCAL)


@pytest.mark.parametrize("leap", LEAPS)
def test_a_database_that_leaps_alone_is_outvoted(leap: timedelta) -> None:
    judged = judge(Clocks(NOON, NOON + leap, NOON, NOON))
    assert judged == Judgement(NOON, certain=True, trouble=ClockTrouble.DATABASE)


@pytest.mark.parametrize("leap", LEAPS)
def test_without_the_source_the_time_from_before_decides(leap: timedelta) -> None:
    assert judge(Clocks(NOON + leap, NOON, None, NOON)) == Judgement(NOON, trouble=ClockTrouble.LOCAL)
    assert judge(Clocks(NOON, NOON + leap, None, NOON)) == Judgement(NOON, trouble=ClockTrouble.DATABASE)


def test_two_that_leap_together_are_held_by_the_source() -> None:
    later = NOON + 300 * DAY
    assert judge(Clocks(later, later, NOON, NOON)) == Judgement(NOON, trouble=ClockTrouble.SOURCE_BEHIND)


def test_two_that_leap_together_are_not_believed_at_once() -> None:
    later = NOON + 300 * DAY
    for waited in (timedelta(), DAY):
        judged = judge(Clocks(later, later, None, NOON, waited))
        assert judged == Judgement(NOON, trouble=ClockTrouble.LEAP)


def test_two_that_go_back_together_take_nothing_back() -> None:
    earlier = NOON - 300 * DAY
    assert judge(Clocks(earlier, earlier, NOON, NOON)) == Judgement(earlier, trouble=ClockTrouble.SOURCE_AHEAD)
    assert not judge(Clocks(earlier, earlier, None, NOON, DAY)).certain


def test_a_silent_source_is_no_leap() -> None:
    assert judge(Clocks(NOON, NOON, None, NOON - SECOND)) == Judgement(NOON)
    assert judge(Clocks(NOON, NOON, None, NOON - DAY)) == Judgement(NOON)


def test_a_long_outage_of_all_is_believed_after_some_waiting() -> None:
    before = NOON - 3 * DAY
    assert judge(Clocks(NOON, NOON, None, before)).trouble is ClockTrouble.LEAP
    assert judge(Clocks(NOON, NOON, None, before, 2 * MINUTE)) == Judgement(NOON)
    assert judge(Clocks(NOON, NOON, NOON, before)) == Judgement(NOON, certain=True)


def test_the_earlier_of_two_times_is_used_if_nothing_decides() -> None:
    judged = judge(Clocks(NOON + DAY, NOON, NOON + 9 * DAY, None))
    assert judged == Judgement(NOON, trouble=ClockTrouble.DISAGREE)
    assert judge(Clocks(NOON, NOON + DAY)).now == NOON


def test_every_trouble_has_a_text() -> None:
    assert all(text_of(trouble) for trouble in ClockTrouble)
