"""Which faults happen in which order at each place: decided by the seed alone."""

import random
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ims.runtime.failpoints import FAILPOINTS
from tests.support.installation import PROCESSES

SERVERS: Final = ("source", "state", "kafka")
ALL: Final = "all processes"
"""The place of what happens to all of them."""
NETWORK: Final = ("cut", "half-open", "slow", "refuse")
ZOMBIES: Final = (
    "capture.sent",
    "materialize.before_commit",
    "materialize.committed",
    "publication.before_commit",
    "delta.linked",
    "manifest.before_rename",
)
"""Crash points at which a process is paused: inside and between transactions."""
_MANY_TIMES: Final = (
    "load.sent",
    "capture.before_send",
    "capture.sent",
    "capture.acknowledged",
    "materialize.committed",
)
"""Crash points that come by so often that a later time is tried too."""
_ROLES: Final = {
    "load": "capture",
    "first": "compact",
    "publication": "compact",
    "delta": "compact",
    "manifest": "compact",
}
_PAUSES: Final = {"servers": (0.5, 3.0), ALL: (4.0, 8.0), "snapshot": (1.0, 4.0)}
"""Least and longest pause between two faults at a place, so that in between things can go on; seconds."""
_LONG_SECONDS: Final = 11.0
"""Longer than a silent transaction is left to a process (10 s)."""
_GONE_SECONDS: Final = 130.0
"""Longer than kafka-python tries to deliver a message if it is not told otherwise (120 s)."""


class Kind(NamedTuple):
    """A kind of fault.

    Attributes:
        name: as the table of counts has it.
        what: the function that makes it happen.
        where: the process, server or crash point that it happens to.
        place: at each place one fault follows the other; faults at different places overlap.
    """

    name: str
    what: str
    where: str
    place: str


class Fault(NamedTuple):
    """One fault.

    Attributes:
        where: as the kind's; a crash point with the number of the time.
        seconds: how long it lasts, for those that last.
        pause: seconds after it at its place.
    """

    kind: Kind
    where: str
    seconds: float
    pause: float


def kinds(*, restartable: bool) -> list[Kind]:
    """Every kind of fault that a plan has.

    Args:
        restartable: whether Kafka keeps its data when it is restarted.
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
    """Kafka is away for so long that its client, were it not told otherwise, would give up what it is to send."""
    return Fault(Kind("kafka: gone for minutes", "server_crash", "kafka", "servers"), "kafka", _GONE_SECONDS, 0)


def is_at_start(kind: Kind) -> bool:
    """Whether it belongs to the beginning of a run: a load later on would make good whatever was lost before it."""
    return kind.where.startswith("load.")


def role_of(point: str) -> str:
    """The process that comes by a crash point; ``snapshot`` is a command of its own."""
    part = point.partition(".")[0]
    return _ROLES.get(part, part)


def plan(seed: int, place: str, every: Sequence[Kind]) -> Iterator[Fault]:
    """Faults at one place without end: first each kind once, then over and over, each round in another order."""
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
