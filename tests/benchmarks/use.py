"""What running processes have used of the machine, as Linux counts it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import psycopg

from deploy.local.postgres import LocalPostgres

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_OWN, _WITH_ENDED = slice(11, 13), slice(11, 15)
"""Columns of ``stat`` after the name: user and system time, without and with that of children that have ended."""


def processor_seconds(pid: int) -> float:
    """Processor time of all threads of a process since it began, in seconds of one core."""
    return sum(map(int, _stat(pid)[_OWN])) / _TICKS


def server_seconds(servers: Mapping[str, int]) -> dict[str, float]:
    """The same of each server by its name, with every process that it has started."""
    return {name: _tree_seconds(pid) for name, pid in servers.items()}


def resident_bytes(pid: int) -> int:
    """What a process has in memory, pages that it shares with others included (RSS)."""
    return _kilobytes(pid, "status", "VmRSS") * 1024


def proportional_bytes(pid: int) -> int:
    """The same, each shared page divided among those that share it (PSS)."""
    return _kilobytes(pid, "smaps_rollup", "Pss") * 1024


def server_processes(postgres: LocalPostgres) -> dict[str, int]:
    """Process ids of the servers of a benchmark; Kafka is a Java that we have started."""
    with psycopg.connect(postgres.any_dsn) as connection:
        postmaster = int(_stat(connection.info.backend_pid)[1])
    java = next(pid for pid in _children(os.getpid()) if _name(pid) == "java")
    return {"PostgreSQL": postmaster, "Kafka": java}


def _tree_seconds(pid: int) -> float:
    ended = sum(map(int, _stat(pid)[_WITH_ENDED])) / _TICKS
    return ended + sum(processor_seconds(child) for child in _children(pid))


def _children(pid: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and _parent(int(folder.name)) == pid:
            yield int(folder.name)


def _parent(pid: int) -> int | None:
    try:
        return int(_stat(pid)[1])
    except OSError:  # it has ended meanwhile
        return None


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _kilobytes(pid: int, file: str, key: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    raise ValueError(f"/proc/{pid}/{file} says no {key}")
