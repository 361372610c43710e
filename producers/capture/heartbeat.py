"""The heartbeat: a row per partition, changed every few seconds, whose arrival proves that the whole path works.

Without it a source in which nothing changes and a path that is stuck would look the same. The same session looks at
what the slot costs the source, whether the source still is as it must be, and what somebody has asked for; and it
writes down how far the slot may be confirmed.
"""

import select
import threading
import time
from typing import Final, Self

import psycopg

from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.retries import retrying
from ims.runtime.settings import Settings
from producers.capture.confirmation import Confirmation
from producers.loads import resync_requests
from producers.loads.resync_requests import Request
from producers.source import preflight, sessions
from producers.source.catalog import Connection

log = get_logger(__name__)

_JOIN_SECONDS: Final = 15.0
_SLOT = """
select coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::float8,
       active,
       coalesce(wal_status = 'lost', false) or coalesce(to_jsonb(s) ->> 'invalidation_reason' is not null, false)
from pg_replication_slots s where slot_name = %s
"""

_TRANSACTIONS: Final = """
select pg_snapshot_xmin(now)::text::bigint, pg_snapshot_xmax(now)::text::bigint from pg_current_snapshot() as now
"""
"""The oldest transaction that is running, and the one that comes next."""


class Heartbeat:
    """Beats in a thread of its own while the block runs, through every outage of the source.

    Attributes:
        reload_wanted: set when somebody has asked for an initial load (``imsfeed resync all``).
        lost: set when the session has failed: the slot cannot be confirmed any further.
        problem: why nothing that the source sends can be relied on any longer, as of the last look.
        died: what nobody has foreseen and has ended the thread.
        confirmation: up to where the slot may be confirmed.
    """

    def __init__(self, settings: Settings, metrics: CaptureMetrics) -> None:
        self._dsn = settings.source()
        self._settings = settings
        self._metrics = metrics
        self._ended = Stop()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._request: Request | None = None
        self._transactions_before: int | None = None
        self.reload_wanted = threading.Event()
        self.lost = threading.Event()
        self.problem: InvalidSettingsError | None = None
        self.died: Exception | None = None
        self.confirmation = Confirmation(settings.source_slot)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_JOIN_SECONDS)

    def stream_begins(self, epoch: int, confirmable: int) -> None:
        """Forget what ended the stream before; *confirmable* is what ``imsfeed.capture`` has for the slot."""
        self.reload_wanted.clear()
        self.lost.clear()
        self.problem = None
        self.confirmation.begin(epoch, confirmable)

    def take_request(self) -> Request | None:
        """The oldest open resync of an owner, once; with a later beat it is told again if it is still open."""
        request, self._request = self._request, None
        return request

    def _run(self) -> None:
        def again(error: BaseException, wait: float) -> None:
            self.lost.set()
            log.warning("heartbeat failed", error=error, wait_seconds=round(wait, 1))

        try:
            for attempt in retrying(lambda error: isinstance(error, psycopg.Error), stop=self._ended, on_retry=again):
                with attempt:
                    self._beat_until_ended()
        except psycopg.Error as error:
            log.warning("heartbeat ended", error=error)
        except Exception as error:  # noqa: BLE001 - raised by the stream, which cannot go on without this thread
            self.died = error

    def _beat_until_ended(self) -> None:
        with sessions.connect(self._dsn, "heartbeat") as connection:
            connection.execute("set statement_timeout = '10s'")
            # What the slot may be confirmed to must outlive a crash of the source as the slot itself does.
            connection.execute("set synchronous_commit = 'local'")
            while not self._ended:
                self.confirmation.store(connection)
                connection.execute("update imsfeed.heartbeat set beat_at = now()")
                self._metrics.heartbeat_written_timestamp_seconds.set(time.time())
                self._look_at_slot(connection)
                self._look_at_source(connection)
                self._wait(connection)

    def _wait(self, connection: Connection) -> None:
        """Until the next beat, the end, or the server's farewell.

        A server that shuts down waits until the stream has confirmed everything, which it cannot once this session is
        gone: it must be noticed at once.
        """
        poll = select.poll()
        poll.register(self._ended.fileno(), select.POLLIN)
        poll.register(connection.fileno(), select.POLLIN)
        poll.poll(self._settings.heartbeat_seconds * 1000)

    def _look_at_source(self, connection: Connection) -> None:
        try:
            preflight.check(connection, self._settings)
        except InvalidSettingsError as error:
            self.problem = error
            return
        self.problem = None
        oldest, newest = connection.execute(_TRANSACTIONS).fetchone() or (0, 0)
        known, self._transactions_before = self._transactions_before, newest
        # A resync waits for all transactions that are running, and the stream with it: not for one that has run long.
        if known is not None and oldest >= known:
            self._request = resync_requests.oldest_open(connection, self._settings.source_slot)

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
