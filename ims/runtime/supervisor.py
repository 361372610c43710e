"""Several processes of ours run as one, for a machine without a container platform: started, restarted, stopped.

Nothing started here outlives :func:`supervise`. Only when the supervisor itself is killed by SIGKILL it cannot end
the others; in a container the end of its first process then does.
"""

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from structlog.typing import FilteringBoundLogger

from ims.runtime.lifecycle import Stop, stop_on_signals

WRONG_SETTINGS = 2
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_GRACE_SECONDS = 20.0


def supervise(
    commands: Mapping[str, Sequence[str]],
    stop: Stop,
    environment: Mapping[str, Mapping[str, str]],
    log: FilteringBoundLogger,
) -> int:
    """Run the commands until asked to stop, and start again whichever ends; call it from the main thread.

    Args:
        commands: the command line of each process, by its name.
        stop: ends all: SIGTERM to each, and SIGKILL to what still runs after 20 seconds or at a further signal.
        environment: what a process gets on top of our own environment, by its name.
        log: told of every start and end.

    Returns:
        0 when all ended as asked; 2 when one found its settings wrong, which no restart can mend; 1 when one had to
        be killed.

    Raises:
        OSError: a command cannot be started.
    """
    children = [_Child(name, command, environment.get(name, {})) for name, command in commands.items()]
    with _Endings() as endings:
        try:
            code = _run(children, stop, endings, log)
            return code if _end(children, endings, log) else code or 1
        finally:
            for child in children:
                child.kill()


class _Endings:
    """Waits for the end of any process."""

    def __init__(self) -> None:
        self._readable, self._writable = socket.socketpair()
        self._readable.setblocking(False)
        self._writable.setblocking(False)

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        threading.Thread(target=self._report, args=(process,), daemon=True).start()

    def _report(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        with contextlib.suppress(OSError):
            self._writable.send(b"\0")

    def wait(self, seconds: float, *stops: Stop) -> None:
        """Wait for an end or a stop, but at most so many seconds."""
        select.select([self._readable.fileno(), *(stop.fileno() for stop in stops)], [], [], max(seconds, 0))
        with contextlib.suppress(BlockingIOError):
            self._readable.recv(4096)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._readable.close()
        self._writable.close()


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0
    due: float = 0
    ends: int = 0

    def start(self, now: float) -> subprocess.Popen[bytes]:
        # A group of its own: Ctrl-C in a terminal must reach it once, through us, since a second signal kills it.
        self.process = subprocess.Popen(self.command, env={**os.environ, **self.environment}, process_group=0)
        self.started = now
        return self.process

    def ended(self, now: float) -> int | None:
        """The exit code, once, if it has ended by itself; decides when it is due again."""
        code = self.process.poll() if self.process else None
        if code is not None:
            self.process = None
            self.ends = 1 if now - self.started >= _STEADY_SECONDS else self.ends + 1
            self.due = now + pause_before_restart(self.ends)
        return code

    def terminate(self) -> None:
        if self.process:
            self.process.terminate()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None


def pause_before_restart(ends: int) -> float:
    """Seconds to wait before a process that ended so many times in a row is started again."""
    return min(2.0 ** min(ends - 1, 10), _LONGEST_PAUSE_SECONDS)


def _run(children: Sequence[_Child], stop: Stop, endings: _Endings, log: FilteringBoundLogger) -> int:
    """Keep all running until the stop (0) or until one says that its settings are wrong (2)."""
    while not stop:
        now = time.monotonic()
        for child in children:
            code = child.ended(now)
            if code is not None:
                log.error("process ended", name=child.name, code=code)
            if code == WRONG_SETTINGS:
                return WRONG_SETTINGS
            if child.process is None and child.due <= now:
                process = child.start(now)
                endings.watch(process)
                log.info("process started", name=child.name, pid=process.pid)
        pauses = [child.due - now for child in children if child.process is None]
        endings.wait(min(pauses, default=_STEADY_SECONDS), stop)
    return 0


def _end(children: Sequence[_Child], endings: _Endings, log: FilteringBoundLogger) -> bool:
    """Ask all to end, wait for it, and tell whether each did."""
    began = time.monotonic()
    # By default a further signal would end us at once and leave the others behind.
    with stop_on_signals() as further_signal:
        log.info("stopping", names=[child.name for child in children if child.runs()])
        for child in children:
            child.terminate()
        while (
            any(child.runs() for child in children)
            and not further_signal
            and (left := began + _GRACE_SECONDS - time.monotonic()) > 0
        ):
            endings.wait(left, further_signal)
        late = [child.name for child in children if child.runs()]
    if late:
        log.error("processes killed", names=late, after_seconds=round(time.monotonic() - began, 1))
    return not late
