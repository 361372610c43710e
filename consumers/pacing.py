"""When compact looks again, unless a notification wakes it first."""

import select
from collections.abc import Iterable
from typing import Final

from consumers.sessions import Connection
from consumers.targets_table import TargetRow
from ims.runtime.lifecycle import Stop

IDLE_SECONDS: Final = 1.0
"""Longest wait: scheduled hours and midnights come without a notification."""
AT_ONCE: Final = 0.005
SOON: Final = 0.02
"""After another process had the target just then: what it does for a delta or a manifest takes about as long."""


class Pace:
    """What a step has found out about when the next one is due.

    Args:
        settle_seconds: how long a change rests before it is told.
    """

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._within = IDLE_SECONDS

    def within(self, seconds: float) -> None:
        """The next step is due in so many seconds at the latest."""
        self._within = min(self._within, seconds)

    def pause(self, targets: Iterable[TargetRow]) -> float:
        """Seconds until the next step, with the targets as they were read in this one; begins the next."""
        within, self._within = self._within, IDLE_SECONDS
        settle = self._settle_seconds
        rests = [
            settle - t.resting for t in targets if t.resting is not None and t.resting < settle and t.state == "ok"
        ]
        return max(AT_ONCE, min([*rests, within]))


def await_news(connection: Connection, stop: Stop, seconds: float) -> None:
    """Wait for a notification, for *stop*, or for *seconds*."""
    readable, _, _ = select.select([connection.fileno(), stop.fileno()], [], [], seconds)
    if connection.fileno() in readable:
        for _ in connection.notifies(timeout=0):
            pass
