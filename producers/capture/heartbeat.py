"""The heartbeat: one row per partition, updated every few seconds; its arrival in the state shows that the path works.

Without it, a source in which nothing changes and a path that is stuck would look the same. The same session measures
what the slot costs the source, checks that the source is still set up as capture needs it, picks up requests for a
resync, and stores how far the slot may be confirmed.
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
from producers.source.open_transactions import open_transactions

log = get_logger(__name__)

_JOIN_SECONDS: Final = 15.0
_REPEAT_SECONDS: Final = 30.0
"""Time between two warnings about the same wait."""
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
"""The id of the oldest running transaction, and the next id to be assigned."""


class Heartbeat:
    """A thread that beats while the block runs, through every outage of the source.

    Attributes:
        reload_wanted: set when an initial load has been requested (``imsfeed resync all``).
        session_lost: set when the session has failed: the slot cannot be confirmed any further.
        problem: why the stream can no longer be relied on, as of the last check of the source; ``None`` if it can.
        failure: an unexpected error that has ended the thread.
        confirmation: how far the slot may be confirmed.
    """

    def __init__(self, settings: Settings, metrics: CaptureMetrics) -> None:
        self._dsn = settings.source()
        self._settings = settings
        self._metrics = metrics
        self._ended = Stop()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._request: Request | None = None
        self._transactions_before: int | None = None
        self._waits_reported_at = float("-inf")
        self.reload_wanted = threading.Event()
        self.session_lost = threading.Event()
        self.problem: InvalidSettingsError | None = None
        self.failure: Exception | None = None
        self.confirmation = Confirmation(settings.source_slot)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_JOIN_SECONDS)

    def stream_begins(self, epoch: int, confirmable: int) -> None:
        """Clear what ended the stream before this one.

        Args:
            epoch: the load's epoch.
            confirmable: the position that ``imsfeed.capture`` has for the slot, as an LSN.
        """
        self.reload_wanted.clear()
        self.session_lost.clear()
        self.problem = None
        self.confirmation.begin(epoch, confirmable)

    def take_request(self) -> Request | None:
        """Return the oldest open request for a resync, once; a later beat offers it again if it is still open."""
        request, self._request = self._request, None
        return request

    def _run(self) -> None:
        def failed(error: BaseException, wait: float) -> None:
            self.session_lost.set()
            log.warning("heartbeat failed", error=error, wait_seconds=round(wait, 1))

        try:
            for attempt in retrying(lambda error: isinstance(error, psycopg.Error), stop=self._ended, on_retry=failed):
                with attempt:
                    self._beat_until_ended()
        except psycopg.Error as error:
            log.warning("heartbeat ended", error=error)
        except Exception as error:  # noqa: BLE001 - raised again by the stream, which cannot go on without this thread
            self.failure = error

    def _beat_until_ended(self) -> None:
        with sessions.connect(self._dsn, "heartbeat") as connection:
            connection.execute("set statement_timeout = '10s'")
            # The stored position must survive a crash of the source, as the slot's own position does; the server may be
            # configured with synchronous_commit = off.
            connection.execute("set synchronous_commit = 'local'")
            while not self._ended:
                self.confirmation.store(connection)
                connection.execute("update imsfeed.heartbeat set beat_at = now()")
                self._metrics.heartbeat_written_timestamp_seconds.set(time.time())
                self._measure_slot(connection)
                self._check_source(connection)
                self._wait(connection)

    def _wait(self, connection: Connection) -> None:
        """Wait for the next beat, for the end, or for the server to close the session.

        A server that shuts down waits until the stream has confirmed everything, which the stream cannot once this
        session is gone. The loss of the session must therefore be noticed immediately, not at the next beat.
        """
        poll = select.poll()
        poll.register(self._ended.fileno(), select.POLLIN)
        poll.register(connection.fileno(), select.POLLIN)
        poll.poll(self._settings.heartbeat_seconds * 1000)

    def _check_source(self, connection: Connection) -> None:
        try:
            preflight.check(connection, self._settings)
        except InvalidSettingsError as error:
            self.problem = error
            return
        self.problem = None
        oldest, newest = connection.execute(_TRANSACTIONS).fetchone() or (0, 0)
        known, self._transactions_before = self._transactions_before, newest
        # The snapshot of a resync waits for every running transaction, and the stream waits with it. So a resync begins
        # only when all transactions that were running at the beat before have ended: none of them is a long one.
        request = resync_requests.oldest_open(connection, self._settings.source_slot)
        if known is not None and oldest >= known:
            self._request = request
            self._waits_reported_at = float("-inf")
        elif request is not None and time.monotonic() - self._waits_reported_at >= _REPEAT_SECONDS:
            transactions = open_transactions(connection)
            if transactions:
                self._waits_reported_at = time.monotonic()
                log.warning(
                    "resync waits for open transactions of the source",
                    owner=request.owner_id,
                    transactions=list(map(str, transactions)),
                )

    def _measure_slot(self, connection: Connection) -> None:
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
