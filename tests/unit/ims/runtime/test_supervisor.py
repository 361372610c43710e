import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from ims.runtime import supervisor
from ims.runtime.lifecycle import Stop
from ims.runtime.supervisor import pause_before_restart, supervise
from tests.support.waiting import until

log = structlog.get_logger()

# Each child appends a line to the file it is given, and then does what its name says.
_SAYS = "import os, signal, sys, time\ndef say(text):\n    open(sys.argv[1], 'a').write(text + '\\n')\n"
STAYS = _SAYS + "say(os.environ.get('PORT', 'up')); time.sleep(600)"
ENDS = _SAYS + "say('up'); sys.exit(1)"
HAS_WRONG_SETTINGS = _SAYS + "say('up'); sys.exit(2)"
DOES_NOT_LISTEN = _SAYS + "signal.signal(signal.SIGTERM, signal.SIG_IGN); say(str(os.getpid())); time.sleep(600)"
TELLS_ITS_SIGNAL = _SAYS + (
    "def told(number, frame):\n    say(signal.Signals(number).name); sys.exit()\n"
    "signal.signal(signal.SIGTERM, told); signal.signal(signal.SIGINT, told); say('up'); time.sleep(600)"
)

# What runs the tests in the background may have SIGINT ignored, and children inherit that.
_SUPERVISOR = """
import signal, sys
from ims.runtime import lifecycle, logs, supervisor
signal.signal(signal.SIGINT, signal.default_int_handler)
logs.configure("run", "info")
with lifecycle.stop_on_signals() as stop:
    sys.exit(supervisor.supervise({"one": sys.argv[1:]}, stop, {}, logs.get_logger("run")))
"""


def _child(program: str, said: Path) -> list[str]:
    return [sys.executable, "-c", program, str(said)]


def _lines(said: Path) -> list[str]:
    return said.read_text().splitlines() if said.exists() else []


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _run(commands: dict[str, Sequence[str]], when: Callable[[], object], **environment: dict[str, str]) -> int:
    """Supervise until something has happened."""
    stop = Stop()

    def ask() -> None:
        try:
            until(when, what="the children have done their part")
        finally:
            stop.set()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        return supervise(commands, stop, environment, log)
    finally:
        asking.join()


@pytest.fixture
def pids() -> Iterator[Callable[[], list[int]]]:
    """The processes started so far; none of them outlives the test."""
    with capture_logs() as lines:
        yield lambda: [line["pid"] for line in lines if line["event"] == "process started"]
    for line in lines:
        if line["event"] == "process started" and _lives(line["pid"]):
            os.kill(line["pid"], signal.SIGKILL)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


def test_all_run_with_their_own_environment_and_end_at_the_stop(tmp_path: Path, pids: Callable[[], list[int]]) -> None:
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
    assert not any(_lives(pid) for pid in pids())


def test_a_process_that_ends_is_started_again(said: Path, pids: Callable[[], list[int]]) -> None:
    assert _run({"one": _child(ENDS, said)}, lambda: len(_lines(said)) == 2) == 0
    assert len(pids()) >= 2


def test_wrong_settings_end_all_without_another_try(tmp_path: Path, pids: Callable[[], list[int]]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    commands = {"one": _child(STAYS, one), "two": _child(HAS_WRONG_SETTINGS, two)}
    assert supervise(commands, Stop(), {}, log) == 2
    assert _lines(two) == ["up"]
    assert not any(_lives(pid) for pid in pids())


def test_a_process_that_does_not_listen_is_killed(
    said: Path, pids: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_GRACE_SECONDS", 0.1)
    assert _run({"one": _child(DOES_NOT_LISTEN, said)}, lambda: _lines(said)) == 1
    assert not any(_lives(pid) for pid in pids())


def test_a_command_that_cannot_be_started_leaves_no_other_behind(
    said: Path, tmp_path: Path, pids: Callable[[], list[int]]
) -> None:
    with pytest.raises(FileNotFoundError):
        supervise({"one": _child(STAYS, said), "two": [str(tmp_path / "missing")]}, Stop(), {}, log)
    (pid,) = pids()
    assert not _lives(pid)


@pytest.fixture
def started(said: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor as a process of its own, in a group as a terminal makes it, once its child has spoken."""
    command = [sys.executable, "-c", _SUPERVISOR, *_child(request.param, said)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, process_group=0) as process:
        try:
            until(lambda: _lines(said), what="the child is up")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("started", [TELLS_ITS_SIGNAL], indirect=True)
def test_ctrl_c_reaches_a_process_only_through_the_supervisor(started: subprocess.Popen[bytes], said: Path) -> None:
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(timeout=30) == 0
    assert _lines(said) == ["up", "SIGTERM"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("started", [DOES_NOT_LISTEN], indirect=True)
def test_a_second_signal_kills_those_that_do_not_listen(
    started: subprocess.Popen[bytes], said: Path, second: signal.Signals
) -> None:
    child = int(_lines(said)[0])
    try:
        started.send_signal(signal.SIGTERM)
        assert started.stderr
        assert any(b'"stopping"' in line for line in started.stderr)
        started.send_signal(second)
        assert started.wait(timeout=10) == 1
        assert not _lives(child)
    finally:
        if _lives(child):
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(("ends", "pause"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30), (100_000, 30)])
def test_the_pause_before_a_restart_doubles_up_to_thirty_seconds(ends: int, pause: float) -> None:
    assert pause_before_restart(ends) == pause


def test_a_process_that_was_up_for_a_minute_starts_with_the_shortest_pause_again() -> None:
    child = supervisor._Child("one", [sys.executable, "-c", "raise SystemExit(1)"], {})
    dues = []
    for started, ended in [(0, 1), (10, 11), (20, 21), (100, 160)]:
        child.start(started).wait()
        assert child.ended(ended) == 1
        dues.append(child.due - ended)
    assert dues == [1, 2, 4, 1]
