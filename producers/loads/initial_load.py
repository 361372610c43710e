"""The initial load: sends every row of the captured tables, as of the point from which the new slot streams on.

PostgreSQL creates a slot together with a snapshot of the database: what was committed before that point is loaded, what
is committed after it is streamed, and nothing is missing in between. A load that is interrupted starts from scratch
with a higher epoch, which distinguishes its rows from those of the interrupted load. An epoch is the source's time in
seconds since 1970 when the load began, or one more than the last epoch, whichever is greater.
"""

import time
from typing import Final

import psycopg

from ims.runtime.failpoints import failpoint
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers.events.change_events import load_event
from producers.events.ordered_events import KafkaMessage, OrderedEvents, Origin, TransactionContext
from producers.events.publisher import Publisher
from producers.loads import resync_requests
from producers.source import catalog, sessions
from producers.source.catalog import Connection
from producers.source.open_transactions import OpenTransaction, waits_reported
from producers.source.preflight import CheckedSource
from producers.source.replication import Walsender, lsn_text
from producers.source.table_rows import rows_of, snapshot_session

log = get_logger(__name__)

_PROGRESS_SECONDS: Final = 5.0


class InitialLoad:
    """Loads every table under a new slot and a new epoch.

    Args:
        settings: source, slot, partitions, and the limit of messages in flight.
        publisher: sends the rows.
        metrics: counts the rows.
        stop: ends every wait.
    """

    def __init__(self, settings: Settings, publisher: Publisher, metrics: CaptureMetrics, stop: Stop) -> None:
        self._settings = settings
        self._publisher = publisher
        self._metrics = metrics
        self._stop = stop
        self._control: Connection | None = None
        self._rows = 0
        self._reported_at = time.monotonic()

    def run(self, checked: CheckedSource, walsender: Walsender) -> int:
        """Load every table, and record the load as complete once Kafka has acknowledged every row.

        Returns:
            The epoch of the load; that of another capture's load if that one was faster.

        Raises:
            psycopg.errors.ObjectInUse: another capture is loading, or reads the slot.
            StoppedError: asked to stop before the end; the next load starts from scratch.
        """
        slot = self._settings.source_slot
        with sessions.connect(self._settings.source(), "initial load") as control:
            _lock(control, slot)
            known = catalog.load_state(control, slot)
            if known is not None and known.loaded_at is not None:
                return known.epoch
            # Only requests that are open before the snapshot is taken are answered by this load.
            requests = resync_requests.all_open(control, slot)
            epoch = self._begin(control)
            self._control = control
            if catalog.slot(control, slot) is not None:
                walsender.drop_slot(slot)
            with waits_reported(self._settings.source(), _report_waits):
                snapshot = walsender.create_slot(slot)
            lsn = lsn_text(snapshot.consistent_point)
            log.info("initial load begun", slot=slot, epoch=epoch, lsn=lsn)
            # One below the consistent point: the first commit that is streamed may begin at that very point, and its
            # position must be greater than that of every loaded row.
            now_ms = int(time.time() * 1000)
            context = TransactionContext("load", snapshot.consistent_point - 1, now_ms, None, loading=True)
            events = OrderedEvents(Origin(checked.database, epoch), context)
            failpoint("load.begun")
            self._publish(checked, snapshot.name, snapshot.consistent_point, events)
            failpoint("load.acknowledged")
            self._complete(control, lsn)
            resync_requests.complete(control, requests)
        log.info("initial load complete", epoch=epoch, rows=self._rows)
        return epoch

    def _begin(self, control: Connection) -> int:
        control.execute(
            "insert into imsfeed.heartbeat select number, now() from generate_series(0, %s - 1) as number"
            " on conflict do nothing",
            [self._settings.kafka_partitions],
        )
        row = control.execute(
            # Not simply one more: a source restored from an older backup would count up to the same epoch again.
            "update imsfeed.capture set loaded_rows = 0,"
            " epoch = greatest(epoch + 1, extract(epoch from clock_timestamp())::bigint)"
            " where slot_name = %s returning epoch",
            [self._settings.source_slot],
        ).fetchone()
        if row is None:
            raise psycopg.OperationalError("imsfeed.capture no longer has a row for the slot")
        return int(row[0])

    def _complete(self, control: Connection, lsn: str) -> None:
        control.execute(
            "update imsfeed.capture set loaded_at = now(), loaded_lsn = %s::text::pg_lsn,"
            " confirmable_lsn = %s::text::pg_lsn, loaded_rows = %s, partitions = %s where slot_name = %s",
            [lsn, lsn, self._rows, self._settings.kafka_partitions, self._settings.source_slot],
        )

    def _publish(self, checked: CheckedSource, snapshot: str, lsn: int, events: OrderedEvents) -> None:
        with snapshot_session(self._settings.source(), "initial load", snapshot) as reader:
            for table in checked.tables.values():
                for rows in rows_of(reader, table):
                    for row in rows:
                        self._send(events.add(load_event(table, row, self._settings.kafka_partitions), lsn))
                    self._rows += len(rows)
                    self._metrics.initial_load_rows.inc(len(rows))
                    self._publisher.drain(self._settings.inflight_limit, self._stop, self._report)
        for message in events.finish():
            self._send(message)
        self._publisher.drain(0, self._stop, self._report)

    def _send(self, message: KafkaMessage | None) -> None:
        if message is not None:
            self._publisher.send(message)
            failpoint("load.sent")

    def _report(self) -> None:
        self._metrics.alive(time.time())
        if time.monotonic() - self._reported_at >= _PROGRESS_SECONDS and self._control is not None:
            self._reported_at = time.monotonic()
            log.info("loading", rows=self._rows, inflight=self._publisher.inflight)
            query = "update imsfeed.capture set loaded_rows = %s where slot_name = %s"
            self._control.execute(query, [self._rows, self._settings.source_slot])


def _report_waits(transactions: list[OpenTransaction]) -> None:
    log.warning("initial load waits for open transactions of the source", transactions=list(map(str, transactions)))


def _lock(control: Connection, slot: str) -> None:
    """Take the lock of loads, which other captures try too; it is released with the session.

    Raises:
        psycopg.errors.ObjectInUse: another capture holds it.
    """
    query = "select pg_try_advisory_lock(hashtextextended('imsfeed initial load of ' || %s, 0))"
    if control.execute(query, [slot]).fetchone() != (True,):
        raise psycopg.errors.ObjectInUse("another capture is loading")
