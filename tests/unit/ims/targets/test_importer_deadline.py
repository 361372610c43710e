"""The importer deadline, and whether the daily snapshot is there in time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ims.targets.importer_deadline import (
    is_short_notice,
    last_due,
    margin,
    ready_by,
    settings_warning,
    snapshot_is_missing,
)
from ims.targets.target_settings import TargetSettings
from tests.support.builders import a_target

YESTERDAY, TODAY = date(2026, 10, 14), date(2026, 10, 15)


def oslo(hour: int, minute: int = 0) -> datetime:
    """Return a time of TODAY in Oslo, two hours ahead of UTC."""
    return datetime(2026, 10, 15, hour, minute, tzinfo=UTC) - timedelta(hours=2)


def a_feed(sync: str | None = "03:30", **changes: Any) -> TargetSettings:
    return a_target(importer_sync_time=sync, **changes)


@pytest.mark.parametrize(
    ("sync", "ready"),
    [("03:30", oslo(3, 30)), ("02:00", oslo(2) + timedelta(days=1)), ("01:59", oslo(1, 59) + timedelta(days=1))],
)
def test_the_deadline_is_the_importers_next_reading(sync: str, ready: datetime) -> None:
    assert ready_by(oslo(2), a_feed(sync)) == ready


def test_a_deadline_in_the_skipped_hour_is_the_clock_change() -> None:
    settings = a_feed("02:30", snapshot_hour=1)
    assert ready_by(datetime(2026, 3, 29, 0, tzinfo=UTC), settings) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_target_without_importer_hour_has_no_deadline() -> None:
    settings = a_feed(None)
    assert ready_by(oslo(2), settings) is None
    assert margin(settings, oslo(4), first_at=oslo(2), taken_at=oslo(2)) is None
    assert settings_warning(settings) is None


@pytest.mark.parametrize(
    ("hour", "sync", "short"),
    [
        (2, "03:00", False),
        (2, "02:59", True),
        (2, "02:00", True),
        (2, "01:59", False),
        (23, "23:30", True),
        (23, "00:00", False),
    ],
)
def test_less_than_an_hour_is_short_notice(hour: int, sync: str, short: bool) -> None:
    settings = a_feed(sync, snapshot_hour=hour)
    assert is_short_notice(settings) is short
    assert (settings_warning(settings) is not None) is short


def test_a_warning_says_which_target_and_what_to_do() -> None:
    assert settings_warning(a_feed("02:30")) == (
        "target lms: the snapshot is made at 02:00 and the importer reads at 02:30, less than an hour later;"
        " set snapshot_hour earlier"
    )


@pytest.mark.parametrize(
    ("sync", "now", "missing"),
    [
        (None, oslo(1, 59), False),
        (None, oslo(2, 15), False),
        (None, oslo(2, 16), True),
        ("03:30", oslo(2, 16), True),
        ("02:05", oslo(2, 5), False),
        ("02:05", oslo(2, 6), True),
    ],
)
def test_a_snapshot_is_missing_after_fifteen_minutes_or_the_deadline(
    sync: str | None, now: datetime, missing: bool
) -> None:
    assert snapshot_is_missing(a_feed(sync), YESTERDAY, now) is missing
    assert not snapshot_is_missing(a_feed(sync), TODAY, now)


def test_a_snapshot_missing_for_days_stays_missing() -> None:
    two_days_ago = YESTERDAY - timedelta(days=1)
    for now in (oslo(1, 59), oslo(2), oslo(2, 1), oslo(3)):
        assert snapshot_is_missing(a_feed(None), two_days_ago, now), now


def test_the_margin_is_the_time_left_after_the_snapshot() -> None:
    settings, first = a_feed(), oslo(2) - timedelta(days=9)
    assert last_due(settings, oslo(12)) == oslo(2)
    assert margin(settings, oslo(12), first_at=first, taken_at=oslo(2, 1)) == timedelta(minutes=89)


def test_the_margin_becomes_negative_without_a_snapshot() -> None:
    settings, first = a_feed(), oslo(2) - timedelta(days=9)
    assert margin(settings, oslo(3), first_at=first, taken_at=None) == timedelta(minutes=30)
    assert margin(settings, oslo(4), first_at=first, taken_at=None) == -timedelta(minutes=30)


def test_a_feed_that_begins_after_the_deadline_has_no_margin() -> None:
    assert margin(a_feed(), oslo(12), first_at=oslo(11), taken_at=oslo(11)) is None
    assert margin(a_feed(), oslo(12), first_at=None, taken_at=None) is None
