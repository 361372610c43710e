"""Capture beside Debezium: the same backlog of the same source, to the same broker, one after the other."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import Popen
from typing import Final

import msgspec

from deploy.local.process import LocalStackError
from tests.benchmarks import kafka_connect, process_costs
from tests.benchmarks.backlog import Backlog
from tests.benchmarks.backlog_capture import PARTITIONS, BacklogCapture
from tests.benchmarks.commit_latency import latencies
from tests.benchmarks.figure import Figure, NotMeasured
from tests.benchmarks.servers import Servers, topic_name
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.topic_arrivals import Arrivals, BenchTopic, await_backlog, topic
from tests.support.installation import Installation, installed
from tests.support.servers import java

FIGURES: Final = (
    "capture_vs_debezium_cold",
    "capture_vs_debezium_warm",
    "capture_latency_vs_debezium",
    "capture_memory_vs_debezium",
    "capture_start_vs_debezium",
)
_TABLES: Final = ("owner", "school", "person", "employee", "course_group", "enrolment")
_COMMITS_A_SECOND: Final = 20
_FIRST_LATE_ID: Final = 5_000_000_000

Reader = Callable[[str, BenchTopic], contextlib.AbstractContextManager[Popen[bytes]]]
"""Starts a process that carries changes from a slot to a topic, and ends it."""


class Taken(msgspec.Struct, frozen=True):
    """What one of the two took.

    Attributes:
        arrivals: of the backlog.
        latencies: of single commits, when the backlog was done; milliseconds.
        peak_mb: most memory that the process ever had resident.
        cpu_seconds: that the process had used when the backlog was done; unlike the time it hardly depends on who else
            works on the machine.
    """

    arrivals: Arrivals
    latencies: list[float]
    peak_mb: float
    cpu_seconds: float


def figures(sizes: Sizes, servers: Servers, _wanted: frozenset[str]) -> Iterator[Figure | NotMeasured]:
    """All five, of one run of each."""
    if lacking := _lacking():
        yield from (NotMeasured(name, lacking) for name in FIGURES)
        return
    kafka, folder = servers.kafka, servers.empty_folder("debezium")
    with contextlib.ExitStack() as opened:
        dsn = opened.enter_context(servers.source())
        loaded = opened.enter_context(topic(kafka, topic_name(), PARTITIONS))
        installation = opened.enter_context(installed(dsn, "", kafka, loaded.name, folder))
        installation.environment |= {"KAFKA_PARTITIONS": str(PARTITIONS), "HEARTBEAT_SECONDS": "10"}
        backlog = BacklogCapture(installation, Backlog(sizes.debezium_backlog))
        # Now, and not while one of the two is measured.
        installation.source.execute("vacuum (analyze)")
        installation.source.execute("checkpoint")

        def taken(reader: Reader, first_id: int) -> Taken:
            slot, expected = backlog.another_slot(), backlog.expected
            with topic(kafka, topic_name(), PARTITIONS) as empty:
                return _taken(reader, slot, empty, expected, dsn, sizes.debezium_commits, first_id)

        ours = taken(_capture(installation), _FIRST_LATE_ID)
        theirs = taken(_debezium(installation, servers), 2 * _FIRST_LATE_ID)
    yield from _compared(ours, theirs)


def _taken(
    reader: Reader,
    slot: str,
    empty: BenchTopic,
    expected: Mapping[int, int],
    source_dsn: str,
    commits: int,
    first_id: int,
) -> Taken:
    began = time.monotonic()
    with reader(slot, empty) as process:
        arrivals = await_backlog(empty, expected, process, began)
        cpu_seconds = process_costs.cpu_seconds(process.pid)
        late = latencies(source_dsn, empty, commits, _COMMITS_A_SECOND, first_id)
        return Taken(arrivals, late, process_costs.peak_memory_mb(process.pid), cpu_seconds)


def _capture(installation: Installation) -> Reader:
    @contextlib.contextmanager
    def running(slot: str, empty: BenchTopic) -> Iterator[Popen[bytes]]:
        installation.start("capture", SOURCE_SLOT=slot, KAFKA_TOPIC=empty.name)
        yield installation.processes["capture"]
        installation.stop("capture")

    return running


def _debezium(installation: Installation, servers: Servers) -> Reader:
    def running(slot: str, empty: BenchTopic) -> contextlib.AbstractContextManager[Popen[bytes]]:
        environment, folder = installation.environment, servers.empty_folder("connect")
        dsn, publication = environment["SOURCE_DSN"], environment["SOURCE_PUBLICATION"]
        tables = [f"public.{name}" for name in _TABLES]
        return kafka_connect.running_debezium(dsn, slot, publication, tables, empty, folder)

    return running


def _compared(ours: Taken, theirs: Taken) -> Iterator[Figure]:
    rows, commits = f"{ours.arrivals.rows:,} rows", len(ours.latencies)
    cpu = f"{_cpu_each(ours):.0f} and {_cpu_each(theirs):.0f} us of CPU each"
    cold, warm, latency, memory, start = FIGURES
    yield Figure(
        cold, ours.arrivals.cold, theirs.arrivals.cold, "rows/s", f"{rows} from the start of the process, {cpu}"
    )
    yield Figure(warm, ours.arrivals.warm, theirs.arrivals.warm, "rows/s", f"the second half of {rows}")
    yield Figure(
        latency,
        statistics.median(ours.latencies),
        statistics.median(theirs.latencies),
        "ms",
        f"p50 of {commits} commits, {_COMMITS_A_SECOND} a second",
    )
    yield Figure(memory, ours.peak_mb, theirs.peak_mb, "MB", f"peak resident, after {rows}")
    yield Figure(start, ours.arrivals.first_at, theirs.arrivals.first_at, "s", "from the launch to the first message")


def _cpu_each(taken: Taken) -> float:
    return taken.cpu_seconds / taken.arrivals.rows * 1_000_000


def _lacking() -> str | None:
    if lacking := java.lacking():
        return f"Debezium runs on Java, but {lacking}"
    if not Path("/proc/self/status").is_file():
        return "without /proc nobody knows how much memory a process has had"
    try:
        java.jars(kafka_connect.POM)
    except LocalStackError as error:
        return f"Debezium's jars cannot be had: {error!s:.200}"
    return None
