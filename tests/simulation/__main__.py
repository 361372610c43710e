"""``python -m tests.simulation`` runs schedules by seed and shows the first failure with the command to repeat it.

Example: ``python -m tests.simulation --seed 7 -v`` prints schedule 7 step by step;
``python -m tests.simulation --seed 0 --schedules 1000 --bug "no epoch"`` shows how soon a planted bug is caught.
"""

import argparse
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
import structlog
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.simulation.bugs.planted import BUGS
from tests.simulation.schedule import Schedule

_HIGHEST_SEED = 1_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 1 if a schedule failed."""
    given = _parser().parse_args(arguments)
    seed = random.randrange(_HIGHEST_SEED) if given.seed is None else given.seed
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with pytest.MonkeyPatch.context() as patch:
        if given.bug is not None:
            BUGS[given.bug](patch)
        return _run(seed, given.schedules, given.bug, verbose=given.verbose)


def again(seed: int, bug: str | None = None) -> str:
    """Return the command that repeats one schedule and shows it step by step."""
    return f"python -m tests.simulation --seed {seed} -v" + (f' --bug "{bug}"' if bug else "")


def _run(first: int, schedules: int, bug: str | None, *, verbose: bool) -> int:
    console = Console(stderr=True)
    happened: Counter[str] = Counter()
    started = time.process_time()
    seeds: Iterable[int] = range(first, first + schedules)
    if schedules > 1 and not verbose:
        seeds = track(seeds, f"{schedules} schedules from seed {first}", console=console)
    for seed in seeds:
        try:
            happened += Schedule(seed, print if verbose else None).run()
        except Exception as error:  # noqa: BLE001 - the seed is needed for every error
            console.print(f"seed {seed}, schedule {seed - first + 1}: {type(error).__name__}: {error}", style="red")
            console.print(f"again: {again(seed, bug)}", soft_wrap=True)
            return 1
    if not verbose:
        _show(console, happened, schedules, time.process_time() - started)
    return 0


def _show(console: Console, happened: Counter[str], schedules: int, seconds: float) -> None:
    table = Table("what happened", "times", box=None)
    for what, times in sorted(happened.items()):
        table.add_row(what, str(times))
    console.print(table)
    console.print(f"{schedules} schedules, nothing wrong; {schedules / seconds * 60:,.0f} a minute of processor time")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Simulate the whole path by seeds.")
    parser.add_argument("--seed", type=int, help="the first schedule's seed; without it, any")
    parser.add_argument("--schedules", type=int, default=1, help="how many schedules, each with the next seed")
    parser.add_argument("--bug", choices=sorted(BUGS), metavar="NAME", help=f"plant one of: {', '.join(sorted(BUGS))}")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every step")
    return parser


if __name__ == "__main__":
    sys.exit(main())
