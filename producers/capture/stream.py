"""The stream of capture: from the walsender to Kafka, and the acknowledgements back, one turn at a time."""

import contextlib
import time
from typing import Final

from kafka.errors import KafkaError

from ims.runtime.failpoints import failpoint
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from producers.capture.confirmation import Confirmation
from producers.events.change_events import ChangeStream
from producers.events.ordered_events import KafkaMessage
from producers.events.publisher import Publisher
from producers.loads.owner_resync import OwnerLoad
from producers.source.pgoutput import Commit
from producers.source.replication import Data, Walsender, lsn_text

log = get_logger(__name__)

_READ_LIMIT: Final = 1_000
"""Messages read in one turn of the loop."""
_STATUS_SECONDS: Final = 1.0
"""Time between two reports to PostgreSQL; far below its ``wal_sender_timeout`` (60 s)."""
_BUSY_SECONDS: Final = 0.02
"""Longest wait while Kafka has something to acknowledge, which nothing else would tell us."""
_IDLE_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 10.0
"""How long a stop waits for Kafka's acknowledgements, and again for PostgreSQL's farewell."""


class Stream:
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
        self._unsent: list[KafkaMessage | Commit | int] = []
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
            failpoint("capture.before_confirm")
            self._walsender.confirm(lsn, time.time())
            failpoint("capture.confirmed")
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
        shutdown_handshake = self._walsender.end(_STOP_SECONDS)
        log.info("stream ended", lsn=lsn_text(lsn), shutdown_handshake=shutdown_handshake)

    def _read(self) -> tuple[int, bool]:
        """Send what has arrived; tells how many messages that were, and whether PostgreSQL asks for a report."""
        count, asked = 0, False
        try:
            for message in self._walsender.read(_READ_LIMIT):
                count += 1
                if isinstance(message, Data):
                    self._caught_up = False
                    self._take(message)
                    continue
                asked = asked or message.reply_requested
                # All commits before wal_end have been read. In the middle of a transaction it says less than that.
                if not self._changes.in_transaction:
                    self._caught_up = True
                    self._reached(message.wal_end)
                    self._unsent.append(message.wal_end)
        finally:
            self._send()  # also what came before an error
        return count, asked

    def _take(self, data: Data) -> None:
        """Make events of what has arrived; those of a turn are sent together, so that they fill Kafka's batches."""
        self._unsent += self._changes.feed(data.lsn, data.payload)
        if self._load is not None:
            # After a Begin, and before any of its changes.
            self._reached(self._changes.commit_lsn or 0)

    def _send(self) -> None:
        sender, unsent = self._sender, self._unsent
        self._unsent = []
        for item in unsent:
            if isinstance(item, KafkaMessage):
                failpoint("capture.before_send")
                sender.send(item)
                failpoint("capture.sent")
            else:
                sender.commit_point(item.end_lsn if isinstance(item, Commit) else item)

    def _reached(self, lsn: int) -> None:
        """All commits that begin before *lsn* have been read, and none that begins at it or later."""
        load = self._load
        if load is not None and lsn >= load.point:
            self._send()
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
