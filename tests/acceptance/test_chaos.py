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
    assert "clean: nothing is missing, repeated or out of order" in done.stdout


def test_a_terminated_run_ends_its_servers_and_itself() -> None:
    command = [sys.executable, "-u", "-m", "tests.chaos", "--seed", "6", "--duration", "600"]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "ignore"}, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        try:
            # Two faults are under way by then, and the main thread waits for the end of the run.
            assert any("kill -9" in line for line in run.stdout)
            run.terminate()
            rest, _ = run.communicate(timeout=60)
        finally:
            run.kill()
    assert "interrupted" in rest
    assert run.returncode == 130
