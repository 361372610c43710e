"""The three processes as a container platform keeps them: whatever ends is started again at once."""

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


class Life:
    """One process from its start to its end.

    Attributes:
        crash_at: the crash point at which it is to end by itself.
        errors: how often it told of each error, by the error's name.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.crash_at = environment.get("FAILPOINT")
        self.errors: Counter[str] = Counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.launch", *command],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._reading = threading.Thread(target=self._read, args=(log,), daemon=True)
        self._reading.start()

    def _read(self, log: Path) -> None:
        # By a pipe, so that a full disk does not silence the process itself.
        with log.open("ab") as file, self.process.stderr or contextlib.nullcontext() as lines:
            for line in lines or ():
                file.write(line)
                file.flush()
                with contextlib.suppress(ValueError):
                    # The error's name comes first, its text after it.
                    self.errors[str(json.loads(line).get("error")).partition(":")[0]] += 1

    def limit_files(self, size: int) -> None:
        """Let every write beyond *size* bytes of a file fail, as on a full disk (OSError); -1: no limit."""
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def has_paused(self) -> bool:
        """Whether it has stopped itself, as by SIGSTOP."""
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def end(self, by: signal.Signals) -> int:
        """End it by a signal and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(by)
        code = self.process.wait(timeout=60)
        self._reading.join(timeout=10)
        return code


class Fleet:
    """All processes. Its methods may be called from any thread.

    Attributes:
        ended: how often a process has ended, by its name and how: an exit code, or the crash point.
        unexpected: what ended otherwise than by us, for the verdict.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.ended: Counter[tuple[str, str]] = Counter()
        self.unexpected: list[str] = []
        self._environment = environment
        self._folder = folder
        self._lives: dict[str, Life] = {}
        self._next: dict[str, dict[str, str]] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._tending = threading.Thread(target=self._tend, daemon=True)

    def start(self) -> None:
        """Start every process, and whatever ends from now on."""
        self._tending.start()

    def life(self, name: str) -> Life:
        """The process *name* as it runs now."""
        with self._lock:
            return self._lives[name]

    def restart(self, name: str, **environment: str) -> Life:
        """Kill a process; its next life has more environment variables (FAILPOINT, PAUSE_AT)."""
        with self._lock:
            life = self._lives.pop(name, None)
            self._next[name] = environment
        if life is not None:
            self._has_ended(name, life, life.end(signal.SIGKILL))
        until(lambda: name in self._lives, what=f"{name} is started again")
        return self.life(name)

    def command(self, *arguments: str, **environment: str) -> int:
        """Run a command to its end and return its exit code."""
        life = self._live(list(arguments), environment, "command")
        return life.process.wait(timeout=60)

    def second(self, name: str) -> Life:
        """A second process beside the one that runs; nobody starts it again, and the caller ends it."""
        return self._live([name], {}, f"{name}-2")

    def close(self) -> list[str]:
        """Stop all in good order and return the names of those that did not."""
        self._over.set()
        self._tending.join()
        with self._lock:
            codes = {name: life.end(signal.SIGTERM) for name, life in self._lives.items()}
        return [f"{name} stopped with {code}" for name, code in codes.items() if code]

    def kill(self) -> None:
        """Kill all that runs."""
        self._over.set()
        self._tending.join()
        for life in self._lives.values():
            life.end(signal.SIGKILL)

    def _tend(self) -> None:
        while not self._over.wait(0.05):
            with self._lock:
                for name in PROCESSES:
                    life = self._lives.get(name)
                    if life is not None and (code := life.process.poll()) is not None:
                        self._has_ended(name, life, code)
                        del self._lives[name]
                    if name not in self._lives:
                        self._lives[name] = self._live([name], self._next.pop(name, {}), name)

    def _live(self, command: list[str], environment: Mapping[str, str], log: str) -> Life:
        return Life(command, {**self._environment, **environment}, self._folder / f"{log}.log")

    def _has_ended(self, name: str, life: Life, code: int) -> None:
        how = life.crash_at if code == EXIT_CODE and life.crash_at else str(code)
        self.ended[name, how] += 1
        if code not in {EXIT_CODE, -signal.SIGKILL}:
            self.unexpected.append(f"{name} ended by itself with {code}")
