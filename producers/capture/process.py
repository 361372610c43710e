"""Capture: every committed change of the source to Kafka, and the slot acknowledged only when Kafka has it.

The story: see that Kafka and the source are as they must be, load every table if that was never done, then stream.
Read what is there, make events of it, send them, and tell PostgreSQL up to where Kafka has acknowledged everything.
The resync of one owner is sent between two commits.
After any failure of either the connections are closed and it begins again from the slot; what is sent twice is dropped
by whoever reads it.
"""

import contextlib
import math
import time
from collections.abc import Callable
from typing import Final, TypeGuard

import msgspec
import psycopg
from kafka.errors import KafkaError

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
from producers.events.publisher import Publisher
from producers.loads.initial_load import InitialLoad
from producers.loads.owner_resync import OwnerLoad, RequestDoneError, SnapshotLateError
from producers.source import catalog, preflight, sessions, source_schema
from producers.source.catalog import Loaded
from producers.source.preflight import Checked
from producers.source.replication import StoppedError, Walsender

log = get_logger(__name__)

_SETTLED_SECONDS: Final = 30.0
"""Time of streaming after which an error is no longer part of the outage before it."""


def run(settings: Settings, stop: Stop, metrics: CaptureMetrics, ready: Callable[[bool], None]) -> None:
    """Capture until *stop*, through every outage of the source or Kafka.

    Args:
        settings: where the source and Kafka are.
        stop: ends it in good order.
        metrics: told how it goes; ``alive`` at every turn.
        ready: told true while changes are streaming.

    Raises:
        InvalidSettingsError: only a person can mend it; says what to do.
    """
    publisher.refuse_slow_crc()
    with Heartbeat(settings, metrics) as heartbeat:
        capture = _Capture(settings, stop, metrics, ready, heartbeat)
        try:
            while not stop:
                for attempt in retrying(is_transient, stop=stop, on_retry=capture.failed):
                    with attempt:
                        capture.live()
        except StoppedError:
            pass
        except Exception as error:
            if not stop or not is_transient(error):
                raise
            log.warning("stopped in the middle of an outage", error=error)
        finally:
            ready(False)


def is_transient(error: BaseException) -> bool:
    """Whether beginning again from the slot may help: anything that the source's or Kafka's connection can do to us."""
    return sessions.is_transient(error) or isinstance(error, KafkaError | KafkaUnreachableError)


class _Capture:
    """What outlives a single connection."""

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
        self._settled_at = math.inf

    def failed(self, error: BaseException, wait: float) -> None:
        """Tell of an error after which everything is opened anew, *wait* seconds from now."""
        self._ready(False)
        self._metrics.alive(time.time())
        self._metrics.replication_reconnects.inc()
        log.warning("starting again", error=error, wait_seconds=round(wait, 1))

    def live(self) -> None:
        """One life: open everything, load if needed, stream until asked to stop or to load again.

        An error after a good while of streaming ends it too, but is the first of a new outage: patience starts over.
        """
        settings = self._settings
        self._settled_at = math.inf
        self._alive()
        publisher.ensure_topic(settings)
        self._alive()
        with sessions.connect(settings.source(), "preflight") as connection:
            checked = preflight.check(connection, settings)
        self._alive()
        sender = Publisher(publisher.connect(settings), settings.kafka_topic, self._metrics)
        try:
            with Walsender(settings.source(), self._stop, self._alive) as walsender:
                self._load_and_stream(checked, walsender, sender)
        except Exception as error:
            if self._stop or time.monotonic() < self._settled_at or not is_transient(error):
                raise
            self.failed(error, 0)
        finally:
            sender.close()

    def _load_and_stream(self, checked: Checked, walsender: Walsender, sender: Publisher) -> None:
        settings, epoch = self._settings, checked.epoch
        if checked.needs_load:
            epoch = InitialLoad(settings, sender, self._metrics, self._stop).run(checked, walsender)
            checked = msgspec.structs.replace(checked, epoch=epoch)
        walsender.start(settings.source_slot, settings.source_publication)
        with sessions.connect(settings.source(), "preflight") as connection:
            known = catalog.loaded(connection, settings.source_slot)
            types = catalog.types(connection)
        if not _is_current(known, epoch):
            return
        self._heartbeat.stream_begins(epoch, known.confirmable_lsn or 0)
        columns = {name: table.columns for name, table in checked.tables.items()}
        watch = source_schema.SchemaWatch(source_schema.wanted_columns(settings), types, columns)
        changes = ChangeStream(Origin(checked.database, epoch), checked.tables, settings.kafka_partitions, watch.see)
        confirmation, limit = self._heartbeat.confirmation, settings.inflight_limit
        with contextlib.closing(Stream(walsender, sender, changes, limit, self._metrics, confirmation)) as stream:
            log.info("streaming", slot=settings.source_slot, epoch=epoch)
            self._ready(True)
            self._settled_at = time.monotonic() + _SETTLED_SECONDS
            while not self._stop and not self._heartbeat.reload_wanted.is_set():
                stream.turn()
                self._heed_heartbeat(checked, stream)
            self._ready(False)
            stream.finish()

    def _heed_heartbeat(self, checked: Checked, stream: Stream) -> None:
        heartbeat = self._heartbeat
        error = heartbeat.died or heartbeat.problem
        if error is not None:
            raise error
        if heartbeat.lost.is_set():
            raise psycopg.OperationalError("the session of the heartbeat is lost, and the slot cannot be confirmed")
        request = None if stream.is_loading else heartbeat.take_request()
        if request is None:
            return
        try:
            stream.load_when_reached(OwnerLoad(self._settings, request, checked, self._stop, stream.report))
        except RequestDoneError:
            log.debug("the resync was done already", owner=request.owner_id)
        except SnapshotLateError:
            log.warning("the resync waits for a transaction of the source to end", owner=request.owner_id)
        except psycopg.Error as error:
            log.warning("the resync could not begin", owner=request.owner_id, error=error)

    def _alive(self) -> None:
        self._metrics.alive(time.time())


def _is_current(known: Loaded | None, epoch: int) -> TypeGuard[Loaded]:
    """Whether nobody has loaded between the preflight and our taking the slot."""
    return known is not None and known.epoch == epoch and known.loaded_at is not None
