"""Many faults at the same time, for a fixed time; `make chaos` does the same for any time."""

import os
import subprocess
import sys

from tests.support.paths import ROOT

SECONDS = 30


def test_nothing_is_lost_or_doubled_when_everything_breaks() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--seed", "5", "--duration", str(SECONDS)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "ignore"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "clean: nothing missing, nothing twice, nothing out of order" in done.stdout
