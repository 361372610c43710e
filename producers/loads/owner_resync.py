"""The resync of one owner while the stream goes on: its rows as of one point, sent when the stream has come there.

A temporary slot gives a snapshot and the point C to which it belongs: every commit that begins below C is in it, and
none at or above C. The owner's rows are one transaction at C - 1, sent after all that begins below C and before all
that does not. A consumer that drops what is not news thus reads them in the one place where they are true; the end of
the transaction tells it that what it has not seen of the owner is gone.

The request stays open until Kafka has all of it. Whatever fails before that, it is done anew at a later point.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

import psycopg

from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from ims.source.events import Row
from producers.events.change_events import loaded, partition_of
from producers.events.ordered_events import OrderedEvents, Origin, TransactionContext
from producers.events.publisher import Publisher
from producers.loads import resync_requests
from producers.loads.resync_requests import Request
from producers.source import sessions
from producers.source.captured_table import HEARTBEAT, CapturedTable, owner_columns
from producers.source.catalog import Connection
from producers.source.preflight import Checked
from producers.source.replication import ExportedSnapshot, Walsender, lsn_text
from producers.source.table_rows import rows_of, snapshot_session

log = get_logger(__name__)

_HOLD_SECONDS: Final = 5.0
"""Longest time for which the stream is held up until the source gives the snapshot."""
_PROGRESS_SECONDS: Final = 1.0
_LONGEST_NAME: Final = 63


class SnapshotLateError(Exception):
    """A transaction that was running has not ended; the source gives no snapshot before it has."""


class RequestDoneError(Exception):
    """It was done already."""


class OwnerLoad:
    """The rows of one owner, read and to be sent when the stream has reached ``point``.

    Args:
        settings: source, slot, partitions, and the limit of outstanding messages.
        request: whose rows, and under which number.
        checked: the source, its epoch and tables.
        stop: ends every wait.
        report: keeps the stream's own connection alive; called at least every second.

    Raises:
        SnapshotLateError: try again later.
        RequestDoneError: nothing is left to do.
        psycopg.Error: as this one.

    Attributes:
        point: where the snapshot stands in the write-ahead log.
    """

    def __init__(
        self, settings: Settings, request: Request, checked: Checked, stop: Stop, report: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._request = request
        self._checked = checked
        self._stop = stop
        self._report = report
        self._opened = contextlib.ExitStack()
        with contextlib.ExitStack() as failing:
            failing.callback(self.close)
            dsn = settings.source()
            self._control = self._opened.enter_context(contextlib.closing(sessions.connect(dsn, "resync")))
            if not resync_requests.begin(self._control, request.resync_id):
                raise RequestDoneError
            self.point, self._reader = self._take_snapshot(dsn)
            failing.pop_all()
        log.info("resync begun", owner=request.owner_id, lsn=lsn_text(self.point))

    def send(self, sender: Publisher, metrics: CaptureMetrics) -> None:
        """Send the rows and wait until Kafka has acknowledged them; the stream waits meanwhile.

        Raises:
            StoppedError: asked to stop before the end.
            psycopg.OperationalError: the source's connection was lost; the request stays open.
            kafka.errors.KafkaError: Kafka has not taken all of it; the request stays open.
        """
        try:
            self._send(sender, metrics)
        except psycopg.ProgrammingError as error:
            # A right that is missing, say. What was sent are rows as they are; without its end nothing is removed.
            log.warning("the resync failed and is tried again", owner=self._request.owner_id, error=error)

    def _send(self, sender: Publisher, metrics: CaptureMetrics) -> None:
        settings, owner = self._settings, self._request.owner_id
        now_ms = int(time.time() * 1000)
        context = TransactionContext("resync", self.point - 1, now_ms, None, loading=True, resync_owner=owner)
        events = OrderedEvents(Origin(self._checked.database, self._checked.epoch), context)
        rows, published = 0, time.monotonic()
        for table, some in self._tables_rows():
            for row in some:
                message = events.add(loaded(table, row, settings.kafka_partitions), self.point)
                if message is not None:
                    sender.send(message)
            rows += len(some)
            metrics.initial_load_rows.inc(len(some))
            sender.drain(settings.inflight_limit, self._stop, self._report)
            if time.monotonic() - published >= _PROGRESS_SECONDS:
                published = time.monotonic()
                resync_requests.sent(self._control, self._request.resync_id, rows)
        for message in events.finish():
            sender.send(message)
        sender.drain(0, self._stop, self._report)
        resync_requests.sent(self._control, self._request.resync_id, rows, done=True)
        log.info("resync complete", owner=owner, rows=rows)

    def close(self) -> None:
        """Close what is open; without :meth:`send` the request stays as it is."""
        self._opened.close()

    def _tables_rows(self) -> Iterator[tuple[CapturedTable, list[Row]]]:
        owner = self._request.owner_id
        for name in owner_columns(self._settings):
            table = self._checked.tables[name]
            # The heartbeat's rows belong to partitions; it is the last table, and ends the load.
            whose = partition_of(owner, self._settings.kafka_partitions) if name == HEARTBEAT else owner
            for rows in rows_of(self._reader, table, whose):
                yield table, rows

    def _take_snapshot(self, dsn: str) -> tuple[int, Connection]:
        partition = partition_of(self._request.owner_id, self._settings.kafka_partitions)
        # Its row ends the load, also of an owner that has no rows.
        self._control.execute("insert into imsfeed.heartbeat values (%s, now()) on conflict do nothing", [partition])
        deadline = time.monotonic() + _HOLD_SECONDS

        def alive() -> None:
            self._report()
            if time.monotonic() > deadline:
                raise SnapshotLateError

        with Walsender(dsn, self._stop, alive) as walsender:
            snapshot = self._create_slot(walsender)
            reader = snapshot_session(dsn, "resync", snapshot.name)
        self._opened.enter_context(contextlib.closing(reader))
        return snapshot.consistent_point, reader

    def _create_slot(self, walsender: Walsender) -> ExportedSnapshot:
        end = f"_resync_{self._request.resync_id}"
        try:
            return walsender.create_slot(self._settings.source_slot[: _LONGEST_NAME - len(end)] + end, temporary=True)
        except SnapshotLateError:
            # A server process that waits for a lock does not notice that nobody listens any more.
            self._control.execute("select pg_terminate_backend(%s)", [walsender.server_process])
            raise
