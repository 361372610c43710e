"""Who waits because too many would leave, at every limit's edge, and who is let go again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ims.holds.limits import DAY, HOUR, Departure, Limits, PublishedCounts, Verdict, judge
from ims.holds.losses import Cause, HoldEntry, Loss
from tests.support.builders import a_target

NOW = datetime(2026, 10, 15, 10, tzinfo=UTC)
MANY: dict[str, Any] = {
    f"hold_{window}_{what}": 1000 for window in ("hour", "day") for what in ("persons", "teachers", "id_changes")
}
NOBODY = PublishedCounts(lambda _: 0, lambda _: 0)
LEAVES = Loss(gone=True, last=True, groups=("group-1",))
TEACHER = Loss(last=True, groups=("group-1",), teacher=True)
CHANGES = Loss(groups=("group-1",), id_changed=True)
MOVES = Loss(groups=("group-1",))


def never_asked(_: int) -> int:
    raise AssertionError("counting everybody is costly, and was not needed")


def published(persons: int = 0, teachers: int = 0) -> PublishedCounts:
    return PublishedCounts(lambda _: persons, lambda _: teachers)


def left(count: int, ago: timedelta, **more: Any) -> list[Departure]:
    return [Departure(1000 + number, NOW - ago, **more) for number in range(count)]


def verdict(
    losses: dict[int, Loss],
    departures: list[Departure] | None = None,
    published: PublishedCounts = NOBODY,
    never_held: frozenset[int] = frozenset(),
    inferred: dict[int, Cause] | None = None,
    waiting: dict[int, HoldEntry] | None = None,
    **settings: Any,
) -> Verdict:
    limits = Limits(a_target(**settings), departures or [], published, NOW)
    return judge(losses, never_held, inferred or {}, waiting or {}, limits)


def some(count: int, loss: Loss, first: int = 1) -> dict[int, Loss]:
    return dict.fromkeys(range(first, first + count), loss)


def waits(numbers: dict[int, Loss], cause: Cause, *, approved: bool = False) -> dict[int, HoldEntry]:
    return {number: HoldEntry(cause, loss, approved=approved) for number, loss in numbers.items()}


def test_as_many_as_the_limit_may_leave_and_nobody_is_counted_for_that() -> None:
    found = verdict(some(10, LEAVES), published=PublishedCounts(never_asked, never_asked))
    assert found.held == {}
    assert [departure.person for departure in found.departures] == list(range(1, 11))


def test_one_more_than_the_limit_and_all_of_the_cut_wait() -> None:
    found = verdict(some(11, LEAVES))
    assert found.held == dict.fromkeys(range(1, 12), Cause.PERSONS)
    assert found.departures == []


@pytest.mark.parametrize(("persons", "held"), [(110, False), (109, True)])
def test_the_percentage_of_those_told_counts_where_it_is_more(persons: int, held: bool) -> None:
    assert bool(verdict(some(11, LEAVES), published=published(persons)).held) is held


@pytest.mark.parametrize(("persons", "held"), [(1_000_000, False), (110, False), (109, True)])
def test_nobody_is_counted_beyond_what_the_percentage_needs(persons: int, held: bool) -> None:
    asked = []

    def counted(enough: int) -> int:
        asked.append(enough)
        return min(persons, enough)

    assert bool(verdict(some(11, LEAVES), published=PublishedCounts(counted, never_asked)).held) is held
    assert set(asked) == {110}


def test_whoever_keeps_a_membership_is_no_leaver() -> None:
    assert verdict(some(50, MOVES)) == Verdict({}, [])


@pytest.mark.parametrize("window", ["hour", "day"])
def test_each_window_has_its_own_limit(window: str) -> None:
    settings = MANY | {f"hold_{window}_persons": 2, f"hold_{window}_persons_percent": 0}
    assert verdict(some(2, LEAVES), **settings).held == {}
    assert set(verdict(some(3, LEAVES), **settings).held) == {1, 2, 3}


@pytest.mark.parametrize(("window", "span"), [("hour", HOUR), ("day", DAY)])
def test_those_who_left_within_the_window_count_and_those_before_do_not(window: str, span: timedelta) -> None:
    settings = MANY | {f"hold_{window}_persons": 2}
    assert set(verdict(some(1, LEAVES), left(2, span - timedelta(microseconds=1)), **settings).held) == {1}
    assert verdict(some(1, LEAVES), left(2, span), **settings).held == {}


def test_somebody_who_comes_and_goes_counts_once() -> None:
    again = [Departure(1, NOW - timedelta(minutes=number)) for number in range(1, 6)]
    assert verdict(some(1, LEAVES), again, **MANY | {"hold_hour_persons": 1}).held == {}


def test_losses_that_trickle_are_noticed_in_the_day_although_no_hour_has_many() -> None:
    trickled = [Departure(1000 + number, NOW - timedelta(hours=2 * number + 2)) for number in range(10)]
    assert verdict(some(1, LEAVES), trickled).held == {1: Cause.PERSONS}


@pytest.mark.parametrize(("number", "held"), [(3, False), (4, True)])
def test_teachers_have_a_limit_of_their_own_and_only_they_wait_for_it(number: int, held: bool) -> None:
    found = verdict(some(number, TEACHER) | some(2, LEAVES, first=100), published=published(1000, 15))
    assert found.held == (dict.fromkeys(range(1, number + 1), Cause.TEACHERS) if held else {})
    assert {departure.person for departure in found.departures} >= {100, 101}


def test_the_percentage_of_teachers_is_that_of_the_teachers_told() -> None:
    assert verdict(some(4, TEACHER), published=published(0, 20)).held == {}
    assert len(verdict(some(4, TEACHER), published=published(1000, 19)).held) == 4


@pytest.mark.parametrize("window", ["hour", "day"])
def test_more_changed_ids_than_the_limit_wait(window: str) -> None:
    settings = MANY | {f"hold_{window}_id_changes": 5}
    assert verdict(some(5, CHANGES), **settings).held == {}
    assert verdict(some(6, CHANGES), **settings).held == dict.fromkeys(range(1, 7), Cause.ID_CHANGES)


def test_changed_ids_and_leavers_are_counted_apart() -> None:
    assert verdict(some(5, CHANGES), left(10, timedelta(minutes=1))).held == {}
    assert verdict(some(10, LEAVES), left(5, timedelta(minutes=1), id_change=True)).held == {}
    assert len(verdict(some(1, CHANGES), left(5, timedelta(minutes=1), id_change=True)).held) == 1


def test_whoever_is_never_held_goes_at_once_however_many() -> None:
    found = verdict(some(50, LEAVES), never_held=frozenset(range(1, 51)))
    assert found.held == {}


def test_an_inferred_loss_waits_even_alone_and_counts_against_no_limit() -> None:
    found = verdict(some(1, MOVES) | some(10, LEAVES, first=2), inferred={1: Cause.SETTING})
    assert found.held == {1: Cause.SETTING}


def test_windows_that_pass_release_nobody() -> None:
    losing = some(11, LEAVES)
    assert (
        verdict(losing, waiting=waits(losing, Cause.PERSONS), published=published(10_000)).held.keys() == losing.keys()
    )


def test_a_single_leaver_goes_while_many_wait() -> None:
    losing = some(11, LEAVES)
    found = verdict(losing | some(1, LEAVES, first=99), waiting=waits(losing, Cause.PERSONS))
    assert found.held.keys() == losing.keys()
    assert [departure.person for departure in found.departures] == [99]


def test_who_comes_back_is_released_alone_while_the_rest_are_still_too_many() -> None:
    found = verdict(some(11, LEAVES), waiting=waits(some(12, LEAVES), Cause.PERSONS))
    assert found.held.keys() == some(11, LEAVES).keys()


def test_the_rest_goes_too_once_enough_have_come_back() -> None:
    found = verdict(some(10, LEAVES), waiting=waits(some(11, LEAVES), Cause.PERSONS))
    assert found.held == {}
    assert len(found.departures) == 10


def test_the_rest_is_judged_together_with_those_who_left_lately() -> None:
    found = verdict(some(10, LEAVES), left(1, timedelta(minutes=1)), waiting=waits(some(11, LEAVES), Cause.PERSONS))
    assert len(found.held) == 10


def test_a_new_leaver_is_told_even_if_with_the_rest_there_would_be_too_many() -> None:
    found = verdict(some(10, LEAVES) | some(1, LEAVES, 50), waiting=waits(some(11, LEAVES), Cause.PERSONS))
    assert found.held.keys() == some(10, LEAVES).keys()


@pytest.mark.parametrize("cause", [Cause.SETTING, Cause.RESYNC, Cause.SCHOOL_NUMBER])
def test_no_rest_goes_by_itself_of_what_nobody_decided_on(cause: Cause) -> None:
    assert len(verdict(some(1, LEAVES), waiting=waits(some(11, LEAVES), cause)).held) == 1


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
    assert (1 not in found.held) is released


def test_what_is_approved_is_told_and_does_not_count() -> None:
    losing = some(500, LEAVES)
    assert verdict(losing, waiting=waits(losing, Cause.PERSONS, approved=True)) == Verdict({}, [])


@pytest.mark.parametrize(
    "more",
    [Loss(gone=True, last=True, groups=("group-1",)), Loss(groups=("group-1", "group-2")), Loss(id_changed=True)],
)
def test_what_is_lost_beyond_what_was_approved_goes_on_waiting(more: Loss) -> None:
    approved = {1: HoldEntry(Cause.SETTING, MOVES, approved=True)}
    assert verdict({1: more}, waiting=approved).held == {1: Cause.SETTING}
    assert verdict({1: MOVES}, waiting=approved).held == {}
