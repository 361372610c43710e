"""The snapshot's hour, on ordinary days and on the nights when the clocks change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims.targets.schedule import due_snapshot, local_day, next_midnight, next_snapshot

OSLO = ZoneInfo("Europe/Oslo")
NIGHTS = {
    "spring 2026": date(2026, 3, 29),
    "autumn 2026": date(2026, 10, 25),
    "spring 2027": date(2027, 3, 28),
    "autumn 2027": date(2027, 10, 31),
}
HOURS = st.integers(0, 23)
ZONES = st.sampled_from([
    OSLO,
    *map(ZoneInfo, ("America/New_York", "Australia/Lord_Howe", "America/Havana", "Antarctica/Troll", "UTC")),
])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


def oslo(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OSLO)


def taken(moments: list[datetime], hour: int, zone: ZoneInfo, last: date) -> list[tuple[date, datetime]]:
    """Return days and times of the snapshots of a process that checks the schedule at each of these times."""
    snapshots = []
    for now in moments:
        due = due_snapshot(now, hour, zone, last)
        if due is not None:
            snapshots.append((due, now))
            last = due
    return snapshots


def minutes_around(day: date) -> list[datetime]:
    noon_before = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - timedelta(days=1)
    return [noon_before + timedelta(minutes=minutes) for minutes in range(48 * 60)]


def test_no_snapshot_is_due_before_the_hour() -> None:
    assert due_snapshot(oslo("2026-06-02T01:59:59"), 2, OSLO, date(2026, 6, 1)) is None


def test_a_snapshot_is_due_at_the_hour() -> None:
    assert due_snapshot(oslo("2026-06-02T02:00"), 2, OSLO, date(2026, 6, 1)) == date(2026, 6, 2)


def test_a_day_with_its_snapshot_is_not_due_again() -> None:
    assert due_snapshot(oslo("2026-06-02T23:59"), 2, OSLO, date(2026, 6, 2)) is None


def test_only_the_latest_of_several_missed_days_is_due() -> None:
    assert due_snapshot(oslo("2026-06-09T01:00"), 2, OSLO, date(2026, 6, 1)) == date(2026, 6, 8)
    assert due_snapshot(oslo("2026-06-09T03:00"), 2, OSLO, date(2026, 6, 1)) == date(2026, 6, 9)


def test_a_target_without_snapshots_is_due_for_the_latest_day() -> None:
    assert due_snapshot(oslo("2026-06-09T01:00"), 2, OSLO, None) == date(2026, 6, 8)


def test_a_clock_set_back_causes_no_second_snapshot() -> None:
    assert due_snapshot(oslo("2026-06-01T05:00"), 2, OSLO, date(2026, 6, 2)) is None


@pytest.mark.parametrize("night", NIGHTS.values(), ids=NIGHTS)
@pytest.mark.parametrize("hour", range(24))
def test_every_hour_is_reached_once_when_the_clocks_change(night: date, hour: int) -> None:
    minutes = minutes_around(night)
    first = local_day(minutes[0], OSLO)
    snapshots = taken(
        minutes, hour, OSLO, first if hour <= minutes[0].astimezone(OSLO).hour else first - timedelta(days=1)
    )
    days = [day for day, _ in snapshots]
    assert days == sorted(set(days))
    assert night in days
    assert [day for day in (first, night, night + timedelta(days=1)) if day in days] == days
    for day, at in snapshots:
        wanted = 3 if (day, hour) in {(NIGHTS["spring 2026"], 2), (NIGHTS["spring 2027"], 2)} else hour
        assert (at.astimezone(OSLO).date(), at.astimezone(OSLO).hour, at.minute) == (day, wanted, 0)


@pytest.mark.parametrize(
    ("night", "utc_hour"), [("spring 2026", 1), ("spring 2027", 1), ("autumn 2026", 0), ("autumn 2027", 0)]
)
def test_two_o_clock_is_reached_once_when_the_clocks_change(night: str, utc_hour: int) -> None:
    day = NIGHTS[night]
    midnight = datetime(day.year, day.month, day.day, tzinfo=OSLO)
    assert next_snapshot(midnight, 2, OSLO) == datetime(day.year, day.month, day.day, utc_hour, tzinfo=UTC)


@pytest.mark.parametrize("night", NIGHTS.values(), ids=NIGHTS)
@pytest.mark.parametrize("hour", range(24))
def test_the_next_snapshot_is_when_one_becomes_due(night: date, hour: int) -> None:
    for now in minutes_around(night)[::30]:
        last = due_snapshot(now, hour, OSLO, None)
        then = next_snapshot(now, hour, OSLO)
        assert then > now
        assert then.tzinfo is UTC
        assert due_snapshot(then - timedelta(microseconds=1), hour, OSLO, last) is None
        assert due_snapshot(then, hour, OSLO, last) == local_day(then, OSLO)


@given(start=MOMENTS, steps=st.lists(st.integers(0, 60 * 60 * 80), max_size=40), hour=HOURS, zone=ZONES)
def test_no_day_gets_two_snapshots(start: datetime, steps: list[int], hour: int, zone: ZoneInfo) -> None:
    moments = [start]
    for step in steps:
        moments.append(moments[-1] + timedelta(seconds=step))
    days = [day for day, _ in taken(moments, hour, zone, local_day(start, zone) - timedelta(days=1))]
    assert days == sorted(set(days))


@given(start=MOMENTS, length=st.integers(1, 10), hour=HOURS, zone=ZONES)
def test_no_day_is_missed_while_the_process_runs(start: datetime, length: int, hour: int, zone: ZoneInfo) -> None:
    moments = [start + timedelta(minutes=10 * step) for step in range(length * 144)]
    last = due_snapshot(start, hour, zone, None)
    assert last is not None
    end = due_snapshot(moments[-1], hour, zone, None)
    assert end is not None
    expected = [last + timedelta(days=days) for days in range(1, (end - last).days + 1)]
    assert [day for day, _ in taken(moments, hour, zone, last)] == expected
    assert len(expected) >= length - 1


@given(now=MOMENTS, zone=ZONES)
def test_the_next_midnight_begins_the_next_day(now: datetime, zone: ZoneInfo) -> None:
    midnight = next_midnight(now, zone)
    assert midnight > now
    assert local_day(midnight, zone) == local_day(now, zone) + timedelta(days=1)
    assert local_day(midnight - timedelta(microseconds=1), zone) == local_day(now, zone)


def test_the_day_is_that_of_the_time_zone() -> None:
    assert local_day(datetime(2026, 6, 1, 22, 30, tzinfo=UTC), OSLO) == date(2026, 6, 2)
    assert local_day(datetime(2026, 12, 1, 22, 30, tzinfo=UTC), OSLO) == date(2026, 12, 1)
