"""One replication stream: changes from the walsender to Kafka, and Kafka's acknowledgements back to the slot."""

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
"""Longest wait while Kafka has messages to acknowledge: an acknowledgement does not end the wait."""
_IDLE_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 10.0
"""How long a stop waits for Kafka's acknowledgements, and as long again for the shutdown handshake with PostgreSQL."""


class Stream:
    """The body of capture's loop.

    Args:
        walsender: the replication connection, streaming.
        sender: sends to Kafka, and knows what it has acknowledged.
        changes: turns the stream's bytes into messages.
        inflight_limit: messages that may be unacknowledged before reading pauses.
        metrics: updated with every report.
        confirmation: how far the slot may be confirmed.
    """

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
        """Read what has arrived, send it, and report; wait if there was little to do.

        Nothing is read while too much is unacknowledged: the source then keeps the changes, in its log, instead of
        capture's memory. Reports go on meanwhile, or the source would close the connection (``wal_sender_timeout``).
        """
        full = self._sender.inflight >= self._inflight_limit
        count, asked = (0, False) if full else self._read()
        self.report(asked=asked)
        if full:
            self._walsender.wait(_BUSY_SECONDS, for_data=False)
        elif count < _READ_LIMIT:
            self._walsender.wait(_BUSY_SECONDS if self._sender.inflight else _IDLE_SECONDS)

    def report(self, *, asked: bool = False) -> None:
        """Report to PostgreSQL how far Kafka has everything, if *asked* by the server or if a report is due."""
        lsn = self._confirmation.confirmable(self._sender.acknowledged() or 0)
        self._update_metrics()
        now = time.monotonic()
        if asked or now - self._reported >= _STATUS_SECONDS:
            failpoint("capture.before_confirm")
            self._walsender.confirm(lsn, time.time())
            failpoint("capture.confirmed")
            self._reported = now

    @property
    def is_loading(self) -> bool:
        """True while a resync waits for the stream to reach its snapshot."""
        return self._load is not None

    def load_when_reached(self, load: OwnerLoad) -> None:
        """Send the owner's rows when the stream reaches their snapshot, between the commits before and after it.

        The load is closed when it has been sent, or with the stream.
        """
        self._load = load

    def close(self) -> None:
        """Close a load that the stream has not reached."""
        if self._load is not None:
            self._load.close()

    def finish(self) -> None:
        """Wait for Kafka, confirm what it has acknowledged, and end the stream with the shutdown handshake."""
        try:
            self._sender.flush(_STOP_SECONDS)
        except KafkaError as error:
            log.warning("not everything was acknowledged before the stop", error=error)
        lsn = self._confirmation.confirmable(self._sender.acknowledged() or 0)
        self._walsender.confirm(lsn, time.time())
        shutdown_handshake = self._walsender.end(_STOP_SECONDS)
        log.info("stream ended", lsn=lsn_text(lsn), shutdown_handshake=shutdown_handshake)

    def _read(self) -> tuple[int, bool]:
        """Send what has arrived; return how many messages there were, and whether PostgreSQL asks for a report."""
        count, asked = 0, False
        try:
            for message in self._walsender.read(_READ_LIMIT):
                count += 1
                if isinstance(message, Data):
                    self._caught_up = False
                    self._decode(message)
                    continue
                asked = asked or message.reply_requested
                # A keepalive between transactions means that every commit before wal_end has been read. Inside a
                # transaction it does not: the walsender's position may already be beyond this transaction's commit.
                if not self._changes.in_transaction:
                    self._caught_up = True
                    self._send_load_if_reached(message.wal_end)
                    # An idle source is confirmed too, or its slot would keep the log of unpublished tables for ever.
                    self._unsent.append(message.wal_end)
        finally:
            self._send()  # also what came before an error
        return count, asked

    def _decode(self, data: Data) -> None:
        """Turn what has arrived into events; those of one turn are sent together, so that they fill Kafka's batches."""
        self._unsent += self._changes.feed(data.lsn, data.payload)
        if self._load is not None:
            # After a Begin message, and before the first change of its transaction.
            self._send_load_if_reached(self._changes.commit_lsn or 0)

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

    def _send_load_if_reached(self, lsn: int) -> None:
        """Send the owner's rows if *lsn* has reached their snapshot.

        Args:
            lsn: every commit record that begins before it has been read, and none that begins at it or later.
        """
        load = self._load
        if load is not None and lsn >= load.point:
            self._send()
            with contextlib.closing(load):
                load.send(self._sender, self._metrics)
            self._load = None

    def _update_metrics(self) -> None:
        now, sender = time.time(), self._sender
        self._metrics.alive(now)
        self._metrics.publish_inflight_messages.set(sender.inflight)
        since = sender.oldest_committed_ms()
        if since is None and not self._caught_up:
            since = sender.committed_ms
        self._metrics.source_lag_seconds.set(0 if since is None else max(0, now - since / 1000))
