"""Many schedules of the whole path, in memory, with every kind of failure; each kind must have happened."""

import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.__main__ import again
from tests.simulation.schedule import Schedule

SCHEDULES = 500
SOMETIMES = (
    "a batch ended inside a transaction",
    "a batch was lost",
    "a compactor died: delta committed",
    "a compactor died: delta worked out",
    "a compactor died: delta linked",
    "a compactor died: first publication worked out",
    "a compactor died: manifest begun",
    "a compactor died: manifest written",
    "a compactor died: snapshot linked",
    "a compactor died: snapshot seen",
    "a compactor paused and lost its session",
    "a compactor's transaction was ended by the server",
    "a publication waits for the rest of a transaction",
    "a day has ended",
    "a load was broken off",
    "a load was completed",
    "a long transaction was committed",
    "a long transaction was rolled back",
    "a materializer died after its commit",
    "a materializer died before its commit",
    "a materializer was fenced",
    "a message was quarantined",
    "a person was left to the next publication",
    "a table was emptied in one step",
    "a target was locked by another compactor",
    "a transaction was committed while another was open",
    "an acknowledgement was lost and a batch sent twice",
    "capture died inside a transaction",
    "capture lost its connection",
    "capture stopped to load",
    "capture was killed",
    "nothing to publish",
    "duplicates were dropped",
    "kafka gave a message up",
    "messages of a dead producer arrived",
    "settings were changed",
    "snapshot waits to be recorded",
    "the clock was set back",
    "the slot was lost",
    "the slot went back",
    "the source was restored",
)
"""Events that must have happened in these schedules; without one, they show less than they seem to."""


def run(seed: int) -> Counter[str]:
    try:
        return Schedule(seed).run()
    except Exception as error:
        error.add_note(again(seed))
        raise


def test_the_feeds_follow_the_source_and_its_history() -> None:
    happened: Counter[str] = Counter()
    for seed in range(SCHEDULES):
        happened += run(seed)
    assert [what for what in SOMETIMES if not happened[what]] == []


def test_schedules_of_random_seeds_pass() -> None:
    for _ in range(20):
        run(random.randrange(1_000_000_000))


@pytest.mark.parametrize("hashing", ["1", "2"])
def test_the_same_seed_gives_the_same_schedule_in_every_process(hashing: str) -> None:
    here: list[str] = []
    Schedule(8, here.append).run()
    published = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "8", "-v"],
        env={**os.environ, "PYTHONHASHSEED": hashing},
        capture_output=True,
        text=True,
        check=True,
    )
    assert published.stdout.splitlines() == here
    assert len(here) > 50
