"""How many references point to a row that has not arrived, counted beside materialize's work.

The count reads whole tables: with a million persons it takes seconds, once a minute, and no change must wait for it.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import psycopg

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.materialize.facts_store import FactsStore
from ims.runtime.logs import get_logger
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings

log = get_logger(__name__)

_EVERY_SECONDS: Final = 60.0
_CANCEL_SECONDS: Final = 5.0


class UnresolvedCount:
    """Counts once a minute, in a thread and a session of its own."""

    def __init__(self, settings: Settings, metrics: MaterializeMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(1, "count")
        self._running: Future[None] | None = None
        self._connection: Connection | None = None
        self._counted = float("-inf")

    def look(self, now: float) -> None:
        """Begin a count if it is time for one, and the one before has ended."""
        if now - self._counted >= _EVERY_SECONDS and (self._running is None or self._running.done()):
            self._counted = now
            self._running = self._executor.submit(self._count)

    def close(self) -> None:
        """Break off what is being counted, and count no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._connection is not None and self._running is not None and not self._running.done():
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def _count(self) -> None:
        settings = self._settings
        try:
            with sessions.connect(settings.state(), "count") as self._connection:
                store = FactsStore(self._connection, settings.kafka_topic, settings.kafka_partitions)
                self._metrics.unresolved_references.set(store.unresolved_references())
        except psycopg.Error as error:
            # Counted again in a minute; an outage is told of by whoever has something to apply.
            log.debug("not counted", error=type(error).__name__)
