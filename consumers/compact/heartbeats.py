"""The source's time by its heartbeats, as they arrive in the state database.

They say what time it is only if they arrive at the pace at which time passes: while changes are caught up with, an hour
of the source passes in a moment.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

_SILENT_AFTER: Final = timedelta(minutes=5)
"""A heartbeat that was seen longer ago says nothing about the time now."""
_LEAST_STEP: Final = timedelta(seconds=0.5)
"""Heartbeats closer together than this are not measured: what delays them is as long."""


class _Beat(msgspec.Struct, frozen=True):
    """A heartbeat of a partition: the source's time in it, and when it was seen, by two clocks.

    Attributes:
        paced: since the one before, as much time had passed in the source as here.
    """

    beat_at: datetime
    running: timedelta
    database: datetime
    paced: bool = False

    def since(self, running: timedelta, database: datetime) -> timedelta:
        """Return the time since it was seen: the lesser by the two clocks, since one of them may have leapt."""
        return max(timedelta(), min(running - self.running, database - self.database))


class Heartbeats:
    """The last heartbeats of every partition, by topic and number."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], _Beat] = {}

    def time(
        self, beats: Mapping[tuple[str, int], datetime], running: timedelta, database: datetime
    ) -> datetime | None:
        """Return the source's time now, by the partition that is least behind; ``None`` if none is paced.

        Args:
            beats: when the last heartbeat that was applied from each partition was written.
            running: by a clock that cannot be set.
            database: by the state database's clock.
        """
        times = []
        for partition, beat_at in beats.items():
            last = self._last.get(partition)
            if last is None or beat_at != last.beat_at:
                paced = last is not None and _is_paced(last, beat_at, last.since(running, database))
                last = self._last[partition] = _Beat(beat_at, running, database, paced)
            since = last.since(running, database)
            if last.paced and since < _SILENT_AFTER:
                times.append(last.beat_at + since)
        return max(times, default=None)


def _is_paced(last: _Beat, beat_at: datetime, passed: timedelta) -> bool:
    return passed >= _LEAST_STEP and passed / 2 <= beat_at - last.beat_at <= passed * 2
