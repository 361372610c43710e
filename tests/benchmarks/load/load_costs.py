"""`python -m tests.benchmarks.load.load_costs --persons 100000`: what a row costs in each phase of a first load.

Wall-clock and CPU time, memory, bytes in Kafka, bytes of write-ahead log: the figures for planning capacity.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from rich.console import Console
from rich.table import Table

from tests.benchmarks.load.first_load import PHASES, FirstLoad, first_load, wal_position
from tests.benchmarks.load.population import Population, fill
from tests.benchmarks.servers import Servers
from tests.support.installation import PROCESSES

_SINGLE_ROWS: Final = 1_000
_MILLION: Final = 1_000_000


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load.load_costs", description=__doc__)
    parser.add_argument("--persons", type=int, default=100_000, help="each has three enrolments; default: 100000")
    population = Population(parser.parse_args().persons)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may run as another user
        with Servers(Path(folder)) as servers, servers.source() as source:
            with psycopg.connect(source, autocommit=True) as connection:
                of_source = list(_source_wal(connection, population))
            load = first_load(servers, source, population)
    console = Console()
    console.print(_phases(load, population), highlight=False)
    for what, number in [*of_source, *_costs(load, population)]:
        console.print(f"{what}: {number:,.0f}", highlight=False)


def _source_wal(source: psycopg.Connection[Any], population: Population) -> Iterator[tuple[str, float]]:
    """Yield the bytes of write-ahead log of a row in the source: copied with others, and in its own transaction."""
    begin = wal_position(source)
    fill(source, population)
    yield "bytes of the source's WAL for each row that is copied", (wal_position(source) - begin) / population.rows
    begin = wal_position(source)
    for _ in range(_SINGLE_ROWS):
        source.execute("update enrolment set ends_on = '2099-06-18' where owner_id = 1 and id = 1")
    yield "bytes of the source's WAL for each update by itself", (wal_position(source) - begin) / _SINGLE_ROWS


def _phases(load: FirstLoad, population: Population) -> Table:
    names = [*PROCESSES, "PostgreSQL"]
    table = Table("per million rows", "seconds", *(f"CPU s of {name}" for name in names))
    for phase in PHASES:
        numbers = [load.seconds[phase], *(load.cpu_seconds[phase][name] for name in names)]
        table.add_row(phase, *(f"{number / population.rows * _MILLION:.1f}" for number in numbers))
    return table


def _costs(load: FirstLoad, population: Population) -> Iterator[tuple[str, float]]:
    yield "rows of the source", population.rows
    for name, megabytes in load.peak_mb.items():
        yield f"peak memory of {name}, in MB", megabytes
    yield "bytes in Kafka for each event", load.topic_bytes / load.messages
    yield "bytes of WAL for each row, from the load to the first snapshot", load.wal_bytes / population.rows


if __name__ == "__main__":
    main()
