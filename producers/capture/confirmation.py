"""Up to where the slot may be confirmed: what Kafka has acknowledged, once the source's own table says so too.

The slot itself cannot tell whether it was made anew or advanced by hand: it looks like one that was read. But capture
writes down how far it will confirm it before it does; a slot that is further than that has skipped changes.
"""

import threading

from producers.source.catalog import Connection
from producers.source.replication import lsn_text


class Confirmation:
    """Shared by the stream, which says what it would confirm, and the heartbeat, which writes it down.

    Args:
        slot: the slot's name.
    """

    def __init__(self, slot: str) -> None:
        self._slot = slot
        self._lock = threading.Lock()
        self._epoch = -1
        self._wanted = self._stored = 0

    def begin(self, epoch: int, stored: int) -> None:
        """A stream begins, in that epoch and with that position in ``imsfeed.capture``."""
        with self._lock:
            self._epoch = epoch
            self._wanted = self._stored = stored

    def limited(self, lsn: int) -> int:
        """Ask for *lsn* to be written down, and tell how much of it may be confirmed already."""
        with self._lock:
            self._wanted = max(self._wanted, lsn)
            return min(self._stored, lsn)

    def store(self, connection: Connection) -> None:
        """Write down what was asked for, unless another load has begun; *connection* is in autocommit mode."""
        with self._lock:
            epoch, wanted = self._epoch, self._wanted
            if wanted <= self._stored:
                return
        stored = connection.execute(
            "update imsfeed.capture set confirmable_lsn = greatest(confirmable_lsn, %s::text::pg_lsn)"
            " where slot_name = %s and epoch = %s and loaded_at is not null",
            [lsn_text(wanted), self._slot, epoch],
        )
        with self._lock:
            if stored.rowcount == 1 and self._epoch == epoch:
                self._stored = wanted
