"""The count of references to rows that have not arrived, in a thread beside materialize's work.

It reads whole tables. With a million persons that takes seconds, once a minute, and no change may wait for it.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import psycopg

from consumers.database import sessions
from consumers.database.sessions import Connection
from ims.runtime.logs import get_logger
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings

log = get_logger(__name__)

_EVERY_SECONDS: Final = 60.0
_CANCEL_SECONDS: Final = 5.0


def unresolved_references(connection: Connection) -> int:
    """Return how many references point to a row that has not arrived."""
    row = connection.execute(_UNRESOLVED).fetchone()
    return int(row[0]) if row else 0


class UnresolvedCount:
    """A count once a minute, in a thread and a session of its own."""

    def __init__(self, settings: Settings, metrics: MaterializeMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(1, "count")
        self._running: Future[None] | None = None
        self._connection: Connection | None = None
        self._counted = float("-inf")

    def look(self, now: float) -> None:
        """Begin a count if one is due and the one before has ended."""
        if now - self._counted >= _EVERY_SECONDS and (self._running is None or self._running.done()):
            self._counted = now
            self._running = self._executor.submit(self._count)

    def close(self) -> None:
        """Cancel a running count and begin no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._connection is not None and self._running is not None and not self._running.done():
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def _count(self) -> None:
        try:
            with sessions.connect(self._settings.state(), "count") as self._connection:
                self._metrics.unresolved_references.set(unresolved_references(self._connection))
        except psycopg.Error as error:
            # The next count is in a minute. An outage is logged where batches are applied.
            log.debug("references not counted", error=type(error).__name__)


_UNRESOLVED: Final = """
select (select count(*) from imsfeed.enrolment e where not exists
           (select from imsfeed.person p where (p.owner_id, p.id) = (e.owner_id, e.person_id)))
     + (select count(*) from imsfeed.enrolment e where not exists
           (select from imsfeed.course_group g where (g.owner_id, g.id) = (e.owner_id, e.group_id)))
     + (select count(*) from imsfeed.employee e where not exists
           (select from imsfeed.person p where (p.owner_id, p.id) = (e.owner_id, e.person_id)))
     + (select count(*) from imsfeed.employee e where not exists
           (select from imsfeed.school s where (s.owner_id, s.id) = (e.owner_id, e.school_id)))
     + (select count(*) from imsfeed.course_group g where not exists
           (select from imsfeed.school s where (s.owner_id, s.id) = (g.owner_id, g.school_id)))
"""
