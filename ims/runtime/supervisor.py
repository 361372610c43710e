"""Runs several processes of ours as one, for a machine without a container platform: starts, restarts and stops them.

No process started here outlives :func:`supervise`, with one exception: a supervisor that is itself killed by SIGKILL
cannot end the others. In a container they then end with it, because it is the container's first process.
"""

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
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
    on_refusal: Callable[[str], None] = lambda _name: None,
) -> int:
    """Run the commands until asked to stop, and restart each that ends; call it from the main thread.

    A process that refuses to run, with exit code 2, is not started again, because no restart can fix its settings. The
    others go on without it: compact carries out orders to leave, whatever keeps capture from running.

    Args:
        commands: the command line of each process, by its name.
        stop: ends all: SIGTERM to each, and SIGKILL to those still running after 20 seconds or at another signal.
        environment: what a process gets in addition to our own environment, by its name.
        log: gets a line for every start and end.
        on_refusal: called with the name of a process that refuses to run.

    Returns:
        0 if all ended as asked; 2 if one refused to run; 1 if one had to be killed. If all refuse, it returns at once.

    Raises:
        OSError: a command cannot be started.
    """
    children = [_Child(name, command, environment.get(name, {})) for name, command in commands.items()]
    with _Endings() as endings:
        try:
            code = _run(children, stop, endings, log, on_refusal)
            return code if _end(children, endings, log) else code or 1
        finally:
            for child in children:
                child.kill()


class _Endings:
    """Waits for the end of any process, or a stop, in one call.

    A thread for each process waits for its end and writes a byte to a socket, which ``select`` can wait for together
    with the stop. SIGCHLD would need a handler, which only one part of a process can have.
    """

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
        """Wait for the end of a process or a stop, but at most so many seconds."""
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
    refused: bool = False

    def start(self, now: float) -> subprocess.Popen[bytes]:
        # A process group of its own: a terminal sends Ctrl-C to the whole group, and the child would get SIGINT and
        # then our SIGTERM. It must get one signal, from us, because a second one kills it.
        self.process = subprocess.Popen(self.command, env={**os.environ, **self.environment}, process_group=0)
        self.started = now
        return self.process

    def ended(self, now: float) -> int | None:
        """Return the exit code, once, if the process has ended, and set when it is due again; else ``None``."""
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
    """Return the seconds to wait before a process that ended so many times in a row is started again."""
    return min(2.0 ** min(ends - 1, 10), _LONGEST_PAUSE_SECONDS)


def _run(
    children: Sequence[_Child],
    stop: Stop,
    endings: _Endings,
    log: FilteringBoundLogger,
    on_refusal: Callable[[str], None],
) -> int:
    """Keep all running that do not refuse, until asked to stop or until none is left; return 2 if any has refused."""
    while not (stop or all(child.refused for child in children)):
        now = time.monotonic()
        for child in children:
            code = child.ended(now)
            if code is not None:
                log.error("process ended", name=child.name, code=code)
            if code == WRONG_SETTINGS:
                child.refused = True
                log.error("process refuses to run", name=child.name, others=[c.name for c in children if not c.refused])
                on_refusal(child.name)
            if child.process is None and child.due <= now and not child.refused:
                process = child.start(now)
                endings.watch(process)
                log.info("process started", name=child.name, pid=process.pid)
        pauses = [child.due - now for child in children if child.process is None and not child.refused]
        if not all(child.refused for child in children):
            endings.wait(min(pauses, default=_STEADY_SECONDS), stop)
    return WRONG_SETTINGS if any(child.refused for child in children) else 0


def _end(children: Sequence[_Child], endings: _Endings, log: FilteringBoundLogger) -> bool:
    """Ask all processes to end and wait for them; return True if each did in time."""
    began = time.monotonic()
    # The first signal has restored the default handlers: without these another one would end us immediately and leave
    # the other processes running. Here it only ends the wait, and what still runs is killed by our caller.
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
