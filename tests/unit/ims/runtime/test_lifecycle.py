"""A stop: asked by a signal or another thread, noticed immediately by whatever waits for it."""

import gc
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ims.runtime.lifecycle import Stop, stop_on_signals

# A shell that runs the tests in the background may have SIGINT ignored, and children inherit that.
_WAITS = """
import signal
from ims.runtime.lifecycle import stop_on_signals
signal.signal(signal.SIGINT, signal.default_int_handler)
with stop_on_signals() as stop:
    print("ready", flush=True)
    print("stopped" if stop.wait(60) else "not stopped", flush=True)
"""
_IGNORES_THE_STOP = f"""{_WAITS}
    while True:
        pass
"""
_IS_ASKED_IN_ANOTHER_THREAD = """
import signal, threading
from ims.runtime.lifecycle import stop_on_signals
with stop_on_signals() as stop:
    threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
    print("stopped" if stop.wait(3600) else "not stopped", flush=True)
"""


@contextmanager
def _running(program: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline = threading.Timer(30, process.kill)
        deadline.start()
        try:
            yield process
        finally:
            deadline.cancel()
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def _is_readable(stop: Stop) -> bool:
    return bool(select.select([stop], [], [], 0)[0])


def test_a_stop_is_unset_until_asked() -> None:
    stop = Stop()
    assert not stop
    assert not stop.wait(0.001)
    assert not _is_readable(stop)


def test_a_stop_stays_set_and_readable() -> None:
    stop = Stop()
    stop.set()
    stop.set()
    assert stop
    assert stop.wait(0)
    assert stop.wait(-1)
    assert _is_readable(stop)
    assert _is_readable(stop)


def test_a_negative_wait_returns_immediately() -> None:
    waiting = threading.Thread(target=Stop().wait, args=(-1,), daemon=True)
    waiting.start()
    waiting.join(timeout=30)
    assert not waiting.is_alive()


def test_a_stop_wakes_a_waiting_thread() -> None:
    stop = Stop()
    waiting = threading.Thread(target=stop.wait, args=(3600,), daemon=True)
    waiting.start()
    stop.set()
    waiting.join(timeout=30)
    assert not waiting.is_alive()


def test_a_closed_stop_can_still_be_set() -> None:
    stop = Stop()
    stop.close()
    stop.set()
    assert stop.wait(3600)


def test_a_forgotten_stop_leaves_no_descriptor_open() -> None:
    stop = Stop()
    descriptor = stop.fileno()
    os.fstat(descriptor)
    del stop
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_and_the_process_goes_on(number: signal.Signals) -> None:
    with _running(_WAITS) as process:
        assert _line(process) == "ready"
        process.send_signal(number)
        assert _line(process) == "stopped"
        assert process.wait(timeout=30) == 0


def test_a_signal_in_another_thread_ends_the_wait() -> None:
    with _running(_IS_ASKED_IN_ANOTHER_THREAD) as process:
        assert _line(process) == "stopped"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_process_that_ignores_the_stop(second: signal.Signals) -> None:
    with _running(_IGNORES_THE_STOP) as process:
        assert _line(process) == "ready"
        process.send_signal(signal.SIGTERM)
        assert _line(process) == "stopped"
        process.send_signal(second)
        assert process.wait(timeout=30) == -second


def test_the_former_handlers_are_restored() -> None:
    former = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        assert signal.getsignal(signal.SIGTERM) != former[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == former
    assert signal.set_wakeup_fd(-1) == -1
    assert not stop
