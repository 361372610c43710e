"""The supervisor with real processes: starts, restarts, and how all of them end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from ims.runtime import supervisor
from ims.runtime.lifecycle import Stop
from ims.runtime.supervisor import pause_before_restart, supervise
from tests.support.waiting import until

log = structlog.get_logger()

# Each child appends a line to the file that it gets as argument, and then does what its name says.
_WRITES = "import os, signal, sys, time\ndef write(text):\n    open(sys.argv[1], 'a').write(text + '\\n')\n"
STAYS = _WRITES + "write(os.environ.get('PORT', 'up')); time.sleep(600)"
ENDS = _WRITES + "write('up'); sys.exit(1)"
HAS_WRONG_SETTINGS = _WRITES + "write('up'); sys.exit(2)"
IGNORES_SIGTERM = _WRITES + "signal.signal(signal.SIGTERM, signal.SIG_IGN); write(str(os.getpid())); time.sleep(600)"
WRITES_ITS_SIGNAL = _WRITES + (
    "def handle(number, frame):\n    write(signal.Signals(number).name); sys.exit()\n"
    "signal.signal(signal.SIGTERM, handle); signal.signal(signal.SIGINT, handle); write('up'); time.sleep(600)"
)

# A shell that runs the tests in the background may have SIGINT ignored, and children inherit that.
_SUPERVISOR = """
import signal, sys
from ims.runtime import lifecycle, logs, supervisor
signal.signal(signal.SIGINT, signal.default_int_handler)
logs.configure("run", "info")
with lifecycle.stop_on_signals() as stop:
    sys.exit(supervisor.supervise({"one": sys.argv[1:]}, stop, {}, logs.get_logger("run")))
"""


def _child(program: str, output: Path) -> list[str]:
    return [sys.executable, "-c", program, str(output)]


def _lines(output: Path) -> list[str]:
    return output.read_text().splitlines() if output.exists() else []


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _run(
    commands: Mapping[str, Sequence[str]],
    when: Callable[[], object],
    on_refusal: Callable[[str], None] = lambda _name: None,
    **environment: dict[str, str],
) -> int:
    """Supervise until something has happened, and return the exit code."""
    stop = Stop()

    def ask() -> None:
        try:
            until(when, what="the children have done their part")
        finally:
            stop.set()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        return supervise(commands, stop, environment, log, on_refusal)
    finally:
        asking.join()


@pytest.fixture
def pids() -> Iterator[Callable[[], list[int]]]:
    """Yield a function that returns the processes started so far; none of them outlives the test."""
    with capture_logs() as lines:
        yield lambda: [line["pid"] for line in lines if line["event"] == "process started"]
    for line in lines:
        if line["event"] == "process started" and _is_running(line["pid"]):
            os.kill(line["pid"], signal.SIGKILL)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def test_each_process_runs_with_its_environment_until_the_stop(tmp_path: Path, pids: Callable[[], list[int]]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    code = _run(
        {"one": _child(STAYS, one), "two": _child(STAYS, two)},
        lambda: _lines(one) and _lines(two),
        one={"PORT": "9464"},
        two={"PORT": "9465"},
    )
    assert code == 0
    assert (_lines(one), _lines(two)) == (["9464"], ["9465"])
    assert len(pids()) == 2
    assert not any(_is_running(pid) for pid in pids())


def test_a_process_that_ends_is_started_again(output: Path, pids: Callable[[], list[int]]) -> None:
    assert _run({"one": _child(ENDS, output)}, lambda: len(_lines(output)) == 2) == 0
    assert len(pids()) >= 2


def test_the_others_go_on_without_a_process_that_refuses(tmp_path: Path, pids: Callable[[], list[int]]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    commands = {"one": _child(HAS_WRONG_SETTINGS, one), "two": _child(ENDS, two)}
    refused: list[str] = []
    # The other one is restarted after the first has refused: both are still looked after.
    assert _run(commands, lambda: refused and len(_lines(two)) >= 2, refused.append) == 2
    assert (_lines(one), refused) == (["up"], ["one"])
    assert not any(_is_running(pid) for pid in pids())


def test_it_ends_when_all_processes_refuse(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    commands = {"one": _child(HAS_WRONG_SETTINGS, one), "two": _child(HAS_WRONG_SETTINGS, two)}
    stop = Stop()
    assert supervise(commands, stop, {}, log) == 2
    assert (_lines(one), _lines(two)) == (["up"], ["up"])


def test_a_process_that_ignores_sigterm_is_killed(
    output: Path, pids: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_GRACE_SECONDS", 0.1)
    assert _run({"one": _child(IGNORES_SIGTERM, output)}, lambda: _lines(output)) == 1
    assert not any(_is_running(pid) for pid in pids())


def test_a_command_that_cannot_start_leaves_no_process(
    output: Path, tmp_path: Path, pids: Callable[[], list[int]]
) -> None:
    with pytest.raises(FileNotFoundError):
        supervise({"one": _child(STAYS, output), "two": [str(tmp_path / "missing")]}, Stop(), {}, log)
    (pid,) = pids()
    assert not _is_running(pid)


@pytest.fixture
def started(output: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a supervisor as a process of its own, in a group as in a terminal, once its child is up."""
    command = [sys.executable, "-c", _SUPERVISOR, *_child(request.param, output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, process_group=0) as process:
        try:
            until(lambda: _lines(output), what="the child is up")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("started", [WRITES_ITS_SIGNAL], indirect=True)
def test_ctrl_c_reaches_a_process_only_through_the_supervisor(started: subprocess.Popen[bytes], output: Path) -> None:
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(timeout=30) == 0
    assert _lines(output) == ["up", "SIGTERM"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("started", [IGNORES_SIGTERM], indirect=True)
def test_a_second_signal_kills_processes_that_ignore_the_first(
    started: subprocess.Popen[bytes], output: Path, second: signal.Signals
) -> None:
    child = int(_lines(output)[0])
    try:
        started.send_signal(signal.SIGTERM)
        assert started.stderr
        assert any(b'"stopping"' in line for line in started.stderr)
        started.send_signal(second)
        assert started.wait(timeout=10) == 1
        assert not _is_running(child)
    finally:
        if _is_running(child):
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(("ends", "pause"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30), (100_000, 30)])
def test_the_pause_before_a_restart_doubles_to_thirty_seconds(ends: int, pause: float) -> None:
    assert pause_before_restart(ends) == pause


def test_a_minute_of_running_resets_the_pause() -> None:
    child = supervisor._Child("one", [sys.executable, "-c", "raise SystemExit(1)"], {})
    dues = []
    for started, ended in [(0, 1), (10, 11), (20, 21), (100, 160)]:
        child.start(started).wait()
        assert child.ended(ended) == 1
        dues.append(child.due - ended)
    assert dues == [1, 2, 4, 1]
