"""Everything there is in a schedule: source, Kafka, state database, processes, folders and the clock."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.simulation.administration import OWNERS, Administration
from tests.simulation.broker import Broker, Producer
from tests.simulation.capture import Capture
from tests.simulation.checker import FactsChecker, Importer
from tests.simulation.compactor import Compactor
from tests.simulation.feed_folder import FeedFolder
from tests.simulation.materializer import Materializer
from tests.simulation.source import Source
from tests.support.builders import a_target
from tests.support.memory.state import MemoryState

OSLO = ZoneInfo("Europe/Oslo")
MOMENT = timedelta(milliseconds=100)
"""Time between two steps of a schedule, unless more passes."""
_START = datetime(2026, 10, 24, 17, tzinfo=UTC)
"""Before the night in which the clocks are set back in Oslo, so that some schedules go through it."""


class Action(NamedTuple):
    """What may happen next: how likely, and whether it can just now."""

    weight: float
    can: Callable[[], bool]
    do: Callable[[], None]


class World:
    """All the parts, each connected only to those that it is connected to in production.

    Args:
        chance: decides everything that is not decided otherwise.
        say: called with each thing that happens, for a person to read.

    Attributes:
        happened: how often each thing has happened.
    """

    def __init__(self, chance: random.Random, say: Callable[[str], None] | None) -> None:
        self.chance, self._say = chance, say
        self.happened: Counter[str] = Counter()
        self.now = _START + timedelta(minutes=chance.randint(0, 300))
        partitions = chance.choice((1, 2))
        self.source, self.broker = Source(partitions), Broker(partitions)
        self.administration = Administration(self.source, chance)
        self.capture = Capture(self.source, self.broker, chance, self.note)
        self.state = MemoryState([a_target(owner=owner, name=f"lms{owner}") for owner in OWNERS], lambda: self.now)
        facts = FactsChecker(self.state, self.source.versions)
        self.materializers = [Materializer(self.state, self.broker, facts, self.note) for _ in range(2)]
        self.folders = {target.number: FeedFolder() for target in self.state.targets}
        self.compactors = [Compactor(self.state, self.folders, self.note) for _ in range(2)]
        self.importers = [
            Importer(target, self.folders[target.number], self.source.states) for target in self.state.targets
        ]

    def note(self, what: str) -> None:
        """Count what has happened, since it should happen in some schedules."""
        self.happened[what] += 1
        if self._say is not None:
            self._say(f"{self.now:%d %H:%M:%S.%f}"[:-5] + f"  {what}")

    def detail(self, what: str) -> None:
        """Say more about what has just happened."""
        if self._say is not None:
            self._say(f"{'':15}{what}")

    def producers(self) -> list[Producer]:
        """Return the producers, running or ended, of which something is on its way."""
        living = [self.capture.producer] if self.capture.producer is not None else []
        return [producer for producer in (*living, *self.capture.late) if producer.busy()]
