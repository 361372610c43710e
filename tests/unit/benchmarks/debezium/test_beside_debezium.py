"""When a backlog counts as arrived, and what is reported where Debezium cannot run."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.process import LocalStackError
from tests.benchmarks.debezium import beside_debezium, topic_arrivals
from tests.benchmarks.debezium.topic_arrivals import Arrivals, await_backlog
from tests.benchmarks.figure import NotMeasured
from tests.benchmarks.servers import Servers
from tests.benchmarks.sizes import TINY
from tests.support.servers import java


class FilledTopic:
    """A topic that returns the next of the given message counts at each call."""

    def __init__(self, *counts: dict[int, int]) -> None:
        self._counts = list(counts)

    def counts(self) -> dict[int, int]:
        return self._counts.pop(0) if len(self._counts) > 1 else self._counts[0]


def a_process(code: str) -> Any:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)


@pytest.fixture
def waiting_process() -> Iterator[Any]:
    with a_process("input()") as process:
        yield process
        process.kill()


def arrived(process: Any, *counts: dict[int, int]) -> Arrivals:
    topic: Any = FilledTopic(*counts)
    return await_backlog(topic, {0: 4, 1: 2}, process, time.monotonic())


def test_extra_messages_in_one_partition_do_not_complete_another(
    waiting_process: Any,
) -> None:
    arrivals = arrived(waiting_process, {0: 0, 1: 0}, {0: 9, 1: 0}, {0: 9, 1: 1}, {0: 9, 1: 2})
    assert (arrivals.rows, arrivals.half_rows) == (6, 4)
    assert 0 < arrivals.first_at == arrivals.half_at < arrivals.last_at


def test_a_process_that_ends_too_early_is_an_error() -> None:
    with a_process("raise SystemExit(3)") as process, pytest.raises(ChildProcessError, match="code 3 after 1 of 6"):
        arrived(process, {0: 1, 1: 0})


def test_a_process_that_brings_nothing_times_out(waiting_process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_arrivals, "_SILENCE_SECONDS", 0.1)
    with pytest.raises(TimeoutError, match="after 1 of 6"):
        arrived(waiting_process, {0: 1, 1: 0})


def test_the_warm_rate_counts_only_the_second_half() -> None:
    arrivals = Arrivals(rows=1_000, first_at=2, half_at=6, half_rows=600, last_at=8)
    assert (arrivals.cold, arrivals.warm) == (125, 200)


def test_without_java_or_its_jars_each_figure_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(_pom: Path) -> Path:
        raise LocalStackError("mvn failed: unknown host")

    def reasons() -> set[str]:
        results = list(beside_debezium.figures(TINY, Servers(tmp_path), frozenset()))
        assert [result.name for result in results] == list(beside_debezium.FIGURES)
        return {result.why for result in results if isinstance(result, NotMeasured)}

    monkeypatch.setattr(java, "lacking", lambda: "java or mvn is not on the PATH")
    assert reasons() == {"Debezium runs on Java, but java or mvn is not on the PATH"}
    monkeypatch.setattr(java, "lacking", lambda: None)
    monkeypatch.setattr(java, "jars", offline)
    assert reasons() == {"Debezium's jars cannot be resolved: mvn failed: unknown host"}
