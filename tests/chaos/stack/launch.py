"""`python -m tests.chaos.stack.launch COMMAND ...`: a real command of imsfeed on a machine with a fault.

Its environment names the fault:

* ``PAUSE_AT``: a failpoint at which the process stops itself as by SIGSTOP, until the test sends SIGCONT; ``FAILPOINT``
  is armed again after that.
* ``CLOCK_FILE``: a file with the seconds by which this machine's clock is wrong; it may change at any time.
* ``PLANTED``: names of conditions and bugs, separated by commas (:mod:`tests.chaos.planted_bugs.bugs`).
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
from tests.chaos.planted_bugs.bugs import plant


def set_clock(file: Path) -> None:
    """Make this process's clock wrong by the seconds in *file*, which is read whenever the clock is."""
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
    # The only module of the processes that asks datetime for the time.
    assert "datetime" in vars(compact)
    vars(compact)["datetime"] = Clock


def pause_at(wanted: str) -> None:
    """Stop this process at a failpoint until it gets SIGCONT."""

    def pause() -> None:
        failpoints.end = end
        # To this thread: a signal to the process may go to another thread, and this one would go on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        failpoints.arm(os.environ.get(failpoints.VARIABLE))

    end, failpoints.end = failpoints.end, pause
    # The command line arms the failpoint in FAILPOINT; until the pause it is the one to pause at.
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
