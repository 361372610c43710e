"""Starts a program beside this process, and stops it again."""

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ims.errors import ImsfeedError

GRACE_SECONDS = 10


class LocalStackError(ImsfeedError):
    """A program of the local stack did not start or has ended; the text ends with its last lines."""


@contextmanager
def running_process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block is left, also by an exception.

    The program has a session of its own: Ctrl-C reaches only this process, which stops the program once its users are
    done. On Linux the program also ends when this process is killed. It then ends with the thread that started it, so
    call this from the main thread.

    Args:
        command: the program and its arguments.
        log: the file to which its output is appended.
        environment: its whole environment; this process's own if ``None``.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_ended_with_us(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    try:
        yield process
    finally:
        _stop(process)


def _ended_with_us() -> list[str]:
    setpriv = shutil.which("setpriv")  # from util-linux; without it, a killed parent leaves its programs running
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    finally:
        process.kill()  # does nothing to a process that has ended
        process.wait()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which no program listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def last_lines(log: Path, count: int = 20) -> str:
    """Return the last lines of a program's output, for an error text."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
