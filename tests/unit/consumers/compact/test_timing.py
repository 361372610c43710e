"""How long compact waits between two steps if no notification comes."""

import pytest

from consumers.compact.timing import IDLE_SECONDS, IMMEDIATELY, SOON, Pace
from consumers.database.targets_table import FeedPosition, Outstanding, OwnerState, TargetRow
from tests.support.builders import ORGNR, a_target


def a_row(settling: float | None, registered: str | None = ORGNR) -> TargetRow:
    return TargetRow(
        target_id=1,
        owner_id=1,
        settings=a_target(),
        position=FeedPosition(epoch="e", orgnr=ORGNR, source="imsfeed", head_seq=1, has_snapshot=True),
        owner=OwnerState(registered),
        outstanding=Outstanding(settling=settling),
    )


@pytest.fixture
def pace() -> Pace:
    return Pace(0.2)


def test_without_any_change_compact_waits_the_longest_time(pace: Pace) -> None:
    assert pace.pause([]) == pace.pause([a_row(None)]) == IDLE_SECONDS


def test_the_next_step_comes_when_a_change_has_settled(pace: Pace) -> None:
    assert pace.pause([a_row(None), a_row(0.15), a_row(0.05)]) == pytest.approx(0.05)
    assert pace.pause([a_row(0.1999)]) == IMMEDIATELY


def test_a_settled_change_that_cannot_be_published_shortens_no_wait(pace: Pace) -> None:
    assert pace.pause([a_row(7.0)]) == pace.pause([a_row(0.1, registered=None)]) == IDLE_SECONDS


def test_a_short_wait_counts_for_one_step(pace: Pace) -> None:
    pace.within(SOON)
    pace.within(IDLE_SECONDS)
    assert pace.pause([a_row(0.05)]) == SOON
    assert pace.pause([]) == IDLE_SECONDS
