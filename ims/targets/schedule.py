"""When the daily snapshot is due: at one whole hour of every local day, exactly once.

A day's hour is reached once, also when the clocks change: in spring, if the hour does not exist, at the moment the
clocks are put forward; in autumn, if it comes twice, the first time. A process that was down at the hour catches up; of
several missed days only the latest gets a snapshot.

All datetimes passed in must be aware; those returned are in UTC.

>>> oslo = ZoneInfo("Europe/Oslo")
>>> spring_night = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
>>> next_snapshot(spring_night, 2, oslo).astimezone(oslo).isoformat()
'2026-03-29T03:00:00+02:00'
>>> autumn_night = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
>>> due_snapshot(autumn_night, 2, oslo, date(2026, 10, 24))
datetime.date(2026, 10, 25)
>>> due_snapshot(autumn_night + timedelta(hours=1), 2, oslo, date(2026, 10, 25)) is None
True
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def due_snapshot(now: datetime, hour: int, zone: ZoneInfo, last: date | None) -> date | None:
    """Return the local day whose snapshot is due now, or ``None``.

    Args:
        now: the time.
        hour: whole hour of the day, 0 to 23.
        zone: the time zone in which day and hour are counted.
        last: local day of the last snapshot taken at its hour, or ``None``.

    Returns:
        The latest local day whose hour has been reached, unless that day (or a later one) has its snapshot.
    """
    today = local_day(now, zone)
    reached = today if snapshot_moment(today, hour, zone) <= now else today - timedelta(days=1)
    return reached if last is None or last < reached else None


def next_snapshot(now: datetime, hour: int, zone: ZoneInfo) -> datetime:
    """Return the next time after *now* at which a local day's *hour* is reached."""
    return next_moment(now, time(hour), zone)


def snapshot_moment(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return the time at which the local day's *hour* is reached."""
    return _reached(day, time(hour), zone)


def next_moment(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    """Return the next time after *now* at which the time of day *at* is reached."""
    today = local_day(now, zone)

    moments = (_reached(today + timedelta(days=days), at, zone) for days in range(3))
    return next(moment for moment in moments if moment > now)


def local_day(now: datetime, zone: ZoneInfo) -> date:
    """Return the date in the time zone."""
    return now.astimezone(zone).date()


def next_midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the time at which the next local day begins."""
    return next_snapshot(now, 0, zone)


def _reached(day: date, at: time, zone: ZoneInfo) -> datetime:
    # With fold=0 a time that comes twice is the first of the two, and one that does not exist is converted with the
    # offset from before the change, which makes it the moment at which the clocks are put forward.
    return datetime.combine(day, at, zone).astimezone(UTC)
