"""The parts of a schedule: source, Kafka, state database, processes, folders and the clock."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.simulation.administration import OWNERS, Administration
from tests.simulation.checker import FactsChecker, Importer
from tests.simulation.pipeline.broker import Broker, Producer
from tests.simulation.pipeline.capture import Capture
from tests.simulation.pipeline.compactor import Compactor
from tests.simulation.pipeline.feed_folder import FeedFolder
from tests.simulation.pipeline.materializer import Materializer
from tests.simulation.pipeline.source import Source
from tests.support.builders import a_target
from tests.support.memory.state import MemoryState

OSLO = ZoneInfo("Europe/Oslo")
MOMENT = timedelta(milliseconds=100)
"""Time between two steps of a schedule, unless more passes."""
_START = datetime(2026, 10, 24, 17, tzinfo=UTC)
"""The evening before clocks are set back in Oslo, so that some schedules go through that night."""


class Action(NamedTuple):
    """A possible action: how likely it is, whether it is possible now, and what it does."""

    weight: float
    can: Callable[[], bool]
    do: Callable[[], None]


class World:
    """All the parts, each connected only to those that it is connected to in production.

    Args:
        chance: the schedule's random choices.
        say: called with a readable line for each event.

    Attributes:
        happened: how often each event has happened.
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
        """Count an event that must happen in some schedules."""
        self.happened[what] += 1
        if self._say is not None:
            self._say(f"{self.now:%d %H:%M:%S.%f}"[:-5] + f"  {what}")

    def detail(self, what: str) -> None:
        """Show details of the last event."""
        if self._say is not None:
            self._say(f"{'':15}{what}")

    def producers(self) -> list[Producer]:
        """Return the producers, running or dead, with messages or acknowledgements on their way."""
        living = [self.capture.producer] if self.capture.producer is not None else []
        return [producer for producer in (*living, *self.capture.late) if producer.busy()]
