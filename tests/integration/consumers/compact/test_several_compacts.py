"""Several compact processes on one state database and one feed: long work is done by one of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

import pytest
from prometheus_client import CollectorRegistry

from consumers.compact.process import EXCLUDED_SERIES, Compactor
from consumers.database import sessions
from consumers.database.targets_table import all_targets
from consumers.reconciliation.nightly import NightlyReconciliation
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CompactMetrics
from ims.source.mapping import REFERENCE_MAPPING
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Immediately, Pipeline

T = TypeVar("T")


class Later(Executor):
    """An executor that runs its work when :meth:`run` is called."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        self._waiting.append(lambda: future.set_result(fn(*args, **kwargs)))
        return future

    def run(self) -> int:
        """Run the submitted work, and return how many pieces it was."""
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            work()
        return len(waiting)


class Another:
    """Another compact process, step by step."""

    def __init__(self, pipeline: Pipeline, executor: Executor) -> None:
        self.metrics = CompactMetrics(CollectorRegistry(), EXCLUDED_SERIES)
        self.connection = sessions.connect(pipeline.settings.state(), "another")
        self.compactor = Compactor(pipeline.settings, self.metrics, self.connection, executor)

    def snapshots(self) -> float:
        return float(self.metrics.snapshot_attempts._value.get())


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path)
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    yield pipeline
    pipeline.close()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def another(pipeline: Pipeline, later: Later) -> Iterator[Another]:
    another = Another(pipeline, later)
    yield another
    another.connection.close()


def test_a_snapshot_taken_by_another_process_is_not_taken_again(
    pipeline: Pipeline, another: Another, later: Later
) -> None:
    pipeline.compact(hours=10)
    pipeline.commit(a_person(1, given_name="Berta"))
    pipeline.now = pipeline.now.replace(day=pipeline.now.day + 1, hour=3)
    another.compactor.step(pipeline.now)
    pipeline.compact()
    assert pipeline.manifest().snapshot.seq == 1
    assert later.run() == 1
    assert another.snapshots() == 0


def test_a_snapshot_that_another_process_writes_is_tried_later(
    pipeline: Pipeline, another: Another, later: Later
) -> None:
    pipeline.now = pipeline.now.replace(day=pipeline.now.day + 1, hour=3)
    with sessions.connect(pipeline.settings.state(), "writing") as writing:
        assert sessions.try_lock(writing, f"imsfeed files of target {all_targets(writing)[0].target_id}")
        another.compactor.step(pipeline.now)
        assert later.run() == 1
        assert another.snapshots() == 0
        another.compactor.step(pipeline.now)
        assert later.run() == 0, "not immediately"
    pipeline.now = pipeline.now.replace(minute=1)
    another.compactor.step(pipeline.now)
    assert later.run() == 1
    assert another.snapshots() == 1


def test_a_target_reconciled_by_another_process_is_not_reconciled_again(
    pipeline: Pipeline, another: Another, later: Later
) -> None:
    def a_reconciliation(metrics: CompactMetrics, executor: Executor) -> NightlyReconciliation:
        return NightlyReconciliation(pipeline.settings, REFERENCE_MAPPING, metrics, executor, Stop())

    targets = all_targets(pipeline.connection)
    a_reconciliation(another.metrics, later).look(pipeline.connection, targets, pipeline.now)
    a_reconciliation(pipeline.metrics, Immediately()).look(pipeline.connection, targets, pipeline.now)
    assert pipeline.metrics.reconciliation_attempts._value.get() == 1
    assert later.run() == 1
    assert another.metrics.reconciliation_attempts._value.get() == 0
