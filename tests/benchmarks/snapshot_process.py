"""`python -m tests.benchmarks.snapshot_process DSN FOLDER`: take a snapshot, and say what memory that took at most."""

import os
import sys
from pathlib import Path

from consumers import sessions
from consumers.compact import UMASK
from consumers.snapshots import take_snapshot
from consumers.targets_table import all_targets
from tests.benchmarks.large_state import NOW


def main(dsn: str, root: str) -> None:
    """Take it, and print the process's peak of resident memory in KiB."""
    os.umask(UMASK)
    with sessions.connect(dsn, "snapshot") as connection:
        take_snapshot(connection, Path(root), all_targets(connection)[0].target_id, NOW)
    lines = Path("/proc/self/status").read_text().splitlines()
    sys.stdout.write(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main(*sys.argv[1:])
