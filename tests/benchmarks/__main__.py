"""`python -m tests.benchmarks --only latency_p50_ms`: measure imsfeed beside what it builds on, in one run.

Prints a table and writes bench.json. Exit code 0: everything asked for was measured, whatever the results, since
machines are noisy; 1: a figure could not be measured; 2: the arguments are wrong; 130: interrupted.

``capture``, ``debezium``, ``load``, ``materialize`` and ``publication`` each measure one part, ``whole`` a whole
installation.
"""

import argparse
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from tests.benchmarks.capture import beside_producer
from tests.benchmarks.debezium import beside_debezium
from tests.benchmarks.figure import WANTED, Figure, NotMeasured
from tests.benchmarks.load import first_load
from tests.benchmarks.materialize import materialize_speed
from tests.benchmarks.publication import large_feed
from tests.benchmarks.servers import Servers
from tests.benchmarks.sizes import TINY, Sizes, changed
from tests.benchmarks.whole import idle_and_latency, two_vs_one

Measured = Figure | NotMeasured
Benchmark = Callable[[Sizes, Servers, frozenset[str]], Iterator[Measured]]

BENCHMARKS: Final[Sequence[tuple[tuple[str, ...], Benchmark]]] = (
    (beside_producer.NAMES, beside_producer.figures),
    (beside_debezium.FIGURES, beside_debezium.figures),
    (large_feed.FIGURES, large_feed.figures),
    (first_load.FIGURES, first_load.figures),
    ((materialize_speed.NAME,), materialize_speed.figures),
    (idle_and_latency.FIGURES, idle_and_latency.figures),
    (two_vs_one.FIGURES, two_vs_one.figures),
)
"""The figures that each benchmark measures; it is called for some of them, and may yield the others too."""


def main() -> int:
    """Run the benchmarks and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="figures to measure, separated by commas; default: all")
    parser.add_argument("--size", action="append", default=[], metavar="NAME=NUMBER", help="change a size")
    parser.add_argument("--tiny", action="store_true", help="only check that everything works; figures mean nothing")
    parser.add_argument("--minutes", type=float, default=10, help="no benchmark begins after this time; default: 10")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="default: bench.json")
    given = parser.parse_args()
    names = frozenset(filter(None, given.only.split(","))) or frozenset(WANTED)
    if unknown := sorted(names - WANTED.keys()):
        parser.error(f"no figure is called {', '.join(unknown)}; there are {', '.join(WANTED)}")
    try:
        sizes = changed(TINY if given.tiny else Sizes(), given.size)
    except ValueError as error:
        parser.error(str(error))
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        results = [result for result in _run(console, names, sizes, given.minutes * 60) if result.name in names]
    except KeyboardInterrupt:
        console.print("interrupted")
        return 130
    options = [*(["--tiny"] if given.tiny else []), *(part for size in given.size for part in ("--size", size))]
    given.output.write_bytes(msgspec.json.format(msgspec.json.encode(_objects(results, options))) + b"\n")
    console.print(_table(results), f"written to {given.output}")
    return 1 if any(isinstance(result, NotMeasured) for result in results) else 0


def _run(console: Console, names: frozenset[str], sizes: Sizes, seconds: float) -> Iterator[Measured]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may run as another user, and writes files too
        with Servers(Path(folder)) as servers:
            for figures, benchmark in BENCHMARKS:
                wanted = names & frozenset(figures)
                if time.monotonic() - began > seconds:
                    yield from (NotMeasured(name, "the time is up; see --minutes") for name in sorted(wanted))
                elif wanted:
                    yield from _measured(console, benchmark, wanted, sizes, servers)


def _measured(
    console: Console, benchmark: Benchmark, wanted: frozenset[str], sizes: Sizes, servers: Servers
) -> Iterator[Measured]:
    began = time.monotonic()
    missing = set(wanted)
    try:
        with console.status(f"measuring {', '.join(sorted(wanted))}"):
            for result in benchmark(sizes, servers, wanted):
                missing.discard(result.name)
                yield result
    except Exception as error:  # noqa: BLE001 - a failing benchmark must not stop the others
        console.print(traceback.format_exc(), markup=False, highlight=False)
        yield from (NotMeasured(name, f"failed: {error!r:.200}") for name in sorted(missing))
    console.print(f"{', '.join(sorted(wanted))}: {time.monotonic() - began:.0f} s", highlight=False)


def _objects(results: Sequence[Measured], options: Sequence[str]) -> list[object]:
    return [
        result.as_json(shlex.join(["python", "-m", "tests.benchmarks", "--only", result.name, *options]))
        if isinstance(result, Figure)
        else msgspec.structs.asdict(result)
        for result in results
    ]


def _table(results: Sequence[Measured]) -> Table:
    table = Table("figure", "ours", "reference", "unit", "ratio", "wanted", "note")
    for result in results:
        if isinstance(result, NotMeasured):
            table.add_row(result.name, "-", "-", "-", "-", str(WANTED[result.name] or "-"), result.why)
            continue
        ratio, reached = result.ratio, result.is_reached
        table.add_row(
            result.name,
            _number(result.ours),
            "-" if result.reference is None else _number(result.reference),
            result.unit,
            "-" if ratio is None else f"{ratio:.2f}",
            str(WANTED[result.name] or "-"),
            result.note,
            style={True: "green", False: "red", None: None}[reached],
        )
    return table


def _number(value: float) -> str:
    """Return a number with three significant digits.

    >>> _number(123456.7), _number(12.345), _number(0.01234)
    ('123,457', '12.3', '0.0123')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
