"""`python -m tests.chaos.launch COMMAND ...`: a real command of imsfeed on a machine on which something is wrong.

Its environment says what:

* ``PAUSE_AT``: a crash point at which the process stops itself as by SIGSTOP, until somebody sends SIGCONT; after that
  ``FAILPOINT`` counts anew.
* ``CLOCK_FILE``: a file with so many seconds that this machine's clock is wrong by; it may change at any time.
* ``PLANTED``: names of conditions and bugs, separated by commas (:mod:`tests.chaos.planted`).
"""

import os
import signal
import threading
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from consumers.compact import process as compact
from deploy import cli
from ims.runtime import failpoints
from tests.chaos.planted import plant


def set_clock(file: Path) -> None:
    """Let this process's clock be wrong by the seconds that *file* says, which is read at every look at the clock."""
    right = time.time

    def error() -> float:
        try:
            return float(file.read_text())
        except (FileNotFoundError, ValueError):  # it is being written
            return 0.0

    class Clock:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime.now(zone) + timedelta(seconds=error())

    time.time = lambda: right() + error()
    # The one module of the processes that asks a datetime for the time.
    assert "datetime" in vars(compact)
    vars(compact)["datetime"] = Clock


def pause_at(wanted: str) -> None:
    """Stop this process at a crash point until somebody wakes it."""

    def pause() -> None:
        failpoints.end = end
        # To this thread: a signal to the process may go to another one, and this one would go on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        failpoints.arm(os.environ.get(failpoints.VARIABLE))

    end, failpoints.end = failpoints.end, pause
    # The command line arms what FAILPOINT says; until the pause it is this.
    os.environ[failpoints.VARIABLE], after = wanted, os.environ.get(failpoints.VARIABLE, "")
    arm = failpoints.arm

    def arm_once(wanted: str | None) -> None:
        arm(wanted)
        os.environ[failpoints.VARIABLE] = after
        failpoints.arm = arm

    failpoints.arm = arm_once


if __name__ == "__main__":
    if "CLOCK_FILE" in os.environ:
        set_clock(Path(os.environ["CLOCK_FILE"]))
    if "PAUSE_AT" in os.environ:
        pause_at(os.environ["PAUSE_AT"])
    plant(os.environ.get("PLANTED", ""))
    cli.main()
