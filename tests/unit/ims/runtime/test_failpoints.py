"""The failpoints themselves; tests/acceptance has what becomes of a process that ends at one."""

import os
import re
import subprocess
import sys

import pytest

from ims.errors import InvalidSettingsError
from ims.runtime import failpoints
from ims.runtime.failpoints import EXIT_CODE, FAILPOINTS, arm, failpoint
from tests.support.paths import ROOT


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list with one entry for each time that the process would have ended."""
    ends: list[str] = []
    monkeypatch.setattr(failpoints, "end", lambda: ends.append("ended"))
    monkeypatch.setattr(failpoints, "_armed", None)
    return ends


def test_a_process_without_an_armed_failpoint_does_not_end(ended: list[str]) -> None:
    arm(None)
    for name in FAILPOINTS:
        failpoint(name)
    assert ended == []


def test_a_process_ends_at_the_armed_failpoint_only(ended: list[str]) -> None:
    arm("delta.linked")
    failpoint("delta.before_link")
    assert ended == []
    failpoint("delta.linked")
    assert ended == ["ended"]


def test_a_number_lets_the_process_pass_before(ended: list[str]) -> None:
    arm("delta.linked:3")
    failpoint("delta.linked")
    failpoint("delta.linked")
    assert ended == []
    failpoint("delta.linked")
    assert ended == ["ended"]


@pytest.mark.parametrize("wanted", ["delta", "delta.linked:", "delta.linked:0", "delta.linked:-1", "delta.linked:x"])
def test_an_unknown_failpoint_is_refused(wanted: str, ended: list[str]) -> None:
    with pytest.raises(InvalidSettingsError, match="FAILPOINT"):
        arm(wanted)
    assert ended == []


def test_a_failpoint_ends_the_process_like_a_kill() -> None:
    program = "from ims.runtime import failpoints as c\nc.arm('publication.committed')\n"
    program += "try: c.failpoint('publication.committed')\n"
    program += "finally: print('cleaned up')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (EXIT_CODE, "")


def test_a_command_refuses_an_unknown_failpoint() -> None:
    command = [sys.executable, "-m", "deploy", "settings"]
    environment = {**os.environ, "FAILPOINT": "delta.likned"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no failpoint 'delta.likned'" in done.stderr


def test_the_code_has_every_failpoint_exactly_once() -> None:
    sources = [path for folder in ("producers", "consumers") for path in (ROOT / folder).rglob("*.py")]
    used = [name for path in sources for name in re.findall(r'failpoint\("([^"]*)"\)', path.read_text())]
    assert sorted(used) == sorted(FAILPOINTS)
