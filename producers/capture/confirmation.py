"""How far the slot may be confirmed: up to what Kafka has acknowledged, once that position is stored in the source.

The slot itself does not show that it was dropped and recreated, or advanced by hand: it looks as if it had been read.
Capture therefore stores a position in ``imsfeed.capture`` before it confirms that position to the slot. A slot that is
ahead of the stored position was moved by something else, and the changes between the two are lost: the preflight
refuses it.
"""

import threading

from producers.source.catalog import Connection
from producers.source.replication import lsn_text


class Confirmation:
    """The position that may be confirmed; the stream asks for it, and the heartbeat's session stores it.

    Two threads use it, hence the lock. The stream never waits for the heartbeat: it confirms what is already stored,
    and the rest with a later report.

    Args:
        slot: the slot's name.
    """

    def __init__(self, slot: str) -> None:
        self._slot = slot
        self._lock = threading.Lock()
        self._epoch = -1
        self._wanted = self._stored = 0

    def begin(self, epoch: int, stored: int) -> None:
        """Start over for a new stream.

        Args:
            epoch: the load's epoch.
            stored: the position that ``imsfeed.capture`` has for the slot, as an LSN.
        """
        with self._lock:
            self._epoch = epoch
            self._wanted = self._stored = stored

    def confirmable(self, lsn: int) -> int:
        """Ask for *lsn* to be stored, and return how far the slot may be confirmed now: never beyond what is stored."""
        with self._lock:
            self._wanted = max(self._wanted, lsn)
            return min(self._stored, lsn)

    def store(self, connection: Connection) -> None:
        """Store the position that was asked for, unless another load has begun since.

        Args:
            connection: to the source, in autocommit mode: what is stored must be committed when this returns.
        """
        with self._lock:
            epoch, wanted = self._epoch, self._wanted
            if wanted <= self._stored:
                return
        # Outside the lock, so that the stream goes on while the source answers.
        stored = connection.execute(
            "update imsfeed.capture set confirmable_lsn = greatest(confirmable_lsn, %s::text::pg_lsn)"
            " where slot_name = %s and epoch = %s and loaded_at is not null",
            [lsn_text(wanted), self._slot, epoch],
        )
        with self._lock:
            # The epoch may have changed meanwhile: then the position belongs to a stream that has ended.
            if stored.rowcount == 1 and self._epoch == epoch:
                self._stored = wanted
