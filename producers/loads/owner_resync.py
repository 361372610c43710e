"""The resync of one owner while the stream goes on: sends the owner's rows as of one point, in order with the stream.

Creating a temporary slot gives a snapshot and its consistent point C: the snapshot contains every commit whose record
begins below C, and none that begins at or above C. The owner's rows are sent as one transaction at position C - 1:
after every commit below C, before every other. A consumer, which drops what is not newer than what it has applied, thus
reads the rows exactly where they are true: it neither undoes a later change with an older row, nor misses one. At the
end of the transaction, the consumer removes every row of the owner that was not in it.

To keep that order, the snapshot is taken while the stream is still before C, which holds because C is the current end
of the log. The stream then sends the rows when it comes to the first commit at or above C, or to a keepalive that says
so (:meth:`producers.capture.stream.Stream.load_when_reached`).

The request stays open until Kafka has acknowledged all of it. After any failure before that it is done again, with a
new snapshot at a later point.
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
from producers.events.change_events import load_event, partition_of
from producers.events.ordered_events import OrderedEvents, Origin, TransactionContext
from producers.events.publisher import Publisher
from producers.loads import resync_requests
from producers.loads.resync_requests import Request
from producers.source import sessions
from producers.source.captured_table import HEARTBEAT, CapturedTable, owner_columns
from producers.source.catalog import Connection
from producers.source.preflight import CheckedSource
from producers.source.replication import ExportedSnapshot, Walsender, lsn_text
from producers.source.table_rows import rows_of, snapshot_session

log = get_logger(__name__)

_SNAPSHOT_SECONDS: Final = 5.0
"""Longest wait for the snapshot; nothing is streamed meanwhile."""
_PROGRESS_SECONDS: Final = 1.0
_LONGEST_NAME: Final = 63
"""Longest identifier of PostgreSQL, in bytes."""


class SnapshotLateError(Exception):
    """A transaction that was running has not ended yet; the source exports no snapshot before it has."""


class RequestDoneError(Exception):
    """The request was done already."""


class OwnerLoad:
    """A snapshot of one owner's rows, to be sent when the stream has reached ``point``.

    Args:
        settings: source, slot, partitions, and the limit of messages in flight.
        request: the owner and the request's number.
        checked: the source, its epoch and tables.
        stop: ends every wait.
        report: keeps the stream's own connection alive; called at least every second.

    Raises:
        SnapshotLateError: the snapshot did not come in time; to be tried again later.
        RequestDoneError: the request was done already.
        psycopg.Error: the source failed; to be tried again later.

    Attributes:
        point: the snapshot's consistent point in the write-ahead log.
    """

    def __init__(
        self, settings: Settings, request: Request, checked: CheckedSource, stop: Stop, report: Callable[[], None]
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
            StoppedError: asked to stop before the end; the request stays open.
            psycopg.OperationalError: the source's connection was lost; the request stays open.
            kafka.errors.KafkaError: Kafka has not acknowledged everything; the request stays open.
        """
        try:
            self._send(sender, metrics)
        except psycopg.ProgrammingError as error:
            # For example a missing privilege. It must not stop the stream: the rows that were sent are true, and since
            # the transaction's last event was not, no consumer removes anything.
            log.warning("resync failed and will be tried again", owner=self._request.owner_id, error=error)

    def _send(self, sender: Publisher, metrics: CaptureMetrics) -> None:
        settings, owner = self._settings, self._request.owner_id
        now_ms = int(time.time() * 1000)
        context = TransactionContext("resync", self.point - 1, now_ms, None, loading=True, resync_owner=owner)
        events = OrderedEvents(Origin(self._checked.database, self._checked.epoch), context)
        rows, recorded_at = 0, time.monotonic()
        for table, some in self._tables_rows():
            for row in some:
                message = events.add(load_event(table, row, settings.kafka_partitions), self.point)
                if message is not None:
                    sender.send(message)
            rows += len(some)
            metrics.initial_load_rows.inc(len(some))
            sender.drain(settings.inflight_limit, self._stop, self._report)
            if time.monotonic() - recorded_at >= _PROGRESS_SECONDS:
                recorded_at = time.monotonic()
                resync_requests.record_progress(self._control, self._request.resync_id, rows)
        for message in events.finish():
            sender.send(message)
        sender.drain(0, self._stop, self._report)
        resync_requests.record_progress(self._control, self._request.resync_id, rows, done=True)
        log.info("resync complete", owner=owner, rows=rows)

    def close(self) -> None:
        """Close the sessions; a request that was not sent stays open."""
        self._opened.close()

    def _tables_rows(self) -> Iterator[tuple[CapturedTable, list[Row]]]:
        """Yield the owner's rows table by table, some thousands at a time."""
        owner = self._request.owner_id
        for name in owner_columns(self._settings):
            table = self._checked.tables[name]
            # The heartbeat table has a row for each partition instead of each owner. It comes last, and ends the load.
            key = partition_of(owner, self._settings.kafka_partitions) if name == HEARTBEAT else owner
            for rows in rows_of(self._reader, table, key):
                yield table, rows

    def _take_snapshot(self, dsn: str) -> tuple[int, Connection]:
        """Return the snapshot's consistent point, and a session that sees the snapshot."""
        partition = partition_of(self._request.owner_id, self._settings.kafka_partitions)
        # The partition's heartbeat row ends the load, so that even an owner without any rows gets a last event.
        self._control.execute("insert into imsfeed.heartbeat values (%s, now()) on conflict do nothing", [partition])
        deadline = time.monotonic() + _SNAPSHOT_SECONDS

        def alive() -> None:
            self._report()
            if time.monotonic() > deadline:
                raise SnapshotLateError

        # An exported snapshot ends with the walsender's connection, or its next command: it is imported before that.
        with Walsender(dsn, self._stop, alive) as walsender:
            snapshot = self._create_slot(walsender)
            reader = snapshot_session(dsn, "resync", snapshot.name)
        self._opened.enter_context(contextlib.closing(reader))
        return snapshot.consistent_point, reader

    def _create_slot(self, walsender: Walsender) -> ExportedSnapshot:
        suffix = f"_resync_{self._request.resync_id}"
        name = self._settings.source_slot[: _LONGEST_NAME - len(suffix)] + suffix
        try:
            return walsender.create_slot(name, temporary=True)
        except SnapshotLateError:
            # A server process that waits for a lock does not notice that its client has gone.
            self._control.execute("select pg_terminate_backend(%s)", [walsender.server_process])
            raise
