"""The plan of a chaos run is the seed's."""

from itertools import islice

from tests.chaos.plan import Fault, Kind, is_at_start, kinds, plan

EVERY = kinds(restartable=True)


def first(seed: int, count: int, place: str = "compact") -> list[Fault]:
    return list(islice(plan(seed, place, [kind for kind in EVERY if kind.place == place]), count))


def test_a_seed_decides_the_faults() -> None:
    assert first(1, 60) == first(1, 60)
    assert first(1, 60) != first(2, 60)


def test_each_round_of_a_place_has_each_kind_once() -> None:
    for place in {kind.place for kind in EVERY}:
        here = {kind for kind in EVERY if kind.place == place}
        rounds = first(3, 2 * len(here), place)
        assert {fault.kind for fault in rounds[: len(here)]} == here
        assert {fault.kind for fault in rounds[len(here) :]} == here


def test_a_broker_that_loses_its_data_is_not_restarted() -> None:
    names = {kind.name for kind in kinds(restartable=False)}
    assert {kind.name for kind in EVERY} - names == {
        "kafka: crash",
        "kafka: restart",
        "kill -9 of capture with Kafka away",
    }


def test_only_the_beginning_of_a_run_has_loads() -> None:
    loads: list[Kind] = [kind for kind in EVERY if is_at_start(kind)]
    assert [kind.where for kind in loads] == ["load.begun", "load.sent", "load.acknowledged"]
