"""Whether a target's daily snapshot is there when its importer reads it.

An importer that reads at a fixed hour takes what it finds: a snapshot that comes a minute later is seen a day later.

>>> from datetime import UTC
>>> settings = TargetSettings(name="lms", owner=1, snapshot_hour=2, importer_sync_time="03:30")
>>> ready_by(datetime(2026, 10, 15, 0, tzinfo=UTC), settings).isoformat()
'2026-10-15T01:30:00+00:00'
>>> is_short_notice(settings)
False
"""

from datetime import date, datetime, time, timedelta
from typing import Final

from ims.targets.schedule import due_snapshot, next_moment, snapshot_moment
from ims.targets.target_settings import TargetSettings

NOTICE: Final = timedelta(hours=1)
"""Least time between a snapshot's hour and its importer's: time to notice that something is wrong, and to mend it."""
_LATE_AFTER: Final = timedelta(minutes=15)
"""A snapshot takes minutes at most; one that is not there by then will not come by itself."""


def ready_by(snapshot_at: datetime, settings: TargetSettings) -> datetime | None:
    """When the snapshot due at *snapshot_at* must be there, in UTC; ``None`` if the importer's hour is not known."""
    if settings.importer_sync_time is None:
        return None
    return next_moment(snapshot_at, time.fromisoformat(settings.importer_sync_time), settings.zone)


def is_short_notice(settings: TargetSettings) -> bool:
    """Whether the snapshot is made less than an hour before the importer reads it."""
    if settings.importer_sync_time is None:
        return False
    sync = time.fromisoformat(settings.importer_sync_time)
    minutes = (sync.hour - settings.snapshot_hour) * 60 + sync.minute
    return timedelta(minutes=minutes % (24 * 60)) < NOTICE


def settings_warning(settings: TargetSettings) -> str | None:
    """What an operator should be told about settings that are valid and yet unwise, if anything."""
    if not is_short_notice(settings):
        return None
    return (
        f"target {settings.name}: the snapshot is made at {settings.snapshot_hour:02}:00 and the importer reads at"
        f" {settings.importer_sync_time}, less than an hour later; set snapshot_hour earlier"
    )


def snapshot_is_missing(settings: TargetSettings, through: date | None, now: datetime) -> bool:
    """Whether the daily snapshot should have been there: a quarter of an hour late, or not there for the importer.

    Args:
        through: local day of the last snapshot taken at its hour.
    """
    day = due_snapshot(now, settings.snapshot_hour, settings.zone, through)
    if day is None:
        return False
    if through is not None and through < day - timedelta(days=1):
        return True  # an earlier day's was never there, however short a time ago today's became due
    due = snapshot_moment(day, settings.snapshot_hour, settings.zone)
    importer_reads = ready_by(due, settings)
    late = due + _LATE_AFTER
    return now > (late if importer_reads is None else min(late, importer_reads))


def last_due(settings: TargetSettings, now: datetime) -> datetime:
    """When the newest snapshot that should be there was due."""
    day = due_snapshot(now, settings.snapshot_hour, settings.zone, None)
    return snapshot_moment(day or now.date(), settings.snapshot_hour, settings.zone)


def margin(
    settings: TargetSettings, now: datetime, *, first_at: datetime | None, taken_at: datetime | None
) -> timedelta | None:
    """How long before its importer's hour the newest snapshot was there, or what is left while it is not.

    Args:
        first_at: when the target's oldest snapshot was made.
        taken_at: when the first snapshot since :func:`last_due` was made, if there is one.

    Returns:
        Negative when too late; ``None`` if it is not known when the importer reads, or there was no feed then.
    """
    deadline = ready_by(last_due(settings, now), settings)
    if deadline is None or first_at is None or first_at > deadline:
        return None
    return deadline - (taken_at or now)
