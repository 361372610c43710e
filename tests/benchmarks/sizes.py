"""How large everything is that the benchmarks work on."""

from collections.abc import Iterable

import msgspec


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes that a run may change by ``--size NAME=NUMBER``; the defaults fit into ten minutes on two cores.

    Attributes:
        backlog: rows that capture has to catch up with.
        debezium_backlog: the same where Debezium is measured beside it.
        debezium_commits: single commits whose way to the topic is timed there.
        events: that materialize applies.
        persons: of the large installation; each has three memberships.
        small_persons: of the small one.
        changes: changed records of the large delta.
        load_persons: of the first load; each has three enrolments.
        seconds: of changes for the latency, and of rest for what idling costs.
        rate: changes a second.
        targets: of the school owner whose changes and rest are measured.
        shared_backlog: changes of two owners that one of each process, and then two, have to catch up with.
    """

    backlog: int = 100_000
    debezium_backlog: int = 600_000
    debezium_commits: int = 200
    events: int = 60_000
    persons: int = 300_000
    small_persons: int = 10_000
    changes: int = 100_000
    load_persons: int = 100_000
    seconds: int = 30
    rate: int = 100
    targets: int = 1
    shared_backlog: int = 20_000


TINY = Sizes(
    backlog=2_000,
    debezium_backlog=2_000,
    debezium_commits=10,
    events=2_000,
    persons=2_000,
    small_persons=200,
    changes=500,
    load_persons=500,
    seconds=2,
    rate=20,
    shared_backlog=400,
)
"""Large enough to see that every benchmark works, and nothing else."""


def changed(sizes: Sizes, options: Iterable[str]) -> Sizes:
    """The sizes with those changed that *options* name.

    Raises:
        ValueError: an option is no ``NAME=NUMBER``, there is no such size, or the number is not above zero.

    >>> changed(Sizes(), ["changes=7"]).changes
    7
    """
    numbers = {}
    for option in options:
        name, _, number = option.partition("=")
        if name not in Sizes.__struct_fields__:
            raise ValueError(f"--size {option}: the sizes are {', '.join(Sizes.__struct_fields__)}")
        if not number.isdigit() or not int(number):
            raise ValueError(f"--size {option}: write {name}=NUMBER, with a number above zero")
        numbers[name] = int(number)
    return msgspec.structs.replace(sizes, **numbers)
