"""Two materializers and two compactors against one of each, on a backlog of changes of two owners.

The owners' changes are in different partitions. All processes are running and have their partitions before the
measurement begins; the materializers are paused while capture sends the backlog to Kafka, so that all of it is there
when they go on. The time ends when an importer of each owner sees the last change. Kafka and PostgreSQL share the
machine.
"""

import itertools
import signal
import time
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from ims.feed.manifest import delta_path
from ims.records.model import RecordKey
from tests.benchmarks.figure import Figure
from tests.benchmarks.meter import Meter, shares
from tests.benchmarks.servers import Servers
from tests.benchmarks.sizes import Sizes
from tests.benchmarks.whole.importer import Importer
from tests.benchmarks.whole.installed import folders, process_ids, published
from tests.benchmarks.whole.school import ROUNDS, Change, School
from tests.support.installation import Installation
from tests.support.waiting import until

FIGURES: Final = ("two_vs_one",)
_TOGETHER: Final = 20
"""How many changes are in one transaction of the source."""
_SECOND: Final = ("materialize-2", "compact-2")
_OWNERS: Final = (1, 2)

Backlog = Mapping[School, Sequence[Change]]


def figures(sizes: Sizes, servers: Servers, wanted: frozenset[str]) -> Iterator[Figure]:
    """Yield the changes per second of two of each process, and of one."""
    del wanted
    each = max(1, sizes.shared_backlog // len(_OWNERS))
    schools = [School(owner, each) for owner in _OWNERS]
    backlogs: list[Backlog] = [{school: list(school.changes(number)) for school in schools} for number in range(ROUNDS)]
    # The materializers remain members of their group while they are paused.
    with published(servers, schools, KAFKA_SESSION_SECONDS="600") as installation:
        one, busy_one = _median([_rate(installation, servers, backlog) for backlog in backlogs[: ROUNDS // 2]])
        for name in _SECOND:
            installation.launch(name, "deploy", name.partition("-")[0])
        until(lambda: _shared(installation), within=60, what="the second has its share of the partitions")
        two, busy_two = _median([_rate(installation, servers, backlog) for backlog in backlogs[ROUNDS // 2 :]])
    note = f"{2 * each:,} changes of two owners, median of {ROUNDS // 2} rounds; one: {busy_one}; two: {busy_two}"
    yield Figure("two_vs_one", two, one, "changes/s", note)


def _median(rounds: list[tuple[float, str]]) -> tuple[float, str]:
    return sorted(rounds)[len(rounds) // 2]


def _rate(installation: Installation, servers: Servers, backlog: Backlog) -> tuple[float, str]:
    """Return the changes per second from the topic to the importers, and the CPU use of each process."""
    materializers = [process for name, process in installation.processes.items() if name.startswith("materialize")]
    targets = {school: folders(installation, school)[0] for school in backlog}
    for process in materializers:
        process.send_signal(signal.SIGSTOP)
    published_before = _published(installation)
    _commit(installation, backlog)
    count = sum(map(len, backlog.values()))
    until(lambda: _published(installation) >= published_before + count, within=50, what="Kafka has the backlog")
    with Importer(list(targets.values())) as importer:
        last = [_Last(importer, targets[school], changes[-1]) for school, changes in backlog.items()]
        meter, began = Meter(servers, process_ids(installation)), time.monotonic()
        for process in materializers:
            process.send_signal(signal.SIGCONT)
        until(lambda: all(one.is_seen() for one in last), within=300, what="the last change of each is published")
        busy = shares(meter.percent())
        ended = max(_seen_last(importer, targets[school], changes) for school, changes in backlog.items())
    return count / (ended - began), busy


def _seen_last(importer: Importer, folder: Path, changes: Sequence[Change]) -> float:
    """Return when all changes had been seen; the last change may be in an earlier delta than some others."""
    wanted = {change.key for change in changes}
    seen: dict[RecordKey, float] = {}

    def are_seen() -> bool:
        seen.update((key, at) for at, key in importer.changes(folder) if key in wanted)
        return len(seen) == len(wanted)

    until(are_seen, within=60, what="every change is published")
    return max(seen.values())


def _commit(installation: Installation, backlog: Backlog) -> None:
    changes = list(itertools.chain.from_iterable(zip(*backlog.values(), strict=True)))
    for first in range(0, len(changes), _TOGETHER):
        with installation.source.transaction(), installation.source.pipeline():
            for change in changes[first : first + _TOGETHER]:
                installation.source.execute(change.statement.encode(), change.values)


def _published(installation: Installation) -> float:
    """Return how many changes of the owners Kafka has acknowledged."""
    lines = installation.get("capture")[1].splitlines()
    samples = (line for line in lines if line.startswith("imsfeed_events_published_total") and "heartbeat" not in line)
    return sum(float(line.rpartition(" ")[2]) for line in samples)


class _Last:
    """Checks whether an importer has seen the last change: searches each new delta once, for the person's id alone."""

    def __init__(self, importer: Importer, folder: Path, change: Change) -> None:
        self._importer = importer
        self._folder = folder
        self._text = (change.key.member or change.key.id).encode()
        self._searched_through = importer.head(folder)
        self._seen = False

    def is_seen(self) -> bool:
        head = self._importer.head(self._folder)
        for seq in range(self._searched_through + 1, head + 1):
            self._seen = self._seen or self._text in (self._folder / delta_path(seq)).read_bytes()
        self._searched_through = head
        return self._seen


def _shared(installation: Installation) -> bool:
    try:
        return installation.get("materialize-2", "/readyz")[0] == HTTPStatus.OK
    except urllib.error.URLError:  # it does not listen yet
        return False
