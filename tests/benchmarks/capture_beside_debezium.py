"""Capture beside Debezium: the same backlog of the same source, to the same broker, one after the other."""

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Final

import msgspec

from deploy.local.process import LocalStackError
from tests import java
from tests.benchmarks import kafka_connect
from tests.benchmarks.captured_source import TABLES, CapturedSource
from tests.benchmarks.commit_latency import latencies
from tests.benchmarks.figure import Figure, NotMeasured
from tests.benchmarks.servers import Servers, topic_name
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.topic_arrivals import Arrivals, BenchTopic, await_backlog, topic
from tests.installation import Installation, installed

FIGURES: Final = (
    "capture_vs_debezium_cold",
    "capture_vs_debezium_warm",
    "capture_latency_vs_debezium",
    "capture_memory_vs_debezium",
    "capture_start_vs_debezium",
)
_PARTITIONS: Final = 8
_COMMITS_A_SECOND: Final = 20
_FIRST_LATE_ID: Final = 1_000_000_000

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
        loaded = opened.enter_context(topic(kafka, topic_name(), _PARTITIONS))
        installation = opened.enter_context(installed(dsn, "", kafka, loaded.name, folder))
        installation.environment |= {"KAFKA_PARTITIONS": str(_PARTITIONS), "HEARTBEAT_SECONDS": "10"}
        source = CapturedSource(installation)
        rows = source.write_backlog(sizes.debezium_backlog)

        def taken(reader: Reader, first_id: int) -> Taken:
            with topic(kafka, topic_name(), _PARTITIONS) as empty:
                return _taken(reader, source.slot_of_its_own(), empty, rows, dsn, sizes.debezium_commits, first_id)

        ours = taken(_capture(installation), _FIRST_LATE_ID)
        theirs = taken(_debezium(installation, servers), 2 * _FIRST_LATE_ID)
    yield from _compared(ours, theirs)


def _taken(
    reader: Reader, slot: str, empty: BenchTopic, rows: int, source_dsn: str, commits: int, first_id: int
) -> Taken:
    began = time.monotonic()
    with reader(slot, empty) as process:
        arrivals = await_backlog(empty, rows, process, began)
        cpu_seconds = _cpu_seconds(process.pid)
        late = latencies(source_dsn, empty, commits, _COMMITS_A_SECOND, first_id)
        return Taken(arrivals, late, _peak_mb(process.pid), cpu_seconds)


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
        tables = [f"public.{name}" for name in TABLES]
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


def _cpu_seconds(pid: int) -> float:
    # What is before the last parenthesis is the program's name. User and system time are the fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) / 1024


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
