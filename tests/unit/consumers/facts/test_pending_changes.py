"""The pending changes that a publication takes."""

from datetime import UTC, datetime

from consumers.facts.pending_changes import PendingChange, settled

SETTLE = 0.2


def a_change(change_id: int, kind: str, number: int, settled_for: float) -> PendingChange:
    return PendingChange(change_id, kind, number, datetime(2026, 10, 15, tzinfo=UTC), settled_for)


def test_a_change_is_taken_once_it_has_settled() -> None:
    pending = settled([a_change(4, "person", 1, 0.3), a_change(5, "person", 2, 0.1)], SETTLE, after=3)
    assert (pending.persons, pending.through) == (frozenset({1}), 4)


def test_without_a_settled_change_nothing_is_taken() -> None:
    pending = settled([a_change(4, "person", 1, 0.1)], SETTLE, after=3)
    assert not pending
    assert pending.through == 3


def test_a_person_with_a_newer_unsettled_change_waits() -> None:
    pending = settled([a_change(4, "person", 1, 0.3), a_change(5, "person", 1, 0.1)], SETTLE, after=3)
    assert not pending


def test_a_person_who_always_changes_is_published_in_time() -> None:
    changes = [a_change(4, "person", 1, 1.0), a_change(5, "person", 1, 0.1)]
    assert settled(changes, SETTLE, after=3).persons == {1}


def test_a_change_is_never_taken_before_an_earlier_one() -> None:
    pending = settled([a_change(4, "group", 1, 0.1), a_change(5, "group", 2, 0.3)], SETTLE, after=3)
    assert (pending.groups, pending.through) == (frozenset(), 3)


def test_an_owners_change_means_everything() -> None:
    assert settled([a_change(4, "owner", 1, 0.3)], SETTLE, after=3).everything
    assert not settled([a_change(4, "school", 1, 0.3)], SETTLE, after=3).everything
