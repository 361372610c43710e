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

from ims.runtime.crash_points import crash_point
from ims.runtime.kafka_connection import KafkaUnreachableError
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.retries import patiently
from ims.runtime.settings import Settings
from producers import catalog, preflight, publisher, sessions, source_schema
from producers.catalog import Loaded
from producers.change_events import ChangeStream
from producers.confirmation import Confirmation
from producers.heartbeat import Heartbeat
from producers.initial_load import InitialLoad
from producers.ordered_events import Origin
from producers.owner_load import OwnerLoad, RequestDoneError, SnapshotLateError
from producers.pgoutput import Commit
from producers.preflight import Checked
from producers.publisher import Publisher
from producers.replication import Data, Keepalive, StoppedError, Walsender, lsn_text

log = get_logger(__name__)

_READ_LIMIT: Final = 1_000
"""Messages read in one turn of the loop."""
_STATUS_SECONDS: Final = 1.0
"""Time between two reports to PostgreSQL; far below its ``wal_sender_timeout`` (60 s)."""
_BUSY_SECONDS: Final = 0.02
"""Longest wait while Kafka has something to acknowledge, which nothing else would tell us."""
_IDLE_SECONDS: Final = 1.0
_SETTLED_SECONDS: Final = 30.0
"""Time of streaming after which an error is no longer part of the outage before it."""
_STOP_SECONDS: Final = 10.0
"""How long a stop waits for Kafka's acknowledgements, and again for PostgreSQL's farewell."""


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
                for attempt in patiently(is_transient, stop=stop, on_retry=capture.failed):
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
        with contextlib.closing(_Stream(walsender, sender, changes, limit, self._metrics, confirmation)) as stream:
            log.info("streaming", slot=settings.source_slot, epoch=epoch)
            self._ready(True)
            self._settled_at = time.monotonic() + _SETTLED_SECONDS
            while not self._stop and not self._heartbeat.reload_wanted.is_set():
                stream.turn()
                self._heed_heartbeat(checked, stream)
            self._ready(False)
            stream.finish()

    def _heed_heartbeat(self, checked: Checked, stream: "_Stream") -> None:
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


class _Stream:
    """The loop's body: from the walsender to Kafka, and the acknowledgements back."""

    def __init__(
        self,
        walsender: Walsender,
        sender: Publisher,
        changes: ChangeStream,
        inflight_limit: int,
        metrics: CaptureMetrics,
        confirmation: Confirmation,
    ) -> None:
        self._walsender = walsender
        self._sender = sender
        self._changes = changes
        self._inflight_limit = inflight_limit
        self._metrics = metrics
        self._confirmation = confirmation
        self._load: OwnerLoad | None = None
        self._reported = float("-inf")
        self._caught_up = False

    def turn(self) -> None:
        """Read what is there, send it, report; wait when there was little to do."""
        full = self._sender.inflight >= self._inflight_limit
        count, asked = (0, False) if full else self._read()
        self.report(asked=asked)
        if full:
            self._walsender.wait(_BUSY_SECONDS, for_data=False)
        elif count < _READ_LIMIT:
            self._walsender.wait(_BUSY_SECONDS if self._sender.inflight else _IDLE_SECONDS)

    def report(self, *, asked: bool = False) -> None:
        """Tell PostgreSQL how far Kafka has everything, if it asks or the time has come."""
        lsn = self._confirmation.limited(self._sender.acknowledged() or 0)
        self._tell_metrics()
        now = time.monotonic()
        if asked or now - self._reported >= _STATUS_SECONDS:
            crash_point("capture.before_confirm")
            self._walsender.confirm(lsn, time.time())
            crash_point("capture.confirmed")
            self._reported = now

    @property
    def is_loading(self) -> bool:
        """Whether the rows of an owner wait to be sent."""
        return self._load is not None

    def load_when_reached(self, load: OwnerLoad) -> None:
        """Send the owner's rows between the commits before and after their snapshot; closed with this."""
        self._load = load

    def close(self) -> None:
        """Close what has not been sent of an owner's rows."""
        if self._load is not None:
            self._load.close()

    def finish(self) -> None:
        """Wait for Kafka, confirm what it has, and say farewell to PostgreSQL."""
        try:
            self._sender.flush(_STOP_SECONDS)
        except KafkaError as error:
            log.warning("not everything was acknowledged before the stop", error=error)
        lsn = self._confirmation.limited(self._sender.acknowledged() or 0)
        self._walsender.confirm(lsn, time.time())
        farewell = self._walsender.end(_STOP_SECONDS)
        log.info("stream ended", lsn=lsn_text(lsn), farewell=farewell)

    def _read(self) -> tuple[int, bool]:
        """Send what has arrived; tells how many messages that were, and whether PostgreSQL asks for a report."""
        count, asked = 0, False
        for message in self._walsender.read(_READ_LIMIT):
            count += 1
            match message:
                case Data(lsn, payload):
                    self._caught_up = False
                    self._send(lsn, payload)
                case Keepalive(wal_end, reply_requested):
                    asked = asked or reply_requested
                    # All commits before wal_end have been read. In the middle of a transaction it says less than that.
                    if not self._changes.in_transaction:
                        self._caught_up = True
                        self._reached(wal_end)
                        self._sender.commit_point(wal_end)
        return count, asked

    def _send(self, lsn: int, payload: bytes) -> None:
        for item in self._changes.feed(lsn, payload):
            if isinstance(item, Commit):
                self._sender.commit_point(item.end_lsn)
            else:
                crash_point("capture.before_send")
                self._sender.send(item)
                crash_point("capture.sent")
        # After a Begin, and before any of its changes.
        self._reached(self._changes.commit_lsn or 0)

    def _reached(self, lsn: int) -> None:
        """All commits that begin before *lsn* have been sent, and none that begins at it or later."""
        load = self._load
        if load is not None and lsn >= load.point:
            with contextlib.closing(load):
                load.send(self._sender, self._metrics)
            self._load = None

    def _tell_metrics(self) -> None:
        now, sender = time.time(), self._sender
        self._metrics.alive(now)
        self._metrics.publish_inflight_messages.set(sender.inflight)
        since = sender.oldest_committed_ms()
        if since is None and not self._caught_up:
            since = sender.committed_ms
        self._metrics.source_lag_seconds.set(0 if since is None else max(0, now - since / 1000))
