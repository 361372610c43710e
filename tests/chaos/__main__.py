"""`python -m tests.chaos --seed 7 --duration 120`: break everything for a while, and check that nothing was lost.

The seed decides which faults happen in which order and what changes in the source. Exit code 0: nothing is wrong, and
every kind of fault that was begun really happened; 1: something is wrong; 130: interrupted.

``stack`` has the servers and processes, ``workload`` the changes in the source, ``checkers`` what judges the feeds,
``planted_bugs`` the bugs that the checkers must find.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.chaos.run import Run
from tests.chaos.stack.world import a_world


def main() -> int:
    """Run the chaos test and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides what happens; default: the time")
    parser.add_argument("--duration", type=float, default=120, help="seconds in which things are broken")
    parser.add_argument("--keep", type=Path, help="an empty folder for feed and logs, which are removed otherwise")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return _run(console, folder, given.seed, given.duration)
        except KeyboardInterrupt:
            console.print("interrupted")
            return 130


def _run(console: Console, folder: Path, seed: int, duration: float) -> int:
    console.print(f"seed {seed}, {duration:g} seconds: starting two PostgreSQL servers and Kafka")
    with a_world(folder) as world:
        run = Run(world, seed, duration, console)
        verdict = run.run()
        console.print(run.counts())
    for problem in verdict.problems:
        console.print(f"[red]wrong:[/red] {problem}", highlight=False, markup=True)
    if verdict.problems:
        console.print(f"[bold red]not clean[/bold red]: make chaos SEED={seed} DURATION={duration:g}")
        return 1
    console.print("[bold green]clean[/bold green]: nothing is missing, repeated or out of order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
