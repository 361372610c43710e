"""Who has how many partitions, whoever comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.materialize.partition_assignment import Standing, missing, share_of, surplus

Held = dict[int, set[int]]
"""Partitions of each process that lives."""


def standing(held: Held, process: int) -> Standing:
    return Standing(
        living=len(held),
        rank=sum(other < process for other in held),
        leased=frozenset().union(*held.values()),
    )


def share(held: Held, process: int, partitions: int) -> int:
    return share_of(partitions, standing(held, process))


def look(held: Held, process: int, partitions: int) -> None:
    """One process gives up what it has too much of, and takes what it has too little of."""
    wanted = share(held, process, partitions)
    held[process] -= set(surplus(held[process], wanted))
    held[process] |= set(missing(range(partitions), held[process], wanted, standing(held, process)))


def settle(held: Held, partitions: int) -> None:
    for _ in range(2):
        for process in held:
            look(held, process, partitions)


@given(st.integers(1, 40), st.integers(1, 12))
def test_the_shares_of_all_add_up_and_differ_by_one_at_most(partitions: int, living: int) -> None:
    shares = [share_of(partitions, Standing(living, rank, frozenset())) for rank in range(living)]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 16), st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=12))
def test_whoever_comes_and_goes_every_partition_is_with_one_and_all_have_their_share(
    partitions: int, changes: list[tuple[bool, int]]
) -> None:
    held: Held = {0: set()}
    for comes, process in changes:
        if comes:
            held.setdefault(process, set())
        else:
            held.pop(process, None)
        settle(held, partitions)
        assert sorted(number for numbers in held.values() for number in numbers) == list(range(partitions))
        assert all(len(numbers) == share(held, process, partitions) for process, numbers in held.items())


@given(st.integers(1, 16), st.integers(1, 5))
def test_one_that_dies_moves_no_partition_of_another_out_of_its_place(partitions: int, living: int) -> None:
    held: Held = {process: set() for process in range(living + 1)}
    settle(held, partitions)
    before = {process: set(numbers) for process, numbers in held.items() if process}
    del held[0]
    settle(held, partitions)
    assert all(before[process] <= held[process] for process in held)


def test_the_first_owners_come_apart_when_a_second_process_comes() -> None:
    held: Held = {1: set(range(8)), 2: set()}
    settle(held, 8)
    assert held == {1: {0, 2, 4, 6}, 2: {1, 3, 5, 7}}


def test_more_processes_than_partitions_leave_some_standing_by() -> None:
    held: Held = {process: set() for process in range(5)}
    settle(held, 3)
    assert [len(numbers) for numbers in held.values()] == [1, 1, 1, 0, 0]
