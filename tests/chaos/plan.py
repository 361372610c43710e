"""The plan: which faults happen in which order at each place, decided by the seed alone."""

import random
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ims.runtime.failpoints import FAILPOINTS
from tests.support.installation import PROCESSES

SERVERS: Final = ("source", "state", "kafka")
ALL: Final = "all processes"
"""The place of faults that affect all processes."""
NETWORK: Final = ("reset", "half-open", "slow", "refuse")
ZOMBIES: Final = (
    "capture.sent",
    "materialize.before_commit",
    "materialize.committed",
    "publication.before_commit",
    "delta.linked",
    "manifest.before_rename",
)
"""Failpoints at which a process is paused: inside and between transactions."""
_MANY_TIMES: Final = (
    "load.sent",
    "capture.before_send",
    "capture.sent",
    "capture.acknowledged",
    "materialize.committed",
)
"""Failpoints that a process passes so often that a later pass is tried too."""
_ROLES: Final = {
    "load": "capture",
    "first": "compact",
    "publication": "compact",
    "delta": "compact",
    "manifest": "compact",
}
_PAUSES: Final = {"servers": (0.5, 3.0), ALL: (4.0, 8.0), "snapshot": (1.0, 4.0)}
"""Shortest and longest pause between two faults at a place, so that work can go on in between; seconds."""
_LONG_SECONDS: Final = 11.0
"""Longer than PostgreSQL lets a process keep an idle transaction open (10 s)."""
_GONE_SECONDS: Final = 130.0
"""Longer than kafka-python by default tries to deliver a message (120 s)."""


class Kind(NamedTuple):
    """A kind of fault.

    Attributes:
        name: as in the table of counts.
        what: the function that performs it.
        where: the process, server or failpoint that it happens to.
        place: faults at one place follow each other; faults at different places overlap.
    """

    name: str
    what: str
    where: str
    place: str


class Fault(NamedTuple):
    """One fault.

    Attributes:
        where: as the kind's; a failpoint with the number of the pass.
        seconds: how long it lasts, if it lasts.
        pause: seconds before the next fault at its place.
    """

    kind: Kind
    where: str
    seconds: float
    pause: float


def kinds(*, restartable: bool) -> list[Kind]:
    """Return every kind of fault that a plan has.

    Args:
        restartable: True if Kafka keeps its data when it is restarted.
    """
    found = [Kind(f"kill -9 of {name}", "kill", name, name) for name in PROCESSES]
    found += [Kind(f"dies at {point}", "failpoint", point, role_of(point)) for point in FAILPOINTS]
    found += [Kind(f"paused at {point}", "zombie", point, role_of(point)) for point in ZOMBIES]
    for server in SERVERS if restartable else SERVERS[:-1]:
        found += [Kind(f"{server}: {what}", f"server_{what}", server, "servers") for what in ("crash", "restart")]
    if restartable:
        found.append(Kind("kill -9 of capture with Kafka away", "kill_without_kafka", "kafka", "servers"))
    for server in SERVERS:
        found += [Kind(f"{server}: {mode}", "network", f"{server} {mode}", "servers") for mode in NETWORK]
    found.append(Kind("disk full", "disk_full", "compact", "compact"))
    return [*found, Kind("clock set back", "clock_back", "", ALL), Kind("two of every process", "two_of_each", "", ALL)]


def gone_for_minutes() -> Fault:
    """Return a fault in which Kafka is away for longer than its client by default tries to deliver a message."""
    return Fault(Kind("kafka: gone for minutes", "server_crash", "kafka", "servers"), "kafka", _GONE_SECONDS, 0)


def is_at_start(kind: Kind) -> bool:
    """Return True if it belongs to the beginning of a run: a later load would restore whatever was lost before it."""
    return kind.where.startswith("load.")


def role_of(point: str) -> str:
    """Return the process that passes a failpoint; ``snapshot`` is a command of its own."""
    part = point.partition(".")[0]
    return _ROLES.get(part, part)


def plan(seed: int, place: str, every: Sequence[Kind]) -> Iterator[Fault]:
    """Yield faults at one place without end: each kind once per round, each round in another order."""
    chance = random.Random(f"{seed} {place}")
    rounds = 0
    while True:
        for kind in chance.sample(every, len(every)):
            many = kind.what == "failpoint" and kind.where in _MANY_TIMES
            where = f"{kind.where}:{chance.randint(1, 4)}" if many else kind.where
            long = kind.what == "zombie" and rounds and chance.random() < 0.5
            seconds = _LONG_SECONDS if long else chance.uniform(0.5, 3)
            yield Fault(kind, where, seconds, chance.uniform(*_PAUSES.get(place, (0, 1))))
        rounds += 1
