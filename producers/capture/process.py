"""Capture: sends every committed change of the source to Kafka, and confirms it to the slot only when Kafka has it.

A session checks Kafka and the source, loads every table if that was never done, and then streams. To stream is: read
what has arrived, turn it into events, send them, and report to PostgreSQL up to where Kafka has acknowledged
everything. The resync of one owner is sent between two commits.

After any failure of the source or of Kafka, the connections are closed and the next session starts from the slot's
confirmed position; consumers drop the events that come twice.
"""

import contextlib
import math
import time
from collections.abc import Callable
from typing import Final, TypeGuard

import msgspec
import psycopg
from kafka.errors import KafkaError, MessageSizeTooLargeError

from ims.runtime.kafka_connection import KafkaUnreachableError
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.retries import retrying
from ims.runtime.settings import Settings
from producers.capture.heartbeat import Heartbeat
from producers.capture.stream import Stream
from producers.events import publisher
from producers.events.change_events import ChangeStream
from producers.events.ordered_events import Origin
from producers.events.oversized_rows import LARGEST_MESSAGE
from producers.events.publisher import Publisher
from producers.events.topic import ensure_topic
from producers.loads.initial_load import InitialLoad
from producers.loads.owner_resync import OwnerLoad, RequestDoneError, SnapshotLateError
from producers.source import catalog, preflight, sessions, source_schema
from producers.source.catalog import LoadState
from producers.source.preflight import CheckedSource
from producers.source.replication import StoppedError, Walsender
from producers.source.table_rows import require_same_forms

log = get_logger(__name__)

_LEAST_LARGEST: Final = 32 * 1024
"""Bytes; a row's message without its largest texts is smaller."""
_STABLE_SECONDS: Final = 30.0
"""Time of streaming after which an error begins a new outage, with the shortest waits again."""


def run(settings: Settings, stop: Stop, metrics: CaptureMetrics, ready: Callable[[bool], None]) -> None:
    """Capture until *stop*, through every outage of the source or Kafka.

    Args:
        settings: where the source and Kafka are.
        stop: ends the process cleanly.
        metrics: updated at every turn of the loop.
        ready: called with true when changes begin to stream, and with false when they no longer do.

    Raises:
        InvalidSettingsError: a setting or the source is wrong, which only an operator can fix; says what to do.
    """
    publisher.refuse_slow_crc()
    with Heartbeat(settings, metrics) as heartbeat:
        capture = _Capture(settings, stop, metrics, ready, heartbeat)
        try:
            while not stop:
                for attempt in retrying(is_transient, stop=stop, on_retry=capture.failed):
                    with attempt:
                        capture.run_session()
        except StoppedError:
            pass
        except Exception as error:
            if not stop or not is_transient(error):
                raise
            log.warning("stopped during an outage", error=error)
        finally:
            ready(False)


def is_transient(error: BaseException) -> bool:
    """Return True for any error of the source's or Kafka's connection: starting again from the slot may help."""
    return sessions.is_transient(error) or isinstance(error, KafkaError | KafkaUnreachableError)


class _Capture:
    """The process: runs one session after another; what it keeps outlives their connections."""

    def __init__(
        self,
        settings: Settings,
        stop: Stop,
        metrics: CaptureMetrics,
        ready: Callable[[bool], None],
        heartbeat: Heartbeat,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._metrics = metrics
        self._ready = ready
        self._heartbeat = heartbeat
        self._stable_at = math.inf
        self._largest = LARGEST_MESSAGE

    def failed(self, error: BaseException, wait: float) -> None:
        """Report an error that ended a session; the next one begins in *wait* seconds."""
        self._ready(False)
        self._metrics.alive(time.time())
        self._metrics.replication_reconnects.inc()
        if isinstance(error, MessageSizeTooLargeError):
            # The topic takes less than its configuration says, or capture may not read that.
            self._largest = max(self._largest // 2, _LEAST_LARGEST)
        log.warning("starting again", error=error, wait_seconds=round(wait, 1))

    def run_session(self) -> None:
        """Open every connection, load if needed, and stream until asked to stop or to load again.

        A transient error after a session that was stable ends the session without being raised, so that the caller's
        retries start over with their shortest wait; any other error is raised.
        """
        settings = self._settings
        self._stable_at = math.inf
        self._alive()
        self._largest = min(ensure_topic(settings), self._largest)
        self._alive()
        with sessions.connect(settings.source(), "preflight") as connection:
            checked = preflight.check(connection, settings)
            require_same_forms(connection, ((name, table.columns) for name, table in checked.tables.items()))
        self._alive()
        sender = Publisher(publisher.connect(settings), settings.kafka_topic, self._metrics, self._largest)
        try:
            with Walsender(settings.source(), self._stop, self._alive) as walsender:
                self._load_and_stream(checked, walsender, sender)
        except Exception as error:
            if self._stop or time.monotonic() < self._stable_at or not is_transient(error):
                raise
            self.failed(error, 0)
        finally:
            sender.close()

    def _load_and_stream(self, checked: CheckedSource, walsender: Walsender, sender: Publisher) -> None:
        settings, epoch = self._settings, checked.epoch
        if checked.needs_load:
            epoch = InitialLoad(settings, sender, self._metrics, self._stop).run(checked, walsender)
            checked = msgspec.structs.replace(checked, epoch=epoch)
        walsender.start(settings.source_slot, settings.source_publication)
        with sessions.connect(settings.source(), "preflight") as connection:
            known = catalog.load_state(connection, settings.source_slot)
            # A source that was loaded by an older version has no number of partitions yet.
            connection.execute(
                "update imsfeed.capture set partitions = %s where slot_name = %s and partitions is null",
                [settings.kafka_partitions, settings.source_slot],
            )
            types = catalog.types(connection)
        # Another capture may have loaded before the slot became ours; the next session sees its epoch.
        if not _is_current(known, epoch):
            return
        self._heartbeat.stream_begins(epoch, known.confirmable_lsn or 0)
        columns = {name: (*table.columns, *table.unmapped) for name, table in checked.tables.items()}
        watch = source_schema.SchemaWatch(source_schema.wanted_columns(settings), types, columns)
        changes = ChangeStream(
            Origin(checked.database, epoch),
            checked.tables,
            settings.kafka_partitions,
            watch.check,
            {oid: kind.base for oid, kind in types.items()},
        )
        confirmation, limit = self._heartbeat.confirmation, settings.inflight_limit
        with contextlib.closing(Stream(walsender, sender, changes, limit, self._metrics, confirmation)) as stream:
            log.info("streaming", slot=settings.source_slot, epoch=epoch)
            self._ready(True)
            self._stable_at = time.monotonic() + _STABLE_SECONDS
            while not self._stop and not self._heartbeat.reload_wanted.is_set():
                stream.turn()
                self._act_on_heartbeat(checked, stream)
            self._ready(False)
            stream.finish()

    def _act_on_heartbeat(self, checked: CheckedSource, stream: Stream) -> None:
        """Raise what the heartbeat has found wrong, or begin the resync that it has picked up."""
        heartbeat = self._heartbeat
        error = heartbeat.failure or heartbeat.problem
        if error is not None:
            raise error
        if heartbeat.session_lost.is_set():
            raise psycopg.OperationalError("the heartbeat has lost its session, so the slot cannot be confirmed")
        request = None if stream.is_loading else heartbeat.take_request()
        if request is None:
            return
        try:
            stream.load_when_reached(OwnerLoad(self._settings, request, checked, self._stop, stream.report))
        except RequestDoneError:
            log.debug("resync already done", owner=request.owner_id)
        except SnapshotLateError:
            log.warning("resync waits for a long transaction of the source", owner=request.owner_id)
        except psycopg.Error as error:
            log.warning("resync could not begin", owner=request.owner_id, error=error)

    def _alive(self) -> None:
        self._metrics.alive(time.time())


def _is_current(known: LoadState | None, epoch: int) -> TypeGuard[LoadState]:
    """Return True if no other capture has loaded between the preflight and the start of the replication."""
    return known is not None and known.epoch == epoch and known.loaded_at is not None
