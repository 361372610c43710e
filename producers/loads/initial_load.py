"""The initial load: every row there is, as of the very point from which the new slot streams on.

A slot and a snapshot of the database are made together: what was committed before that point is loaded, what comes
after it is streamed, and nothing is missing between. A load that does not come to its end begins from scratch with a
higher epoch, so that a consumer can tell its rows from those of the broken one. An epoch is the source's time in
seconds since 1970 when the load began, or one more than the last.
"""

import time
from typing import Final

import psycopg

from ims.runtime.failpoints import failpoint
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers.events.change_events import loaded
from producers.events.ordered_events import KafkaMessage, OrderedEvents, Origin, TransactionContext
from producers.events.publisher import Publisher
from producers.loads import resync_requests
from producers.source import catalog, sessions
from producers.source.catalog import Connection
from producers.source.preflight import Checked
from producers.source.replication import Walsender, lsn_text
from producers.source.table_rows import rows_of, snapshot_session

log = get_logger(__name__)

_PROGRESS_SECONDS: Final = 5.0


class InitialLoad:
    """Loads every table under a new slot and a new epoch.

    Args:
        settings: source, slot, partitions, and the limit of outstanding messages.
        publisher: where the rows go.
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
        self._published = time.monotonic()

    def run(self, checked: Checked, walsender: Walsender) -> int:
        """Load, and remember that it is done when Kafka has acknowledged every row.

        Returns:
            The epoch of what was loaded; that of another capture's load when one was faster.

        Raises:
            psycopg.errors.ObjectInUse: another capture is loading, or reads the slot.
            StoppedError: asked to stop before the end; the next load begins anew.
        """
        slot = self._settings.source_slot
        with sessions.connect(self._settings.source(), "initial load") as control:
            _lock(control, slot)
            known = catalog.loaded(control, slot)
            if known is not None and known.loaded_at is not None:
                return known.epoch
            requests = resync_requests.all_open(control, slot)
            epoch = self._begin(control)
            self._control = control
            if catalog.slot(control, slot) is not None:
                walsender.drop_slot(slot)
            snapshot = walsender.create_slot(slot)
            lsn = lsn_text(snapshot.consistent_point)
            log.info("initial load begun", slot=slot, epoch=epoch, lsn=lsn)
            # One below: a commit record may begin at the consistent point itself, and must come after all rows loaded.
            now_ms = int(time.time() * 1000)
            context = TransactionContext("load", snapshot.consistent_point - 1, now_ms, None, loading=True)
            events = OrderedEvents(Origin(checked.database, epoch), context)
            failpoint("load.begun")
            self._publish(checked, snapshot.name, snapshot.consistent_point, events)
            failpoint("load.acknowledged")
            self._complete(control, lsn)
            resync_requests.done_by_load(control, requests)
        log.info("initial load complete", epoch=epoch, rows=self._rows)
        return epoch

    def _begin(self, control: Connection) -> int:
        control.execute(
            "insert into imsfeed.heartbeat select number, now() from generate_series(0, %s - 1) as number"
            " on conflict do nothing",
            [self._settings.kafka_partitions],
        )
        row = control.execute(
            # Not only one more: a source restored from an older backup would count to the same number again.
            "update imsfeed.capture set loaded_rows = 0,"
            " epoch = greatest(epoch + 1, extract(epoch from clock_timestamp())::bigint)"
            " where slot_name = %s returning epoch",
            [self._settings.source_slot],
        ).fetchone()
        if row is None:
            raise psycopg.OperationalError("the row of imsfeed.capture is gone")
        return int(row[0])

    def _complete(self, control: Connection, lsn: str) -> None:
        control.execute(
            "update imsfeed.capture set loaded_at = now(), loaded_lsn = %s::text::pg_lsn,"
            " confirmable_lsn = %s::text::pg_lsn, loaded_rows = %s where slot_name = %s",
            [lsn, lsn, self._rows, self._settings.source_slot],
        )

    def _publish(self, checked: Checked, snapshot: str, lsn: int, events: OrderedEvents) -> None:
        with snapshot_session(self._settings.source(), "initial load", snapshot) as reader:
            for table in checked.tables.values():
                for rows in rows_of(reader, table):
                    for row in rows:
                        self._send(events.add(loaded(table, row, self._settings.kafka_partitions), lsn))
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
        if time.monotonic() - self._published >= _PROGRESS_SECONDS and self._control is not None:
            self._published = time.monotonic()
            log.info("loading", rows=self._rows, outstanding=self._publisher.inflight)
            query = "update imsfeed.capture set loaded_rows = %s where slot_name = %s"
            self._control.execute(query, [self._rows, self._settings.source_slot])


def _lock(control: Connection, slot: str) -> None:
    """Keep others from loading for as long as the session lives."""
    query = "select pg_try_advisory_lock(hashtextextended('imsfeed initial load of ' || %s, 0))"
    if control.execute(query, [slot]).fetchone() != (True,):
        raise psycopg.errors.ObjectInUse("another capture is loading")
