"""What processes have cost so far, as Linux counts it (proc(5)): CPU seconds, and memory in MB of 1,000,000 bytes."""

import contextlib
import os
from pathlib import Path
from typing import Final

import psycopg

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)
"""The CPU times in /proc/PID/stat, counted from the field after the name."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of all threads of a process, in user space and in the kernel."""
    return sum(_times(pid)[:2])


def cpu_seconds_of_all(parent: int) -> float:
    """Return the CPU seconds of a process, of its running children, and of those that have ended."""
    seconds = 0.0
    for child in _children(parent):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended: its parent counts it then
            seconds += cpu_seconds(child)
    return seconds + sum(_times(parent))


def peak_memory_mb(pid: int) -> float:
    """Return the peak of a process's resident memory."""
    return _megabytes(pid, "status", "VmHWM")


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, including shared pages (RSS)."""
    return _megabytes(pid, "status", "VmRSS")


def proportional_mb(pid: int) -> float:
    """Return the resident memory of a process, each shared page divided among the processes that share it (PSS)."""
    return _megabytes(pid, "smaps_rollup", "Pss")


def postmaster(dsn: str) -> int:
    """Return the id of the parent process of a PostgreSQL server on this machine."""
    with psycopg.connect(dsn) as connection:
        return int(_fields(connection.info.backend_pid)[_PARENT])


def java_of(parent: int) -> int:
    """Return the id of the first Java process that a process has started."""
    return next(pid for pid in _children(parent) if Path(f"/proc/{pid}/comm").read_text().strip() == "java")


def _times(pid: int) -> list[float]:
    """Return the CPU seconds in user space and kernel: of the process itself, and of its children that have ended."""
    return [int(field) / _TICKS for field in _fields(pid)[_TIMES]]


def _fields(pid: int) -> list[str]:
    """Return the fields after the name, which may itself have spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children(parent: int) -> list[int]:
    """Return the ids of a process's children, whichever of its threads has started them."""
    found = Path(f"/proc/{parent}/task").glob("*/children")
    return sorted(int(pid) for children in found for pid in children.read_text().split())


def _megabytes(pid: int, file: str, key: str) -> float:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1]) * 1024 / 1e6
