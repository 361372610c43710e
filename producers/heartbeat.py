"""The heartbeat: a row per partition, changed every few seconds, whose arrival proves that the whole path works.

Without it a source in which nothing changes and a path that is stuck would look the same. The same session looks at
what the slot costs the source.
"""

import threading
import time
from typing import Final, Self

import psycopg

from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.retries import patiently
from ims.runtime.settings import Settings
from producers import sessions
from producers.catalog import Connection

log = get_logger(__name__)

_JOIN_SECONDS: Final = 15.0
_SLOT = """
select coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::float8,
       active,
       coalesce(wal_status = 'lost', false) or coalesce(to_jsonb(s) ->> 'invalidation_reason' is not null, false)
from pg_replication_slots s where slot_name = %s
"""


class Heartbeat:
    """Beats in a thread of its own while the block runs, through every outage of the source.

    Attributes:
        reload_wanted: set when somebody has asked for an initial load (``imsfeed setup source --reload``).
    """

    def __init__(self, settings: Settings, metrics: CaptureMetrics) -> None:
        self._dsn = settings.source()
        self._settings = settings
        self._metrics = metrics
        self._ended = Stop()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self.reload_wanted = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        def again(error: BaseException, wait: float) -> None:
            log.warning("heartbeat failed", error=error, wait_seconds=round(wait, 1))

        try:
            for attempt in patiently(lambda error: isinstance(error, psycopg.Error), stop=self._ended, on_retry=again):
                with attempt:
                    self._beat_until_ended()
        except psycopg.Error as error:
            log.warning("heartbeat ended", error=error)

    def _beat_until_ended(self) -> None:
        with sessions.connect(self._dsn, "heartbeat") as connection:
            connection.execute("set statement_timeout = '10s'")
            while not self._ended:
                connection.execute("update imsfeed.heartbeat set beat_at = now()")
                self._metrics.heartbeat_written_timestamp_seconds.set(time.time())
                self._look_at_slot(connection)
                self._ended.wait(self._settings.heartbeat_seconds)

    def _look_at_slot(self, connection: Connection) -> None:
        metrics, slot = self._metrics, self._settings.source_slot
        row = connection.execute(_SLOT, [slot]).fetchone()
        retained, unconfirmed, active, invalidated = row or (0, 0, False, False)
        metrics.slot_retained_bytes.set(retained)
        metrics.slot_unconfirmed_bytes.set(unconfirmed)
        metrics.slot_active.set(active)
        metrics.slot_invalidated.set(invalidated)
        query = "select from imsfeed.capture where slot_name = %s and loaded_at is null"
        if connection.execute(query, [slot]).fetchone() is not None:
            self.reload_wanted.set()
