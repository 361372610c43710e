"""The limits of a target at their edges: which persons are held because too many leave, and which are released."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.holds.limits import DAY, HOUR, Departure, Limits, PublishedCounts, enough_to_count
from ims.holds.losses import Cause, HoldEntry, Loss
from ims.holds.verdict import Verdict, judge
from tests.support.builders import a_target

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
MANY: dict[str, Any] = {
    f"hold_{window}_{what}": 1000 for window in ("hour", "day") for what in ("persons", "teachers", "id_changes")
}
NONE_PUBLISHED = PublishedCounts()
LEAVES = Loss(gone=True, last=True, groups=("group-1",))
TEACHER = Loss(last=True, groups=("group-1",), teacher=True)
CHANGES = Loss(groups=("group-1",), id_changed=True)
MOVES = Loss(groups=("group-1",))


def left(count: int, ago: timedelta, **more: Any) -> list[Departure]:
    return [Departure(1000 + number, NOW - ago, **more) for number in range(count)]


def verdict(
    losses: dict[int, Loss],
    departures: list[Departure] | None = None,
    published: PublishedCounts = NONE_PUBLISHED,
    never_held: frozenset[int] = frozenset(),
    inferred: dict[int, Cause] | None = None,
    waiting: dict[int, HoldEntry] | None = None,
    **settings: Any,
) -> Verdict:
    limits = Limits(a_target(**settings), departures or [], published, NOW)
    return judge(losses, never_held, inferred or {}, waiting or {}, limits)


def some(count: int, loss: Loss, first: int = 1) -> dict[int, Loss]:
    return dict.fromkeys(range(first, first + count), loss)


def on_hold(numbers: dict[int, Loss], cause: Cause, *, approved: bool = False) -> dict[int, HoldEntry]:
    return {number: HoldEntry(cause, loss, approved=approved) for number, loss in numbers.items()}


def test_leavers_up_to_the_limit_need_no_count_of_the_published() -> None:
    found = verdict(some(10, LEAVES))
    assert enough_to_count(a_target(), some(10, LEAVES), []) == PublishedCounts(0, 0)
    assert found.held == {}
    assert [departure.person for departure in found.departures] == list(range(1, 11))


def test_one_leaver_above_the_limit_holds_all_of_the_publication() -> None:
    found = verdict(some(11, LEAVES))
    assert found.held == dict.fromkeys(range(1, 12), Cause.PERSONS)
    assert found.departures == []


@pytest.mark.parametrize(("persons", "held"), [(110, False), (109, True)])
def test_the_percentage_of_the_published_counts_if_it_is_more(persons: int, held: bool) -> None:
    assert bool(verdict(some(11, LEAVES), published=PublishedCounts(persons)).held) is held


def test_published_persons_are_counted_only_as_far_as_needed() -> None:
    assert enough_to_count(a_target(), some(11, LEAVES), []) == PublishedCounts(110, 0)
    assert enough_to_count(a_target(), some(11, TEACHER), []) == PublishedCounts(110, 55)


def test_nothing_is_counted_if_the_percentage_is_zero() -> None:
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


def test_a_person_who_keeps_a_membership_is_no_leaver() -> None:
    found = verdict(some(40, MOVES))
    assert found.held == {}
    assert not any(departure.of_person for departure in found.departures)


@pytest.mark.parametrize("window", ["hour", "day"])
def test_each_window_has_its_own_limit(window: str) -> None:
    settings = MANY | {f"hold_{window}_persons": 2, f"hold_{window}_persons_percent": 0}
    assert verdict(some(2, LEAVES), **settings).held == {}
    assert set(verdict(some(3, LEAVES), **settings).held) == {1, 2, 3}


@pytest.mark.parametrize(("window", "span"), [("hour", HOUR), ("day", DAY)])
def test_only_departures_within_the_window_count(window: str, span: timedelta) -> None:
    settings = MANY | {f"hold_{window}_persons": 2}
    assert set(verdict(some(1, LEAVES), left(2, span - timedelta(microseconds=1)), **settings).held) == {1}
    assert verdict(some(1, LEAVES), left(2, span), **settings).held == {}


def test_a_person_who_comes_and_goes_counts_once() -> None:
    again = [Departure(1, NOW - timedelta(minutes=number)) for number in range(1, 6)]
    assert verdict(some(1, LEAVES), again, **MANY | {"hold_hour_persons": 1}).held == {}


def test_a_slow_loss_exceeds_the_day_limit() -> None:
    one_every_two_hours = [Departure(1000 + number, NOW - timedelta(hours=2 * number + 2)) for number in range(10)]
    assert verdict(some(1, LEAVES), one_every_two_hours).held == {1: Cause.PERSONS}


@pytest.mark.parametrize(("number", "held"), [(3, False), (4, True)])
def test_the_teacher_limit_holds_only_teachers(number: int, held: bool) -> None:
    found = verdict(some(number, TEACHER) | some(2, LEAVES, first=100), published=PublishedCounts(1000, 15))
    assert found.held == (dict.fromkeys(range(1, number + 1), Cause.TEACHERS) if held else {})
    assert {departure.person for departure in found.departures} >= {100, 101}


def test_the_teacher_percentage_is_of_the_published_teachers() -> None:
    assert verdict(some(4, TEACHER), published=PublishedCounts(0, 20)).held == {}
    assert len(verdict(some(4, TEACHER), published=PublishedCounts(1000, 19)).held) == 4


@pytest.mark.parametrize("window", ["hour", "day"])
def test_more_changed_ids_than_the_limit_wait(window: str) -> None:
    settings = MANY | {f"hold_{window}_id_changes": 5}
    assert verdict(some(5, CHANGES), **settings).held == {}
    assert verdict(some(6, CHANGES), **settings).held == dict.fromkeys(range(1, 7), Cause.ID_CHANGES)


def test_changed_ids_and_leavers_are_counted_apart() -> None:
    assert verdict(some(5, CHANGES), left(10, timedelta(minutes=1))).held == {}
    assert verdict(some(10, LEAVES), left(5, timedelta(minutes=1), id_change=True)).held == {}
    assert len(verdict(some(1, CHANGES), left(5, timedelta(minutes=1), id_change=True)).held) == 1


def test_any_number_of_never_held_persons_is_removed() -> None:
    found = verdict(some(50, LEAVES), never_held=frozenset(range(1, 51)))
    assert found.held == {}


def test_a_single_inferred_loss_waits_and_counts_against_no_limit() -> None:
    found = verdict(some(1, MOVES) | some(10, LEAVES, first=2), inferred={1: Cause.SETTING})
    assert found.held == {1: Cause.SETTING}


def test_the_passing_of_a_window_releases_no_person() -> None:
    losing = some(11, LEAVES)
    assert (
        verdict(losing, waiting=on_hold(losing, Cause.PERSONS), published=PublishedCounts(10_000)).held.keys()
        == losing.keys()
    )


def test_a_single_leaver_is_removed_while_many_are_held() -> None:
    losing = some(11, LEAVES)
    found = verdict(losing | some(1, LEAVES, first=99), waiting=on_hold(losing, Cause.PERSONS))
    assert found.held.keys() == losing.keys()
    assert [departure.person for departure in found.departures] == [99]


def test_only_a_returning_person_is_released_above_the_limit() -> None:
    found = verdict(some(11, LEAVES), waiting=on_hold(some(12, LEAVES), Cause.PERSONS))
    assert found.held.keys() == some(11, LEAVES).keys()


def test_the_rest_is_released_once_enough_have_come_back() -> None:
    found = verdict(some(10, LEAVES), waiting=on_hold(some(11, LEAVES), Cause.PERSONS))
    assert found.held == {}
    assert len(found.departures) == 10


def test_the_rest_is_judged_together_with_recent_departures() -> None:
    found = verdict(some(10, LEAVES), left(1, timedelta(minutes=1)), waiting=on_hold(some(11, LEAVES), Cause.PERSONS))
    assert len(found.held) == 10


def test_a_new_leaver_is_removed_even_if_the_rest_stays_held() -> None:
    found = verdict(some(10, LEAVES) | some(1, LEAVES, 50), waiting=on_hold(some(11, LEAVES), Cause.PERSONS))
    assert found.held.keys() == some(10, LEAVES).keys()


@pytest.mark.parametrize("cause", [Cause.SETTING, Cause.RESYNC, Cause.SCHOOL_NUMBER])
def test_inferred_losses_are_not_released_when_others_come_back(cause: Cause) -> None:
    assert len(verdict(some(1, LEAVES), waiting=on_hold(some(11, LEAVES), cause)).held) == 1


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
def test_a_held_person_is_released_once_the_cause_is_over(cause: Cause, loss: Loss, released: bool) -> None:
    """The other persons of the hold still exceed the limit by far."""
    others = some(500, LEAVES if cause is not Cause.ID_CHANGES else CHANGES, first=100)
    found = verdict({1: loss} | others, waiting=on_hold({1: LEAVES} | others, cause))
    assert (1 not in found.held) is released


def test_an_approved_loss_is_published_and_counts_against_no_limit() -> None:
    losing = some(500, LEAVES)
    assert verdict(losing, waiting=on_hold(losing, Cause.PERSONS, approved=True)) == Verdict({}, [])


@pytest.mark.parametrize(
    "more",
    [Loss(gone=True, last=True, groups=("group-1",)), Loss(groups=("group-1", "group-2")), Loss(id_changed=True)],
)
def test_a_loss_beyond_the_approved_one_stays_held(more: Loss) -> None:
    approved = {1: HoldEntry(Cause.SETTING, MOVES, approved=True)}
    assert verdict({1: more}, waiting=approved).held == {1: Cause.SETTING}
    assert verdict({1: MOVES}, waiting=approved).held == {}
