"""The figures that need many published persons, and few beside them: the two state databases are made once."""

import contextlib
from collections.abc import Iterator

from tests.benchmarks.figure import Figure
from tests.benchmarks.publication.interpreter import interpreter_of
from tests.benchmarks.publication.large_delta import large_delta
from tests.benchmarks.publication.large_state import Published, published_persons
from tests.benchmarks.publication.small_delta import small_deltas
from tests.benchmarks.publication.snapshots import snapshot_memory, snapshot_rates
from tests.benchmarks.servers import Servers
from tests.benchmarks.sizes import Sizes

FIGURES = (
    "snapshot_vs_copy",
    "snapshot_vs_xmlfile",
    "snapshot_memory_large_vs_small",
    "snapshot_memory_mb",
    "delta_100_large_vs_small",
    "delta_100k_vs_lxml",
)


def figures(sizes: Sizes, servers: Servers, wanted: frozenset[str]) -> Iterator[Figure]:
    """Yield the wanted ones of :data:`FIGURES`; snapshots first, because deltas change the state."""
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
        if "delta_100_large_vs_small" in wanted:
            yield small_deltas(large, small)
        if "delta_100k_vs_lxml" in wanted:
            yield large_delta(large, sizes.changes)
