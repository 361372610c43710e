"""`python -m tests.benchmarks.publication.snapshot_process DSN FOLDER`: take a snapshot, and print the peak memory."""

import os
import sys
from pathlib import Path

from consumers.compact.process import UMASK
from consumers.database import sessions
from consumers.database.targets_table import all_targets
from consumers.feed.snapshots import take_snapshot
from tests.benchmarks.process_costs import peak_memory_mb
from tests.benchmarks.publication.large_state import NOW


def main(dsn: str, root: str) -> None:
    """Take a snapshot, and print the process's peak of resident memory in MB."""
    os.umask(UMASK)
    with sessions.connect(dsn, "snapshot") as connection:
        take_snapshot(connection, Path(root), all_targets(connection)[0].target_id, NOW)
    sys.stdout.write(str(peak_memory_mb(os.getpid())))


if __name__ == "__main__":
    main(*sys.argv[1:])
