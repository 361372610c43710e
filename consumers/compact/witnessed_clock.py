"""The time by which compact works: its machine's clock as far as others agree (:mod:`ims.publication.clock`).

The clocks are compared once a second. In between, and when they disagree, time passes as the machine's running clock
says, which cannot be set.
"""

import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from consumers.compact.heartbeats import Heartbeats
from consumers.database.sessions import Connection
from ims.publication.clock import Clocks, ClockTrouble, Judgement, judge
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CompactMetrics

log = get_logger(__name__)

_COMPARE_EVERY: Final = timedelta(seconds=1)
_STORE_EVERY: Final = timedelta(seconds=10)


class WitnessedClock:
    """One process's judgement of the time.

    Args:
        local: the machine's clock.
        running: seconds since some moment, by a clock that cannot be set.
    """

    def __init__(
        self,
        metrics: CompactMetrics,
        local: Callable[[], datetime] = lambda: datetime.now(UTC),
        running: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._local = local
        self._running = running
        self._machine = platform.node() or "compact"
        self._heartbeats = Heartbeats()
        self._judged: Judgement | None = None
        self._clocks: Clocks | None = None
        self._compared_at = self._unexpected_since = timedelta()
        self._stored_at: timedelta | None = None

    def now(self, connection: Connection) -> Judgement:
        """Return what time it is, and store and say which clock is wrong.

        Raises:
            psycopg.Error: the state database did not answer.
        """
        running = timedelta(seconds=self._running())
        if self._judged is not None and running - self._compared_at < _COMPARE_EVERY:
            passed = running - self._compared_at
            return msgspec.structs.replace(self._judged, now=self._judged.now + passed)
        rows = connection.execute(
            "select clock_timestamp(), topic, partition, heartbeat_at from (select) one"
            " left join imsfeed.topic_partition on heartbeat_at is not null"
        ).fetchall()
        database: datetime = rows[0][0]
        beats = {(topic, partition): beat_at for _, topic, partition, beat_at in rows if beat_at is not None}
        source = self._heartbeats.time(beats, running, database)
        clocks = Clocks(self._local(), database, source, self._expected(connection, running, database))
        clocks = msgspec.structs.replace(clocks, waited=self._waited(clocks, running))
        judged = judge(clocks)
        if self._judged is None or judged.trouble is not self._judged.trouble:
            self._say(judged.trouble, clocks)
        due = self._stored_at is None or running - self._stored_at >= _STORE_EVERY
        if due or self._judged is None or judged.trouble is not self._judged.trouble:
            self._store(connection, judged, clocks)
            self._stored_at = running
        self._judged, self._clocks, self._compared_at = judged, clocks, running
        return judged

    def _expected(self, connection: Connection, running: timedelta, database: datetime) -> datetime | None:
        """Return the time last believed, by this process or, at its start, by one before it, moved on until now."""
        if self._judged is not None and self._clocks is not None:
            passed = min(running - self._compared_at, max(database - self._clocks.database, timedelta()))
            return self._judged.now + max(passed, timedelta())
        row = connection.execute(
            "select believed_at from imsfeed.clock order by machine = %s desc, seen_at desc limit 1", (self._machine,)
        ).fetchone()
        return None if row is None else row[0]

    def _waited(self, clocks: Clocks, running: timedelta) -> timedelta:
        """Return for how long the time has not been as expected."""
        if self._judged is None or self._judged.trouble is not ClockTrouble.LEAP:
            self._unexpected_since = running
        return running - self._unexpected_since if clocks.source is None else timedelta()

    def _say(self, trouble: ClockTrouble | None, clocks: Clocks) -> None:
        for one in ClockTrouble:
            self._metrics.clock_trouble.labels(one.value).set(one is trouble)
        said = {"local": clocks.local, "database": clocks.database, "source": clocks.source}
        if trouble is not None:
            log.error("a clock is not believed", clock=trouble.value, expected=clocks.expected, **said)
        elif self._judged is not None:
            log.info("the clocks agree again", **said)

    def _store(self, connection: Connection, judged: Judgement, clocks: Clocks) -> None:
        connection.execute(
            "insert into imsfeed.clock as c values (%(machine)s, %(now)s, %(trouble)s,"
            " case when %(trouble)s::text is not null then clock_timestamp() end, %(local)s, %(database)s, %(source)s,"
            " clock_timestamp()) on conflict (machine) do update set believed_at = excluded.believed_at,"
            " trouble = excluded.trouble, trouble_since = case when c.trouble is not null and excluded.trouble is not"
            " null then c.trouble_since else excluded.trouble_since end, local_at = excluded.local_at,"
            " database_at = excluded.database_at, source_at = excluded.source_at, seen_at = excluded.seen_at",
            {
                "machine": self._machine,
                "now": judged.now,
                "trouble": judged.trouble,
                "local": clocks.local,
                "database": clocks.database,
                "source": clocks.source,
            },
        )
        connection.execute("delete from imsfeed.clock where seen_at < clock_timestamp() - interval '7 days'")
