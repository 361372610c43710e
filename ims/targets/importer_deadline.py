"""The importer deadline: when a target's daily snapshot must be there, and whether it was.

An importer that reads at a fixed hour takes what it finds: a snapshot that is a minute late is read a day later.

>>> from datetime import UTC
>>> settings = TargetSettings(name="lms", owner=1, snapshot_hour=2, importer_sync_time="03:30")
>>> ready_by(datetime(2026, 10, 15, 0, tzinfo=UTC), settings).isoformat()
'2026-10-15T01:30:00+00:00'
>>> is_short_notice(settings)
False
"""

from datetime import date, datetime, time, timedelta
from typing import Final

from ims.targets.email_address import is_valid
from ims.targets.schedule import due_snapshot, next_moment, snapshot_moment
from ims.targets.target_settings import TargetSettings

NOTICE: Final = timedelta(hours=1)
"""Least time between a snapshot's hour and its importer's: time to notice that something is wrong, and to fix it."""
_LATE_AFTER: Final = timedelta(minutes=15)
"""A snapshot takes minutes at most; one that is not there by then needs an operator."""


def ready_by(snapshot_at: datetime, settings: TargetSettings) -> datetime | None:
    """Return when the snapshot due at *snapshot_at* must be there, in UTC; ``None`` if no importer hour is set."""
    if settings.importer_sync_time is None:
        return None
    return next_moment(snapshot_at, time.fromisoformat(settings.importer_sync_time), settings.zone)


def is_short_notice(settings: TargetSettings) -> bool:
    """Return True if the snapshot is made less than an hour before the importer reads it."""
    if settings.importer_sync_time is None:
        return False
    sync = time.fromisoformat(settings.importer_sync_time)
    minutes = (sync.hour - settings.snapshot_hour) * 60 + sync.minute
    return timedelta(minutes=minutes % (24 * 60)) < NOTICE


def settings_warning(settings: TargetSettings) -> str | None:
    """Return a warning for the operator about settings that are valid but unwise, or ``None``."""
    unusable = sum(not is_valid(address) for address in settings.case_workers)
    if unusable:
        return (
            f"target {settings.name}: {unusable} of the addresses in `case_workers` cannot be mailed to; correct them"
        )
    if not is_short_notice(settings):
        return None
    return (
        f"target {settings.name}: the snapshot is made at {settings.snapshot_hour:02}:00 and the importer reads at"
        f" {settings.importer_sync_time}, less than an hour later; set snapshot_hour earlier"
    )


def snapshot_is_missing(settings: TargetSettings, through: date | None, now: datetime) -> bool:
    """Return True if the daily snapshot is missing: a quarter of an hour late, or not there when the importer reads.

    Args:
        through: local day of the last snapshot taken at its hour, or ``None``.
    """
    day = due_snapshot(now, settings.snapshot_hour, settings.zone, through)
    if day is None:
        return False
    if through is not None and through < day - timedelta(days=1):
        return True  # an earlier day's snapshot was never made, however recently today's became due
    due = snapshot_moment(day, settings.snapshot_hour, settings.zone)
    importer_reads = ready_by(due, settings)
    late = due + _LATE_AFTER
    return now > (late if importer_reads is None else min(late, importer_reads))


def last_due(settings: TargetSettings, now: datetime) -> datetime:
    """Return when the newest snapshot that should be there was due, in UTC."""
    day = due_snapshot(now, settings.snapshot_hour, settings.zone, None)
    return snapshot_moment(day or now.date(), settings.snapshot_hour, settings.zone)


def margin(
    settings: TargetSettings, now: datetime, *, first_at: datetime | None, taken_at: datetime | None
) -> timedelta | None:
    """Return the deadline margin: how long before its importer's hour the newest snapshot was there.

    As long as the snapshot is not there, the margin is the time that is left.

    Args:
        first_at: when the target's oldest snapshot was made.
        taken_at: when the first snapshot since :func:`last_due` was made, if there is one.

    Returns:
        Negative if too late; ``None`` if the importer's hour is not known, or there was no feed at the deadline.
    """
    deadline = ready_by(last_due(settings, now), settings)
    if deadline is None or first_at is None or first_at > deadline:
        return None
    return deadline - (taken_at or now)
