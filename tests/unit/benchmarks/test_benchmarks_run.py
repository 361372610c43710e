"""How a run of the benchmarks reports what it has measured, and what it could not measure."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks.figure import Figure, NotMeasured
from tests.benchmarks.servers import Servers
from tests.benchmarks.sizes import Sizes

Written = list[dict[str, Any]]


def a_delta(_sizes: Sizes, _servers: Servers, _wanted: frozenset[str]) -> Iterator[Figure | NotMeasured]:
    yield Figure("delta_100k_vs_lxml", 60, 100, "changes/s")
    yield Figure("two_vs_one", 120, 100, "events/s")


def one_that_fails(_sizes: Sizes, _servers: Servers, _wanted: frozenset[str]) -> Iterator[Figure | NotMeasured]:
    yield Figure("idle_cpu_percent", 3, None, "% of one core")
    raise RuntimeError("no disk")


def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str) -> tuple[int, Written]:
    """Run with these arguments; return the exit code and what was written."""
    output = tmp_path / "bench.json"
    monkeypatch.setattr(sys, "argv", ["bench", "--output", str(output), *arguments])
    registered = ((("idle_cpu_percent", "idle_memory_mb"), one_that_fails), (("delta_100k_vs_lxml",), a_delta))
    monkeypatch.setattr(benchmarks, "BENCHMARKS", registered)
    code = benchmarks.main()
    return code, msgspec.json.decode(output.read_bytes(), type=Written)


def test_a_figure_is_written_with_its_ratio_and_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, written = measured(monkeypatch, tmp_path, "--only", "delta_100k_vs_lxml", "--size", "changes=7")
    assert code == 0
    assert written == [
        {
            "name": "delta_100k_vs_lxml",
            "ours": 60,
            "reference": 100,
            "ratio": 0.6,
            "unit": "changes/s",
            "command": "python -m tests.benchmarks --only delta_100k_vs_lxml --size changes=7",
            "wanted": "≥ 0.5",
            "reached": True,
            "note": "",
        }
    ]


def test_a_failing_benchmark_is_reported_and_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, written = measured(monkeypatch, tmp_path)
    assert code == 1
    assert [(figure["name"], figure.get("reached")) for figure in written] == [
        ("idle_cpu_percent", False),
        ("idle_memory_mb", None),
        ("delta_100k_vs_lxml", True),
        ("two_vs_one", False),
    ]
    assert "no disk" in written[1]["why"]
    assert "RuntimeError: no disk" in capsys.readouterr().out


def test_no_benchmark_begins_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, written = measured(monkeypatch, tmp_path, "--minutes", "-1", "--only", "delta_100k_vs_lxml")
    assert (code, written) == (1, [{"name": "delta_100k_vs_lxml", "why": "the time is up; see --minutes"}])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "delta,two_vs_one"], "no figure is called delta;"),
        (["--size", "deltas=7"], "--size deltas=7: the sizes are"),
        (["--size", "changes=0"], "--size changes=0: write changes=NUMBER"),
    ],
)
def test_a_meaningless_argument_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit, match="2"):
        measured(monkeypatch, tmp_path, *arguments)
    assert message in capsys.readouterr().err
