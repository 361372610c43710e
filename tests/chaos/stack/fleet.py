"""The three processes as a container platform runs them: a process that ends is started again immediately."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ims.runtime.failpoints import EXIT_CODE
from tests.support.installation import PROCESSES
from tests.support.waiting import until


class ProcessRun:
    """One process from its start to its end.

    Attributes:
        failpoint: the failpoint at which it is to end by itself.
        errors: how often it logged each error, by the error's name.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.failpoint = environment.get("FAILPOINT")
        self.errors: Counter[str] = Counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.stack.launch", *command],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._reading = threading.Thread(target=self._read, args=(log,), daemon=True)
        self._reading.start()

    def _read(self, log: Path) -> None:
        # Through a pipe, so that a full disk does not silence the process itself.
        with log.open("ab") as file, self.process.stderr or contextlib.nullcontext() as lines:
            for line in lines or ():
                file.write(line)
                file.flush()
                with contextlib.suppress(ValueError):
                    # The error's name comes first, its text after it.
                    self.errors[str(json.loads(line).get("error")).partition(":")[0]] += 1

    def limit_files(self, size: int) -> None:
        """Make every write beyond *size* bytes of a file fail, as on a full disk (OSError); -1: no limit."""
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def has_paused(self) -> bool:
        """Return True if it has stopped itself, as by SIGSTOP."""
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def end(self, by: signal.Signals) -> int:
        """End the process by a signal and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(by)
        code = self.process.wait(timeout=60)
        self._reading.join(timeout=10)
        return code


class Fleet:
    """All processes. Its methods may be called from any thread.

    Attributes:
        ended: how often a process has ended, by its name and how: an exit code, or the failpoint.
        unexpected: processes that we did not end, for the verdict.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.ended: Counter[tuple[str, str]] = Counter()
        self.unexpected: list[str] = []
        self._environment = environment
        self._folder = folder
        self._runs: dict[str, ProcessRun] = {}
        self._next: dict[str, dict[str, str]] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._tending = threading.Thread(target=self._tend, daemon=True)

    def start(self) -> None:
        """Start every process, and restart each that ends from now on."""
        self._tending.start()

    def current(self, name: str) -> ProcessRun:
        """Return the process *name* that is running now."""
        with self._lock:
            return self._runs[name]

    def restart(self, name: str, **environment: str) -> ProcessRun:
        """Kill a process; its next run has more environment variables (FAILPOINT, PAUSE_AT)."""
        with self._lock:
            run = self._runs.pop(name, None)
            self._next[name] = environment
        if run is not None:
            self._record_end(name, run, run.end(signal.SIGKILL))
        until(lambda: name in self._runs, what=f"{name} is started again")
        return self.current(name)

    def command(self, *arguments: str, **environment: str) -> int:
        """Run a command to its end and return its exit code."""
        run = self._start(list(arguments), environment, "command")
        return run.process.wait(timeout=60)

    def second(self, name: str) -> ProcessRun:
        """Start a second process beside the running one; it is not restarted, and the caller ends it."""
        return self._start([name], {}, f"{name}-2")

    def close(self) -> list[str]:
        """Stop all processes and return those that did not stop cleanly."""
        self._over.set()
        self._tending.join()
        with self._lock:
            codes = {name: run.end(signal.SIGTERM) for name, run in self._runs.items()}
        return [f"{name} stopped with {code}" for name, code in codes.items() if code]

    def kill(self) -> None:
        """Kill all running processes."""
        self._over.set()
        self._tending.join()
        for run in self._runs.values():
            run.end(signal.SIGKILL)

    def _tend(self) -> None:
        while not self._over.wait(0.05):
            with self._lock:
                for name in PROCESSES:
                    run = self._runs.get(name)
                    if run is not None and (code := run.process.poll()) is not None:
                        self._record_end(name, run, code)
                        del self._runs[name]
                    if name not in self._runs:
                        self._runs[name] = self._start([name], self._next.pop(name, {}), name)

    def _start(self, command: list[str], environment: Mapping[str, str], log: str) -> ProcessRun:
        return ProcessRun(command, {**self._environment, **environment}, self._folder / f"{log}.log")

    def _record_end(self, name: str, run: ProcessRun, code: int) -> None:
        how = run.failpoint if code == EXIT_CODE and run.failpoint else str(code)
        self.ended[name, how] += 1
        if code not in {EXIT_CODE, -signal.SIGKILL}:
            self.unexpected.append(f"{name} ended by itself with {code}")
