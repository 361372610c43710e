"""How many partitions each materialize has: the living share them evenly, and move as few as that takes."""

from collections.abc import Collection

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """Where a materialize stands among those that share a topic.

    Attributes:
        living: how many there are, this one included.
        rank: how many of them come before it; each knows of the same order.
        leased: partitions that somebody has, this one included.
    """

    living: int
    rank: int
    leased: frozenset[int]


def share_of(partitions: int, standing: Standing) -> int:
    """How many of so many partitions are this one's; the shares of all add up, and differ by one at most.

    >>> [share_of(8, Standing(living=3, rank=rank, leased=frozenset())) for rank in range(3)]
    [3, 3, 2]
    """
    least, more = divmod(partitions, standing.living)
    return least + (standing.rank < more)


def surplus(held: Collection[int], share: int) -> list[int]:
    """Which of the partitions held are given up when only *share* of them may be kept.

    Every other one first: owners are often numbered from 1 on, and so the few of a small installation come apart.

    >>> surplus(range(8), 4), surplus(range(8), 3), surplus([2, 6], 2)
    ([1, 3, 5, 7], [0, 1, 3, 5, 7], [])
    """
    ordered = sorted(held)
    by_turns = ordered[1::2] + ordered[::2]
    return sorted(by_turns[: max(0, len(ordered) - share)])


def missing(partitions: Collection[int], held: Collection[int], share: int, standing: Standing) -> list[int]:
    """Which free partitions are to be taken by one that holds fewer than its share.

    >>> missing(range(4), {0}, 2, Standing(living=2, rank=0, leased=frozenset({0, 1})))
    [2]
    """
    free = sorted(set(partitions) - standing.leased - set(held))
    return free[: max(0, share - len(held))]
