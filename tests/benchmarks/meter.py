"""The CPU use of each of our processes and each server over a period."""

import os
import time
from collections.abc import Mapping

from tests.benchmarks import process_costs
from tests.benchmarks.servers import Servers


class Meter:
    """Measures the CPU time of our processes (ids by name) and of the servers from now on."""

    def __init__(self, servers: Servers, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._servers = {
            "PostgreSQL": process_costs.postmaster(servers.postgres.any_dsn),
            "Kafka": process_costs.java_of(os.getpid()),
        }
        self._began, self._before = time.monotonic(), self._now()

    def percent(self) -> dict[str, float]:
        """Return what each has used since the meter was made, in percent of one core."""
        seconds = time.monotonic() - self._began
        return {name: (value - self._before[name]) / seconds * 100 for name, value in self._now().items()}

    def _now(self) -> dict[str, float]:
        own = {name: process_costs.cpu_seconds(pid) for name, pid in self._processes.items()}
        return own | {name: process_costs.cpu_seconds_of_all(pid) for name, pid in self._servers.items()}


def shares(percent: Mapping[str, float]) -> str:
    """Return the percentages in one line.

    >>> shares({"capture": 12.34, "Kafka": 5})
    'CPU capture 12.3 %, Kafka 5.0 %'
    """
    return "CPU " + ", ".join(f"{name} {value:.1f} %" for name, value in percent.items())
