"""Capture beside Debezium: the same backlog of the same source, to the same broker, one after the other."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Final

import msgspec

from deploy.local.process import LocalStackError
from tests.benchmarks import process_costs
from tests.benchmarks.capture.backlog import Backlog
from tests.benchmarks.capture.backlog_capture import PARTITIONS, BacklogCapture
from tests.benchmarks.debezium import kafka_connect
from tests.benchmarks.debezium.commit_latency import latencies
from tests.benchmarks.debezium.topic_arrivals import Arrivals, BenchTopic, await_backlog, topic
from tests.benchmarks.figure import Figure, NotMeasured
from tests.benchmarks.servers import Servers, topic_name
from tests.benchmarks.sizes import Sizes
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
"""Runs a process that copies changes from a slot to a topic, until the block is left."""


class Measurement(msgspec.Struct, frozen=True):
    """What was measured of one of the two.

    Attributes:
        arrivals: the arrivals of the backlog.
        latencies: the latencies of single commits after the backlog, in milliseconds.
        peak_mb: the process's peak of resident memory.
        cpu_seconds: CPU time of the process for the backlog; unlike wall-clock time it hardly depends on what else runs
            on the machine.
    """

    arrivals: Arrivals
    latencies: list[float]
    peak_mb: float
    cpu_seconds: float


def figures(sizes: Sizes, servers: Servers, _wanted: frozenset[str]) -> Iterator[Figure | NotMeasured]:
    """Yield all five figures, from one run of each."""
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
        # Here, so that neither of the two is measured while PostgreSQL does it by itself.
        installation.source.execute("vacuum (analyze)")
        installation.source.execute("checkpoint")

        comparison = _Comparison(backlog, dsn, kafka, sizes.debezium_commits)
        ours = comparison.measure(_capture(installation), _FIRST_LATE_ID)
        theirs = comparison.measure(_debezium(installation, servers), 2 * _FIRST_LATE_ID)
    yield from _compared(ours, theirs)


class _Comparison(msgspec.Struct, frozen=True):
    """What both readers have in common: the backlog, the source and the broker, and the number of single commits."""

    backlog: BacklogCapture
    source_dsn: str
    kafka: str
    commits: int

    def measure(self, reader: Reader, first_id: int) -> Measurement:
        """Measure one reader on a slot and a topic of its own; *first_id* is the first id of its single commits."""
        slot = self.backlog.another_slot()
        with topic(self.kafka, topic_name(), PARTITIONS) as empty:
            began = time.monotonic()
            with reader(slot, empty) as process:
                arrivals = await_backlog(empty, self.backlog.expected, process, began)
                cpu_seconds = process_costs.cpu_seconds(process.pid)
                late = latencies(self.source_dsn, empty, self.commits, _COMMITS_A_SECOND, first_id)
                return Measurement(arrivals, late, process_costs.peak_memory_mb(process.pid), cpu_seconds)


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


def _compared(ours: Measurement, theirs: Measurement) -> Iterator[Figure]:
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


def _cpu_each(measurement: Measurement) -> float:
    return measurement.cpu_seconds / measurement.arrivals.rows * 1_000_000


def _lacking() -> str | None:
    if lacking := java.lacking():
        return f"Debezium runs on Java, but {lacking}"
    if not Path("/proc/self/status").is_file():
        return "without /proc the memory of a process cannot be measured"
    try:
        java.jars(kafka_connect.POM)
    except LocalStackError as error:
        return f"Debezium's jars cannot be resolved: {error!s:.200}"
    return None
