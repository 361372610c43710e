"""A program started beside this process and stopped with it."""

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ims.errors import ImsfeedError

GRACE_SECONDS = 10


class LocalStackError(ImsfeedError):
    """A program of the local stack did not start; the text ends with what it said last."""


@contextmanager
def running_process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block is left, however it is left.

    It has a session of its own, so that Ctrl-C reaches only us and we stop it when those who use it are done. Where the
    system can do so, it is also ended when this process is killed outright; therefore call it in the main thread.

    Args:
        command: the program and its arguments.
        log: the file its output is added to.
        environment: its whole environment, or ``None`` for ours.
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
    setpriv = shutil.which("setpriv")  # of util-linux; elsewhere a killed parent leaves its programs behind
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
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def last_lines(log: Path, count: int = 20) -> str:
    """The end of a program's output, for an error text."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
