"""The actions that take changes from the source to the feeds in a schedule, and their failures."""

from datetime import timedelta
from typing import Any, Final

from ims.targets.written_settings import changed
from tests.simulation.pipeline.compactor import Compactor, choose
from tests.simulation.pipeline.materializer import Materializer
from tests.simulation.world import MOMENT, Action, World

_SETTINGS: Final[tuple[dict[str, Any], ...]] = (
    {"person_id": "running"},
    {"person_id": "national"},
    {"source": "fjordvik"},
    {"login": "email"},
    {"excluded_groups": [3]},
    {"excluded_groups": []},
    {"lead_days": 1, "grace_days": 1},
    {"include_without_national_id": True},
    {"dialect": "pifu"},
)


class PathActions:
    """The actions of capture, Kafka, materialize, compact and the clock, and their failures."""

    def __init__(self, world: World) -> None:
        self._world, self._chance = world, world.chance

    def usual(self) -> list[Action]:
        """Return the actions of the processes."""
        world, capture = self._world, self._world.capture
        actions = [
            Action(20, lambda: capture.can_start, lambda: capture.start(world.now)),
            Action(24, lambda: capture.lives, self._capture),
            Action(24, lambda: bool(world.producers()), self._deliver),
            Action(6, lambda: bool(world.producers()), self._acknowledge),
            Action(3, lambda: True, self._pass_time),
        ]
        for materializer in world.materializers:
            actions += self._of_materializer(materializer)
        for compactor in world.compactors:
            actions += self._of_compactor(compactor)
        return actions

    def unusual(self) -> list[Action]:
        """Return the failures of the processes."""
        world, capture = self._world, self._world.capture
        actions = [
            Action(2, lambda: capture.lives, lambda: capture.die("capture was killed")),
            Action(2, lambda: bool(world.producers()), self._repeat),
            Action(2, self._can_refuse, self._refuse),
            Action(1, lambda: bool(capture.late), capture.forget_late),
            Action(1, lambda: True, self._set_clock_back),
            Action(2, lambda: True, self._change_settings),
        ]
        actions += map(self._death_of_materializer, world.materializers)
        for compactor in world.compactors:
            actions += self._fate_of_compactor(compactor)
        return actions

    def _of_materializer(self, materializer: Materializer) -> list[Action]:
        return [
            Action(
                9, lambda: materializer.polled is None and bool(materializer.behind()), lambda: self._poll(materializer)
            ),
            Action(9, lambda: materializer.polled is not None, materializer.apply),
        ]

    def _of_compactor(self, compactor: Compactor) -> list[Action]:
        return [
            Action(9, lambda: compactor.at is None, lambda: self._compact(compactor)),
            Action(12, lambda: compactor.at is not None and compactor.is_awake(), compactor.go_on),
        ]

    def _death_of_materializer(self, materializer: Materializer) -> Action:
        return Action(3, lambda: True, lambda: materializer.die(committed=self._chance.random() < 0.5))

    def _fate_of_compactor(self, compactor: Compactor) -> list[Action]:
        chance = self._chance
        return [
            Action(2, lambda: compactor.at is not None, compactor.die),
            Action(3, lambda: compactor.at is not None, lambda: compactor.lose_session(chance.randint(1, 12))),
        ]

    def _capture(self) -> None:
        self._world.capture.step(self._chance.choice((1, 3, 10, 30)), report=self._chance.random() < 0.5)

    def _deliver(self) -> None:
        producer = self._chance.choice(self._world.producers())
        partition = self._chance.choice(producer.busy())
        if self._world.broker.take(producer, partition, self._chance.choice((1, 2, 5, 40))) and not producer.alive:
            self._world.note("messages of a dead producer arrived")
        if self._chance.random() < 0.6:
            self._world.broker.acknowledge(producer, partition)

    def _acknowledge(self) -> None:
        producer = self._chance.choice(self._world.producers())
        partition = self._chance.choice(producer.busy())
        self._world.broker.acknowledge(producer, partition)

    def _poll(self, materializer: Materializer) -> None:
        materializer.poll(self._chance.choice(materializer.behind()), self._chance.choice((1, 2, 4, 10, 50)))

    def _compact(self, compactor: Compactor) -> None:
        choose(compactor, self._world.now, self._chance)

    def _pass_time(self) -> None:
        self._world.now += self._chance.choice((MOMENT, 3 * MOMENT, timedelta(minutes=2), timedelta(hours=7)))

    def _repeat(self) -> None:
        producer = self._chance.choice(self._world.producers())
        partition = self._chance.choice(producer.busy())
        if producer.arrived[partition]:
            self._world.broker.repeat(producer, partition)
            self._world.note("an acknowledgement was lost and a batch sent twice")

    def _can_refuse(self) -> bool:
        producer = self._world.capture.producer
        return producer is not None and any(producer.waiting)

    def _refuse(self) -> None:
        producer = self._world.capture.producer
        assert producer is not None
        partition = self._chance.choice([number for number, waiting in enumerate(producer.waiting) if waiting])
        self._world.broker.refuse(producer, partition)
        self._world.note("a batch was lost")

    def _set_clock_back(self) -> None:
        self._world.now -= timedelta(seconds=self._chance.choice((0.3, 1, 1.5)))
        self._world.note("the clock was set back")

    def _change_settings(self) -> None:
        world = self._world
        target = world.chance.choice(world.state.targets)
        choices = [one for one in _SETTINGS if not (world.administration.renumbers and "person_id" in one)]
        settings = changed(target.settings, world.chance.choice(choices))
        if target.locked_by is None and settings != target.settings:
            world.state.apply_settings(target, settings)
            world.note("settings were changed")
