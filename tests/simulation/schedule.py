"""One schedule: a scheduler that lets one thing happen after another, as the seed says, until nothing is left to do.

The same seed gives the same schedule, on every machine.
"""

import random
from collections import Counter
from collections.abc import Callable
from itertools import accumulate

from tests.simulation import checker
from tests.simulation.compactor import choose
from tests.simulation.path_actions import PathActions
from tests.simulation.source_actions import SourceActions
from tests.simulation.violations import ViolationError
from tests.simulation.world import MOMENT, OSLO, World

STEPS = 100
_BEGINS_AT_REST = 0.7
"""How many of the schedules begin when everything has been loaded and published; the others begin before."""
_MOODS = (0.1, 0.3, 1.0)
"""How likely it is, in some schedules and in others, that something goes wrong."""
_PROVED_EVERY = 4
"""One schedule of so many has its feeds verified from the files alone, which takes long."""
_PATIENCE = 3_000
"""Steps within which nothing must be left to do when nothing fails any more."""


class Schedule:
    """A world and what happens in it.

    Args:
        seed: decides everything.
        say: called with each step, for a person to read.
    """

    def __init__(self, seed: int, say: Callable[[str], None] | None = None) -> None:
        chance = random.Random(seed)
        self._world = World(chance, say)
        self._of_source, path = SourceActions(self._world), PathActions(self._world)
        mood = chance.choice(_MOODS)
        usual = [*self._of_source.usual(), *path.usual()]
        unusual = [*self._of_source.unusual(), *path.unusual()]
        self._actions = [*usual, *unusual]
        self._weights = list(accumulate([*(a.weight for a in usual), *(a.weight * mood for a in unusual)]))
        self._rests_at = chance.randrange(2 * STEPS)
        self._proved = seed % _PROVED_EVERY == 0

    def run(self) -> Counter[str]:
        """Run it until nothing is left to do, at the end and perhaps before, and check that all is as it must be.

        Returns:
            How often each thing happened.

        Raises:
            ViolationError: something is not as it must be.
        """
        world = self._world
        first = world.administration.first_rows(world.now.astimezone(OSLO).date())
        world.source.commit(world.source.write(first, copied=True), world.now)
        world.source.take_backup()
        if world.chance.random() < _BEGINS_AT_REST:
            self._let_rest()
        for number in range(STEPS):
            self._step()
            if self._rests_at == number:
                self._come_to_rest()
        self._come_to_rest()
        for folder in world.folders.values() if self._proved else ():
            checker.folder_holds_together(folder)
        return world.happened

    def _step(self) -> None:
        while not (action := self._world.chance.choices(self._actions, cum_weights=self._weights)[0]).can():
            pass
        action.do()
        self._world.now += MOMENT

    def _come_to_rest(self) -> None:
        """Let nothing fail any more, and everything that has begun end; then look."""
        self._let_rest()
        self._look()

    def _let_rest(self) -> None:
        world = self._world
        world.detail("nothing fails any more")
        for transaction in world.source.open_transactions:
            world.source.commit(transaction.changes, world.now)
        world.source.open_transactions.clear()
        for _ in range(_PATIENCE):
            if not self._move_on():
                break
            world.now += MOMENT
        else:
            raise ViolationError("it does not come to rest")

    def _move_on(self) -> bool:
        """Take the next step of each process that has one, and return whether there was any."""
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

    def _look(self) -> None:
        world = self._world
        checker.at_rest(world.source, world.state, world.broker, world.now)
        for importer, target in zip(world.importers, world.state.targets, strict=True):
            importer.follow()
            checker.importer_is_up_to_date(importer, target)
