"""Materialize in a schedule: a process that polls messages, and applies them immediately, later, or too late.

There is no consumer group: two processes on one partition, which a group makes rare, are frequent here.
"""

from collections.abc import Callable

from consumers.materialize.apply import materialize_once
from consumers.materialize.batch import Message, Progress
from consumers.materialize.facts_store import FencedError
from ims.source.mapping import REFERENCE_MAPPING
from tests.simulation.checker import FactsChecker
from tests.simulation.pipeline.broker import Broker
from tests.support.memory.state import MemoryState


class Materializer:
    """A process; ``polled`` has the partition and the messages that it has polled and not applied."""

    def __init__(
        self, state: MemoryState, broker: Broker, facts: FactsChecker, happened: Callable[[str], None]
    ) -> None:
        self._state, self._broker, self._facts, self._happened = state, broker, facts, happened
        self._progress: dict[int, Progress] = {}
        self.polled: tuple[int, list[Message]] | None = None

    def behind(self) -> list[int]:
        """Return the partitions with messages that it does not know to be applied."""
        return [number for number, log in enumerate(self._broker.log) if self._known(number).next_offset < len(log)]

    def poll(self, partition: int, count: int) -> None:
        """Take the next messages from Kafka."""
        start = self._known(partition).next_offset
        self.polled = partition, self._broker.log[partition][start : start + count]

    def apply(self) -> None:
        """Apply the polled messages, unless another process has moved the partition on meanwhile."""
        assert self.polled is not None
        (partition, messages), self.polled = self.polled, None
        try:
            outcome, refused = materialize_once(
                self._state.facts, partition, messages, self._known(partition), REFERENCE_MAPPING, 0
            )
        except FencedError:
            self._happened("a materializer was fenced")
            self._progress[partition] = self._stored(partition)
            return
        self._progress[partition] = outcome.progress
        self._facts.look()
        if outcome.duplicates:
            self._happened("duplicates were dropped")
        if refused:
            self._happened("a message was quarantined")
        if outcome.progress.open_owners:
            self._happened("a batch ended inside a transaction")

    def die(self, *, committed: bool) -> None:
        """End the process before or after its commit; another one resumes from the state database's offsets."""
        if self.polled is not None and committed:
            self.apply()
        self._happened(f"a materializer died {'after' if committed else 'before'} its commit")
        self.polled = None
        self._progress.clear()

    def _known(self, partition: int) -> Progress:
        return self._progress.get(partition) or self._progress.setdefault(partition, self._stored(partition))

    def _stored(self, partition: int) -> Progress:
        return self._state.facts.progress(partition) or self._state.facts.begin(partition, 0)
