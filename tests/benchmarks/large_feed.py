"""The figures for which many persons must have been published, and few: the two state databases are made once."""

import contextlib
from collections.abc import Iterator

from tests.benchmarks.cuts import small_cuts
from tests.benchmarks.figure import Figure
from tests.benchmarks.interpreter import interpreter_of
from tests.benchmarks.large_cut import large_cut
from tests.benchmarks.large_state import Published, published_persons
from tests.benchmarks.servers import Servers
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.snapshots import snapshot_memory, snapshot_rates

FIGURES = (
    "snapshot_vs_copy",
    "snapshot_vs_xmlfile",
    "snapshot_memory_large_vs_small",
    "snapshot_memory_mb",
    "cut_100_large_vs_small",
    "delta_100k_vs_lxml",
)


def figures(sizes: Sizes, servers: Servers, wanted: frozenset[str]) -> Iterator[Figure]:
    """Those of :data:`FIGURES` that are wanted; snapshots first, since cuts change what is there."""
    with contextlib.ExitStack() as open_:
        open_.enter_context(interpreter_of("compact"))

        def published(persons: int) -> Published:
            return open_.enter_context(published_persons(servers, persons))

        large = published(sizes.persons)
        small = published(sizes.small_persons)
        if wanted & {"snapshot_vs_copy", "snapshot_vs_xmlfile"}:
            yield from snapshot_rates(large, wanted)
        if wanted & {"snapshot_memory_large_vs_small", "snapshot_memory_mb"}:
            yield from snapshot_memory(large, small)
        if "cut_100_large_vs_small" in wanted:
            yield small_cuts(large, small)
        if "delta_100k_vs_lxml" in wanted:
            yield large_cut(large, sizes.changes)
