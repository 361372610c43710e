"""The first load: from a filled source and an empty installation to the first snapshot and its manifest.

The real processes do it, on real servers. The reference is the least that it could take: the same tables copied by
``COPY`` into another database of the same server.
"""

import contextlib
import itertools
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
import psycopg
from kafka import KafkaAdminClient

from ims.feed.manifest import Totals
from tests.benchmarks.figure import Figure, NotMeasured
from tests.benchmarks.load.population import Population, fill
from tests.benchmarks.process_costs import cpu_seconds, cpu_seconds_of_all, peak_memory_mb, postmaster
from tests.benchmarks.servers import Servers, topic_name
from tests.benchmarks.sizes import Sizes
from tests.support.installation import PROCESSES, Installation, installed

FIGURES: Final = ("first_load_vs_copy",)
PHASES: Final = ("source to Kafka", "Kafka to facts", "first publication", "snapshot")
"""Each phase ends when all of its result is there. The second overlaps the first; only its rest counts as its time."""
_COPIES: Final = 3
_LOOK_SECONDS: Final = 0.05
_LONGEST_SECONDS: Final = 1_800.0


class FirstLoad(msgspec.Struct, frozen=True):
    """The time and the costs of a first load.

    Attributes:
        seconds: wall-clock time of each phase.
        cpu_seconds: CPU time by phase, and then by process; all processes of PostgreSQL together.
        peak_mb: peak memory of each process.
        messages: events in the topic.
        topic_bytes: their size on Kafka's disk.
        wal_bytes: size of the write-ahead log, nearly all of it the state database's.
        totals: the snapshot's totals.
    """

    seconds: Mapping[str, float]
    cpu_seconds: Mapping[str, Mapping[str, float]]
    peak_mb: Mapping[str, float]
    messages: int
    topic_bytes: int
    wal_bytes: int
    totals: Totals

    def __str__(self) -> str:
        phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        memory = ", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in self.peak_mb.items())
        return f"{phases}; {memory}"


def figures(sizes: Sizes, servers: Servers, _: frozenset[str]) -> Iterator[Figure | NotMeasured]:
    """Yield ``first_load_vs_copy``: the seconds of the first load, and of copying the same tables."""
    population = Population(sizes.load_persons)
    with filled_source(servers, population) as source:
        copies = [copied_seconds(servers, source, population) for _ in range(_COPIES)]
        load = first_load(servers, source, population)
    rows = f"{population.rows:,} rows of {population.persons:,} persons"
    yield Figure(FIGURES[0], sum(load.seconds.values()), statistics.median(copies), "s", f"{rows}; {load}")


@contextlib.contextmanager
def filled_source(servers: Servers, population: Population) -> Iterator[str]:
    """Yield the DSN of a source database with these rows."""
    with servers.source() as dsn:
        with psycopg.connect(dsn, autocommit=True) as source:
            fill(source, population)
        yield dsn


def copied_seconds(servers: Servers, source: str, population: Population) -> float:
    """Return the seconds that it takes to copy the tables into another database, which has the same keys."""
    with servers.source() as other, psycopg.connect(source) as reader, psycopg.connect(other) as writer:
        began = time.monotonic()
        for table in population.tables():
            _copy(reader, writer, table.encode())
        writer.commit()
        return time.monotonic() - began


def _copy(reader: psycopg.Connection[Any], writer: psycopg.Connection[Any], table: bytes) -> None:
    with (
        reader.cursor().copy(b"copy " + table + b" to stdout") as out,
        writer.cursor().copy(b"copy " + table + b" from stdin") as into,
    ):
        for data in out:
            into.write(data)


def first_load(servers: Servers, source: str, population: Population) -> FirstLoad:
    """Start the processes with an empty state database and an empty topic, and wait for the snapshot's manifest.

    Raises:
        AssertionError: it took far too long, or the snapshot is not complete.
    """
    topic, folder = topic_name(), servers.empty_folder("load")
    try:
        with servers.state() as state, installed(source, state, servers.kafka, topic, folder) as installation:
            installation.set_up(accept_initial=True)
            load = _Watched(servers, installation, topic).load(source, state)
    finally:
        shutil.rmtree(folder)
        _delete(servers.kafka, topic)
    expected = Totals(population.persons, population.groups, population.enrolments)
    assert load.totals == expected, f"the snapshot has {load.totals} of {expected}"
    return load


def _delete(kafka: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_topics([topic])
    admin.close()


class _Watched:
    """Watches a load, and measures its phases."""

    def __init__(self, servers: Servers, installation: Installation, topic: str) -> None:
        self._servers = servers
        self._installation = installation
        self._topic = topic
        self._postmaster = postmaster(servers.postgres.any_dsn)

    def load(self, source: str, state: str) -> FirstLoad:
        with psycopg.connect(source, autocommit=True) as of_source, psycopg.connect(state, autocommit=True) as of_state:
            wal = wal_position(of_source)
            times = [(time.monotonic(), self._costs())]
            self._installation.start()
            ends: tuple[Callable[[], bool], ...] = (
                lambda: _is(of_source, "select loaded_at is not null from imsfeed.capture"),
                lambda: _is(of_state, _ALL_APPLIED),
                lambda: _is(of_state, "select head_seq is not null from imsfeed.target"),
                lambda: self._installation.manifest() is not None,
            )
            for end in ends:
                self._wait(end)
                times.append((time.monotonic(), self._costs()))
            return self._published(times, _number(of_state, _MESSAGES), wal_position(of_source) - wal)

    def _published(self, times: list[tuple[float, Mapping[str, float]]], messages: int, wal_bytes: int) -> FirstLoad:
        manifest = self._installation.first_manifest()
        spans = list(zip(PHASES, itertools.pairwise(times), strict=True))
        logs = self._servers.folder.glob(f"kafka-*/data/{self._topic}-*/*.log")
        return FirstLoad(
            seconds={phase: end - begin for phase, ((begin, _), (end, _)) in spans},
            cpu_seconds={
                phase: {name: total - before.get(name, 0.0) for name, total in after.items()}
                for phase, ((_, before), (_, after)) in spans
            },
            peak_mb={name: peak_memory_mb(self._installation.processes[name].pid) for name in PROCESSES},
            messages=messages,
            topic_bytes=sum(log.stat().st_size for log in logs),
            wal_bytes=wal_bytes,
            totals=manifest.snapshot.counts,
        )

    def _costs(self) -> Mapping[str, float]:
        processes = {name: cpu_seconds(process.pid) for name, process in self._installation.processes.items()}
        return {**processes, "PostgreSQL": cpu_seconds_of_all(self._postmaster)}

    def _wait(self, end: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not end():
            ended = [name for name, process in self._installation.processes.items() if process.poll() is not None]
            assert not ended, f"{ended} ended; {self._installation.last_lines()}"
            assert time.monotonic() < deadline, f"the load takes too long; {self._installation.last_lines()}"
            time.sleep(_LOOK_SECONDS)


_ALL_APPLIED: Final = (
    "select exists (select from imsfeed.owner)"
    " and not exists (select from imsfeed.topic_partition where cardinality(open_owners) > 0)"
)
"""True once everything is applied: the load is one transaction, open from the owner's row to its last event."""
_MESSAGES: Final = "select coalesce(sum(next_offset), 0) from imsfeed.topic_partition"


def _is(connection: psycopg.Connection[Any], query: str) -> bool:
    row = connection.execute(query.encode()).fetchone()
    return bool(row and row[0])


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def wal_position(connection: psycopg.Connection[Any]) -> int:
    """Return how many bytes of write-ahead log the server has written."""
    return _number(connection, "select pg_current_wal_insert_lsn() - '0/0'")
