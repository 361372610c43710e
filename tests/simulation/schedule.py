"""One schedule: a scheduler takes one action after another, chosen by the seed, until no work is left.

The same seed gives the same schedule, on every machine.
"""

import random
from collections import Counter
from collections.abc import Callable
from itertools import accumulate

from tests.simulation import checker
from tests.simulation.path_actions import PathActions
from tests.simulation.pipeline.compactor import choose
from tests.simulation.source_actions import SourceActions
from tests.simulation.violations import ViolationError
from tests.simulation.world import MOMENT, OSLO, World

STEPS = 100
_BEGINS_SETTLED = 0.7
"""The share of schedules that begin when everything is loaded and published; the others begin before that."""
_FAILURE_RATES = (0.1, 0.3, 1.0)
"""How likely failures are; each schedule has one of these values."""
_VERIFIED_EVERY = 4
"""In one of so many schedules the feeds are verified from the files alone, which takes long."""
_MOST_STEPS = 3_000
"""Steps within which all work must be done once nothing fails any more."""


class Schedule:
    """A world, and the actions in it.

    Args:
        seed: determines everything.
        say: called with a readable line for each step.
    """

    def __init__(self, seed: int, say: Callable[[str], None] | None = None) -> None:
        chance = random.Random(seed)
        self._world = World(chance, say)
        self._of_source, path = SourceActions(self._world), PathActions(self._world)
        mood = chance.choice(_FAILURE_RATES)
        usual = [*self._of_source.usual(), *path.usual()]
        unusual = [*self._of_source.unusual(), *path.unusual()]
        self._actions = [*usual, *unusual]
        self._weights = list(accumulate([*(a.weight for a in usual), *(a.weight * mood for a in unusual)]))
        self._rests_at = chance.randrange(2 * STEPS)
        self._proved = seed % _VERIFIED_EVERY == 0

    def run(self) -> Counter[str]:
        """Run the schedule until no work is left, at the end and perhaps before, and check the result.

        Returns:
            How often each event happened.

        Raises:
            ViolationError: a check failed.
        """
        world = self._world
        first = world.administration.first_rows(world.now.astimezone(OSLO).date())
        world.source.commit(world.source.write(first, copied=True), world.now)
        world.source.take_backup()
        if world.chance.random() < _BEGINS_SETTLED:
            self._settle()
        for number in range(STEPS):
            self._step()
            if self._rests_at == number:
                self._settle_and_check()
        self._settle_and_check()
        for folder in world.folders.values() if self._proved else ():
            checker.folder_holds_together(folder)
        return world.happened

    def _step(self) -> None:
        while not (action := self._world.chance.choices(self._actions, cum_weights=self._weights)[0]).can():
            pass
        action.do()
        self._world.now += MOMENT

    def _settle_and_check(self) -> None:
        """End all failures and finish all work; then check."""
        self._settle()
        self._check()

    def _settle(self) -> None:
        world = self._world
        world.detail("nothing fails any more")
        for transaction in world.source.open_transactions:
            world.source.commit(transaction.changes, world.now)
        world.source.open_transactions.clear()
        for _ in range(_MOST_STEPS):
            if not self._move_on():
                break
            world.now += MOMENT
        else:
            raise ViolationError("the schedule does not settle")

    def _move_on(self) -> bool:
        """Take the next step of each process that has work, and return whether any had."""
        world = self._world
        moved = self._move_capture()
        for materializer in world.materializers:
            if materializer.polled is not None:
                materializer.apply()
                moved = True
            for partition in materializer.behind()[:1]:
                materializer.poll(partition, 50)
                moved = True
        if moved:
            return True
        for compactor in world.compactors:
            if compactor.at is not None:
                compactor.go_on()
                moved = True
            elif choose(compactor, world.now, world.chance):
                moved = True
        rows = [world.state.read(target) for target in world.state.targets]
        return moved or any(
            row.state == "ok" and not row.owner.open and row.outstanding.settling is not None for row in rows
        )

    def _move_capture(self) -> bool:
        world = self._world
        source, capture = world.source, world.capture
        if source.capture.loaded and (source.slot is None or source.damaged):
            self._of_source.ask_for_load()
        if capture.can_start:
            capture.start(world.now)
        behind = not source.capture.loaded or source.slot is None or source.slot.confirmed < source.lsn
        if behind:
            capture.step(50, report=True)
        producers = world.producers()
        for producer in producers:
            for partition in producer.busy():
                world.broker.take(producer, partition, 50)
                world.broker.acknowledge(producer, partition)
        return behind or bool(producers)

    def _check(self) -> None:
        world = self._world
        checker.at_rest(world.source, world.state, world.broker, world.now)
        for importer, target in zip(world.importers, world.state.targets, strict=True):
            importer.follow()
            checker.importer_is_up_to_date(importer, target)
