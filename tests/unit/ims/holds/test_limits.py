"""Who waits because too many would leave, at every limit's edge, and who is let go again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.holds.limits import DAY, HOUR, Departure, Limits, PublishedCounts, Verdict, enough_to_count, judge
from ims.holds.losses import Cause, Loss, Waits
from tests.support.builders import a_target

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
MANY: dict[str, Any] = {
    f"hold_{window}_{what}": 1000 for window in ("hour", "day") for what in ("persons", "teachers", "id_changes")
}
NOBODY = PublishedCounts()
LEAVES = Loss(gone=True, last=True, groups=("group-1",))
TEACHER = Loss(last=True, groups=("group-1",), teacher=True)
CHANGES = Loss(groups=("group-1",), id_changed=True)
MOVES = Loss(groups=("group-1",))


def left(count: int, ago: timedelta, **more: Any) -> list[Departure]:
    return [Departure(1000 + number, NOW - ago, **more) for number in range(count)]


def verdict(
    losses: dict[int, Loss],
    departures: list[Departure] | None = None,
    published: PublishedCounts = NOBODY,
    never_held: frozenset[int] = frozenset(),
    inferred: dict[int, Cause] | None = None,
    waiting: dict[int, Waits] | None = None,
    **settings: Any,
) -> Verdict:
    limits = Limits(a_target(**settings), departures or [], published, NOW)
    return judge(losses, never_held, inferred or {}, waiting or {}, limits, NOW)


def some(count: int, loss: Loss, first: int = 1) -> dict[int, Loss]:
    return dict.fromkeys(range(first, first + count), loss)


def waits(numbers: dict[int, Loss], cause: Cause, *, approved: bool = False) -> dict[int, Waits]:
    return {number: Waits(cause, loss, approved=approved) for number, loss in numbers.items()}


def test_as_many_as_the_limit_may_leave_and_nobody_is_counted_for_that() -> None:
    found = verdict(some(10, LEAVES))
    assert enough_to_count(a_target(), some(10, LEAVES), []) == PublishedCounts(0, 0)
    assert found.waits == {}
    assert [departure.person for departure in found.departures] == list(range(1, 11))


def test_one_more_than_the_limit_and_all_of_the_cut_wait() -> None:
    found = verdict(some(11, LEAVES))
    assert found.waits == dict.fromkeys(range(1, 12), Cause.PERSONS)
    assert found.departures == []


@pytest.mark.parametrize(("persons", "held"), [(110, False), (109, True)])
def test_the_percentage_of_those_told_counts_where_it_is_more(persons: int, held: bool) -> None:
    assert bool(verdict(some(11, LEAVES), published=PublishedCounts(persons)).waits) is held


def test_persons_are_counted_no_further_than_the_percentage_needs() -> None:
    assert enough_to_count(a_target(), some(11, LEAVES), []) == PublishedCounts(110, 0)
    assert enough_to_count(a_target(), some(11, TEACHER), []) == PublishedCounts(110, 55)


def test_nothing_is_counted_where_the_percentage_is_zero() -> None:
    assert enough_to_count(a_target(hold_hour_persons_percent=0, hold_day_persons_percent=0), some(11, LEAVES), []) == (
        PublishedCounts(0, 0)
    )


@given(
    losses=st.dictionaries(st.integers(1, 12), st.sampled_from([LEAVES, TEACHER, MOVES])),
    departures=st.lists(
        st.builds(
            Departure,
            st.integers(1, 20),
            st.sampled_from([NOW, NOW - HOUR, NOW - 2 * HOUR]),
            teacher=st.booleans(),
            id_change=st.booleans(),
        ),
        max_size=8,
    ),
    published=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    absolute=st.integers(0, 6),
    percent=st.integers(0, 60),
)
def test_counting_further_than_enough_changes_no_verdict(
    losses: dict[int, Loss], departures: list[Departure], published: tuple[int, int], absolute: int, percent: int
) -> None:
    settings: dict[str, Any] = {f"hold_{w}_{who}": absolute for w in ("hour", "day") for who in ("persons", "teachers")}
    settings |= {f"{name}_percent": percent for name in settings}
    enough = enough_to_count(a_target(**settings), losses, departures)
    counted = PublishedCounts(*map(min, published, enough))
    whole = verdict(losses, departures, PublishedCounts(*published), **settings)
    assert verdict(losses, departures, counted, **settings) == whole


def test_whoever_keeps_a_membership_is_no_leaver() -> None:
    assert verdict(some(50, MOVES)) == Verdict({}, [])


@pytest.mark.parametrize("window", ["hour", "day"])
def test_each_window_has_its_own_limit(window: str) -> None:
    settings = MANY | {f"hold_{window}_persons": 2, f"hold_{window}_persons_percent": 0}
    assert verdict(some(2, LEAVES), **settings).waits == {}
    assert set(verdict(some(3, LEAVES), **settings).waits) == {1, 2, 3}


@pytest.mark.parametrize(("window", "span"), [("hour", HOUR), ("day", DAY)])
def test_those_who_left_within_the_window_count_and_those_before_do_not(window: str, span: timedelta) -> None:
    settings = MANY | {f"hold_{window}_persons": 2}
    assert set(verdict(some(1, LEAVES), left(2, span - timedelta(microseconds=1)), **settings).waits) == {1}
    assert verdict(some(1, LEAVES), left(2, span), **settings).waits == {}


def test_somebody_who_comes_and_goes_counts_once() -> None:
    again = [Departure(1, NOW - timedelta(minutes=number)) for number in range(1, 6)]
    assert verdict(some(1, LEAVES), again, **MANY | {"hold_hour_persons": 1}).waits == {}


def test_losses_that_trickle_are_noticed_in_the_day_although_no_hour_has_many() -> None:
    trickled = [Departure(1000 + number, NOW - timedelta(hours=2 * number + 2)) for number in range(10)]
    assert verdict(some(1, LEAVES), trickled).waits == {1: Cause.PERSONS}


@pytest.mark.parametrize(("number", "held"), [(3, False), (4, True)])
def test_teachers_have_a_limit_of_their_own_and_only_they_wait_for_it(number: int, held: bool) -> None:
    found = verdict(some(number, TEACHER) | some(2, LEAVES, first=100), published=PublishedCounts(1000, 15))
    assert found.waits == (dict.fromkeys(range(1, number + 1), Cause.TEACHERS) if held else {})
    assert {departure.person for departure in found.departures} >= {100, 101}


def test_the_percentage_of_teachers_is_that_of_the_teachers_told() -> None:
    assert verdict(some(4, TEACHER), published=PublishedCounts(0, 20)).waits == {}
    assert len(verdict(some(4, TEACHER), published=PublishedCounts(1000, 19)).waits) == 4


@pytest.mark.parametrize("window", ["hour", "day"])
def test_more_changed_ids_than_the_limit_wait(window: str) -> None:
    settings = MANY | {f"hold_{window}_id_changes": 5}
    assert verdict(some(5, CHANGES), **settings).waits == {}
    assert verdict(some(6, CHANGES), **settings).waits == dict.fromkeys(range(1, 7), Cause.ID_CHANGES)


def test_changed_ids_and_leavers_are_counted_apart() -> None:
    assert verdict(some(5, CHANGES), left(10, timedelta(minutes=1))).waits == {}
    assert verdict(some(10, LEAVES), left(5, timedelta(minutes=1), id_change=True)).waits == {}
    assert len(verdict(some(1, CHANGES), left(5, timedelta(minutes=1), id_change=True)).waits) == 1


def test_whoever_is_never_held_goes_at_once_however_many() -> None:
    found = verdict(some(50, LEAVES), never_held=frozenset(range(1, 51)))
    assert found.waits == {}


def test_an_inferred_loss_waits_even_alone_and_counts_against_no_limit() -> None:
    found = verdict(some(1, MOVES) | some(10, LEAVES, first=2), inferred={1: Cause.SETTING})
    assert found.waits == {1: Cause.SETTING}


def test_windows_that_pass_release_nobody() -> None:
    losing = some(11, LEAVES)
    assert (
        verdict(losing, waiting=waits(losing, Cause.PERSONS), published=PublishedCounts(10_000)).waits.keys()
        == losing.keys()
    )


def test_a_single_leaver_goes_while_many_wait() -> None:
    losing = some(11, LEAVES)
    found = verdict(losing | some(1, LEAVES, first=99), waiting=waits(losing, Cause.PERSONS))
    assert found.waits.keys() == losing.keys()
    assert [departure.person for departure in found.departures] == [99]


def test_who_comes_back_is_released_alone_while_the_rest_are_still_too_many() -> None:
    found = verdict(some(11, LEAVES), waiting=waits(some(12, LEAVES), Cause.PERSONS))
    assert found.waits.keys() == some(11, LEAVES).keys()


def test_the_rest_goes_too_once_enough_have_come_back() -> None:
    found = verdict(some(10, LEAVES), waiting=waits(some(11, LEAVES), Cause.PERSONS))
    assert found.waits == {}
    assert len(found.departures) == 10


def test_the_rest_is_judged_together_with_those_who_left_lately() -> None:
    found = verdict(some(10, LEAVES), left(1, timedelta(minutes=1)), waiting=waits(some(11, LEAVES), Cause.PERSONS))
    assert len(found.waits) == 10


def test_a_new_leaver_is_told_even_if_with_the_rest_there_would_be_too_many() -> None:
    found = verdict(some(10, LEAVES) | some(1, LEAVES, 50), waiting=waits(some(11, LEAVES), Cause.PERSONS))
    assert found.waits.keys() == some(10, LEAVES).keys()


@pytest.mark.parametrize("cause", [Cause.SETTING, Cause.RESYNC, Cause.SCHOOL_NUMBER])
def test_no_rest_goes_by_itself_of_what_nobody_decided_on(cause: Cause) -> None:
    assert len(verdict(some(1, LEAVES), waiting=waits(some(11, LEAVES), cause)).waits) == 1


@pytest.mark.parametrize(
    ("cause", "loss", "released"),
    [
        (Cause.PERSONS, MOVES, True),
        (Cause.TEACHERS, MOVES, True),
        (Cause.ID_CHANGES, MOVES, True),
        (Cause.SETTING, MOVES, False),
        (Cause.RESYNC, MOVES, False),
        (Cause.SCHOOL_NUMBER, MOVES, False),
        (Cause.PERSONS, TEACHER, False),
        (Cause.ID_CHANGES, CHANGES, False),
    ],
)
def test_who_waits_is_released_when_what_the_hold_is_about_is_over(cause: Cause, loss: Loss, released: bool) -> None:
    """The others of the hold are still far too many."""
    others = some(500, LEAVES if cause is not Cause.ID_CHANGES else CHANGES, first=100)
    found = verdict({1: loss} | others, waiting=waits({1: LEAVES} | others, cause))
    assert (1 not in found.waits) is released


def test_what_is_approved_is_told_and_does_not_count() -> None:
    losing = some(500, LEAVES)
    assert verdict(losing, waiting=waits(losing, Cause.PERSONS, approved=True)) == Verdict({}, [])


@pytest.mark.parametrize(
    "more",
    [Loss(gone=True, last=True, groups=("group-1",)), Loss(groups=("group-1", "group-2")), Loss(id_changed=True)],
)
def test_what_is_lost_beyond_what_was_approved_goes_on_waiting(more: Loss) -> None:
    approved = {1: Waits(Cause.SETTING, MOVES, approved=True)}
    assert verdict({1: more}, waiting=approved).waits == {1: Cause.SETTING}
    assert verdict({1: MOVES}, waiting=approved).waits == {}
