"""The initial load: every row there is, as of the very point from which the new slot streams on.

A slot and a snapshot of the database are made together: what was committed before that point is loaded, what comes
after it is streamed, and nothing is missing between. A load that does not come to its end begins from scratch with a
higher epoch, so that a consumer can tell its rows from those of the broken one.
"""

import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from ims.events import Row
from ims.runtime.crash_points import crash_point
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers import catalog, sessions
from producers.captured_table import CapturedTable
from producers.catalog import Connection
from producers.change_events import loaded
from producers.ordered_events import KafkaMessage, OrderedEvents, Origin, TransactionContext
from producers.preflight import Checked
from producers.publisher import Publisher
from producers.replication import StoppedError, Walsender, lsn_text
from producers.row_values import reader_of

log = get_logger(__name__)

_FETCH_ROWS: Final = 2_000
_PROGRESS_SECONDS: Final = 5.0
_TURN_SECONDS: Final = 0.02


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
        self._rows = 0
        self._told = time.monotonic()

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
            epoch = self._begin(control)
            if catalog.slot(control, slot) is not None:
                walsender.drop_slot(slot)
            snapshot = walsender.create_slot(slot)
            lsn = lsn_text(snapshot.consistent_point)
            log.info("initial load begun", slot=slot, epoch=epoch, lsn=lsn)
            # One below: a commit record may begin at the consistent point itself, and must come after all rows loaded.
            now_ms = int(time.time() * 1000)
            context = TransactionContext("load", snapshot.consistent_point - 1, now_ms, None, loading=True)
            events = OrderedEvents(Origin(checked.database, epoch), context)
            crash_point("load.begun")
            self._publish(checked, snapshot.name, snapshot.consistent_point, events)
            crash_point("load.acknowledged")
            control.execute(
                "update imsfeed.capture set loaded_at = now(), loaded_lsn = %s::text::pg_lsn where slot_name = %s",
                [lsn, slot],
            )
        log.info("initial load complete", epoch=epoch, rows=self._rows)
        return epoch

    def _begin(self, control: Connection) -> int:
        control.execute(
            "insert into imsfeed.heartbeat select number, now() from generate_series(0, %s - 1) as number"
            " on conflict do nothing",
            [self._settings.kafka_partitions],
        )
        row = control.execute(
            "update imsfeed.capture set epoch = epoch + 1 where slot_name = %s returning epoch",
            [self._settings.source_slot],
        ).fetchone()
        if row is None:
            raise psycopg.OperationalError("the row of imsfeed.capture is gone")
        return int(row[0])

    def _publish(self, checked: Checked, snapshot: str, lsn: int, events: OrderedEvents) -> None:
        partitions = self._settings.kafka_partitions
        with sessions.connect(self._settings.source(), "initial load", autocommit=False) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.read_only = True
            reader.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
            for table in checked.tables.values():
                for row in self._rows_of(reader, table):
                    self._send(events.add(loaded(table, row, partitions), lsn))
        for message in events.finish():
            self._send(message)
        self._drain(0)

    def _rows_of(self, reader: Connection, table: CapturedTable) -> Iterator[Row]:
        """The rows, with the values as the stream would tell them."""
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        source = sql.Identifier(table.name.schema, table.name.table)
        reader.execute(
            sql.SQL("declare load_rows no scroll cursor for select {} from {}").format(columns, source),
        )
        while rows := _fetch(reader, table.columns):
            yield from rows
            self._rows += len(rows)
            self._metrics.initial_load_rows.inc(len(rows))
            self._drain(self._settings.inflight_limit)
        reader.execute("close load_rows")

    def _send(self, message: KafkaMessage | None) -> None:
        if message is not None:
            self._publisher.send(message)
            crash_point("load.sent")

    def _drain(self, limit: int) -> None:
        """Wait until at most *limit* messages are outstanding."""
        while True:
            self._metrics.alive(time.time())
            self._publisher.acknowledged()
            self._metrics.publish_inflight_messages.set(self._publisher.inflight)
            if time.monotonic() - self._told >= _PROGRESS_SECONDS:
                self._told = time.monotonic()
                log.info("loading", rows=self._rows, outstanding=self._publisher.inflight)
            if self._stop:
                raise StoppedError
            if self._publisher.inflight <= limit:
                return
            self._stop.wait(_TURN_SECONDS)


def _lock(control: Connection, slot: str) -> None:
    """Keep others from loading for as long as the session lives."""
    query = "select pg_try_advisory_lock(hashtextextended('imsfeed initial load of ' || %s, 0))"
    if control.execute(query, [slot]).fetchone() != (True,):
        raise psycopg.errors.ObjectInUse("another capture is loading")


def _fetch(reader: Connection, names: tuple[str, ...]) -> list[Row]:
    result = reader.execute(f"fetch {_FETCH_ROWS} from load_rows".encode()).pgresult
    if result is None:
        return []
    columns = [(number, name, reader_of(result.ftype(number))) for number, name in enumerate(names)]
    value: Any = result.get_value
    return [
        {name: None if (text := value(row, number)) is None else read(text) for number, name, read in columns}
        for row in range(result.ntuples)
    ]
