"""What a whole installation costs when idle, and how soon an importer can see a change.

The three processes have the default of every setting, including the settling time; they and all servers share the
machine. A change is seen when a manifest names a delta that has it. The reference is the unavoidable part: the settling
time and one fsync of a small file.
"""

import math
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ims.records.model import RecordKey
from ims.runtime.settings import Settings
from tests.benchmarks.figure import Figure
from tests.benchmarks.meter import Meter, shares
from tests.benchmarks.process_costs import proportional_mb, resident_mb
from tests.benchmarks.servers import Servers
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.whole.importer import Importer
from tests.benchmarks.whole.installed import folders, process_ids, published
from tests.benchmarks.whole.school import School
from tests.support.installation import Installation
from tests.support.waiting import until

FIGURES: Final = ("idle_cpu_percent", "idle_memory_mb", "latency_p50_ms", "latency_p99_ms")
_SETTLED_SECONDS: Final = 3.0
"""After the first publication: the load's last pending changes and the manifests that follow a snapshot."""
_FSYNCS: Final = 50


def figures(sizes: Sizes, servers: Servers, wanted: frozenset[str]) -> Iterator[Figure]:
    """Yield the costs when idle, and the latency."""
    school = School(1, sizes.seconds * sizes.rate)
    with published(servers, [school], sizes.targets) as installation:
        time.sleep(min(sizes.seconds, _SETTLED_SECONDS))
        if wanted & {"idle_cpu_percent", "idle_memory_mb"}:
            yield from _idle(sizes, servers, installation)
        if wanted & {"latency_p50_ms", "latency_p99_ms"}:
            yield from _latency(sizes, servers, installation, school)


def _idle(sizes: Sizes, servers: Servers, installation: Installation) -> Iterator[Figure]:
    processes = process_ids(installation)
    meter = Meter(servers, processes)
    time.sleep(sizes.seconds)
    percent = meter.percent()
    ours = sum(percent[name] for name in processes)
    size = f"{_count(sizes.targets, 'target')}, {sizes.seconds} s"
    yield Figure("idle_cpu_percent", ours, None, "% of one core", f"{size}; {shares(percent)}")
    pss = sum(map(proportional_mb, processes.values()))
    rss = {name: resident_mb(pid) for name, pid in processes.items()}
    each = ", ".join(f"{name} {value:.0f}" for name, value in rss.items())
    yield Figure("idle_memory_mb", pss, None, "MB", f"PSS of the three; RSS {sum(rss.values()):.0f}: {each}")


def _latency(sizes: Sizes, servers: Servers, installation: Installation, school: School) -> Iterator[Figure]:
    targets = folders(installation, school)
    meter = Meter(servers, process_ids(installation))
    with Importer(targets) as importer:
        made = _made(installation, school, sizes)
        percent = meter.percent()
        waits = _waits(importer, made)
    floor = Settings().settle_seconds * 1000 + _fsync_ms(installation.folder)
    size = f"{sizes.rate} changes/s for {sizes.seconds} s, {_count(sizes.targets, 'target')}"
    deltas = importer.head(targets[0])
    for name, share in (("latency_p50_ms", 0.5), ("latency_p99_ms", 0.99)):
        note = f"{size}; {deltas} deltas, longest {max(waits):.0f} ms; {shares(percent)}"
        yield Figure(name, quantile(waits, share), floor, "ms", note)


def _made(installation: Installation, school: School, sizes: Sizes) -> dict[RecordKey, float]:
    """Commit changes at an even rate, and return when the commit of each began."""
    made = {}
    began = time.monotonic()
    for number, change in zip(range(sizes.seconds * sizes.rate), school.changes(), strict=False):
        time.sleep(max(0, began + number / sizes.rate - time.monotonic()))
        made[change.key] = time.monotonic()
        installation.source.execute(change.statement.encode(), change.values)
    return made


def _waits(importer: Importer, made: Mapping[RecordKey, float]) -> list[float]:
    """Return the milliseconds from each change's commit until each target's importer saw it."""
    waits = []
    for folder in importer.folders:
        seen: dict[RecordKey, float] = {}
        until(lambda: made.keys() <= _first(importer, folder, seen).keys(), within=60, what="all is seen")  # noqa: B023 - called immediately
        waits += [(seen[key] - at) * 1000 for key, at in made.items()]
    return waits


def _first(importer: Importer, folder: Path, seen: dict[RecordKey, float]) -> dict[RecordKey, float]:
    for at, key in importer.changes(folder):
        seen.setdefault(key, at)
    return seen


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of *values* that this share of them does not exceed.

    >>> quantile([4, 1, 3, 2], 0.5), quantile([4, 1, 3, 2], 0.99)
    (2, 4)
    """
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _fsync_ms(folder: Path) -> float:
    times = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(_FSYNCS):
            file.write(b"x" * 1000)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000
