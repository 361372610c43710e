"""The figures of `make bench` can be measured; at this size the values have no meaning.

The figures beside Debezium, and those of two processes of each kind, take too long for every run of the tests.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.benchmarks.debezium import beside_debezium
from tests.benchmarks.figure import WANTED
from tests.benchmarks.whole import two_vs_one
from tests.support.fixtures.kafka import kafka_is_required
from tests.support.servers import java


@pytest.mark.skipif(bool(java.lacking()) and not kafka_is_required(), reason="the benchmarks run on Apache Kafka")
def test_the_figures_can_be_measured(tmp_path: Path) -> None:
    output, names = tmp_path / "bench.json", WANTED.keys() - {*beside_debezium.FIGURES, *two_vs_one.FIGURES}
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks", "--tiny", "--only", ",".join(names)]
    command += ["--output", str(output)]
    # What is measured runs as in production, without measuring its coverage.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures: list[dict[str, Any]] = msgspec.json.decode(output.read_bytes())
    assert {figure["name"] for figure in figures} == names
    assert all(figure["ours"] > 0 for figure in figures if figure["name"] != "idle_cpu_percent")
