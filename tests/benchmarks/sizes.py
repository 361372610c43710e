"""The sizes of what the benchmarks measure."""

from collections.abc import Iterable

import msgspec


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes that a run may change by ``--size NAME=NUMBER``; the defaults fit into ten minutes on two cores.

    Attributes:
        backlog: rows that capture has to catch up with.
        debezium_backlog: the same, where Debezium is measured beside capture.
        debezium_commits: single commits whose latency is measured there.
        events: events that materialize applies.
        persons: persons of the large installation; each has three memberships.
        small_persons: persons of the small installation.
        changes: changed records of the large delta.
        load_persons: persons of the first load; each has three enrolments.
        seconds: how long changes are made for the latency, and how long the idle costs are measured.
        rate: changes per second.
        targets: targets of the school owner in these two.
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
"""Just large enough to check that every benchmark works."""


def changed(sizes: Sizes, options: Iterable[str]) -> Sizes:
    """Return the sizes with the changes in *options*.

    Raises:
        ValueError: an option is not ``NAME=NUMBER``, there is no such size, or the number is not above zero.

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
