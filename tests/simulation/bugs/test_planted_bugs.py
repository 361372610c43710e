"""Every planted bug is caught within a bounded number of schedules."""

import pytest

from tests.simulation.bugs.planted import BUGS
from tests.simulation.schedule import Schedule

SCHEDULES = 1_500


def run_all() -> None:
    for seed in range(SCHEDULES):
        Schedule(seed).run()


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - some bugs make the code under test itself stumble
        run_all()
    assert not isinstance(caught.value, AttributeError | NameError | TypeError), "the bug is planted wrongly"
