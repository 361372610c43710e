"""The source's time by its heartbeats."""

from datetime import UTC, datetime, timedelta

from consumers.compact.heartbeats import Heartbeats

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
PARTITION, OTHER = ("imsfeed.changes", 0), ("imsfeed.changes", 1)


def time(beats: Heartbeats, beat: float, running: float, database: float | None = None) -> datetime | None:
    """Return the time that *beats* tells; all are seconds after noon."""
    seen = NOON + timedelta(seconds=running if database is None else database)
    return beats.time({PARTITION: NOON + timedelta(seconds=beat)}, timedelta(seconds=running), seen)


def test_one_heartbeat_alone_tells_no_time() -> None:
    assert time(Heartbeats(), 0, 0) is None


def test_heartbeats_at_times_own_pace_tell_the_time() -> None:
    beats = Heartbeats()
    time(beats, -900_000, 0)
    assert time(beats, -899_990, 10) == NOON - timedelta(seconds=899_990)
    assert time(beats, -899_990, 14) == NOON - timedelta(seconds=899_986)


def test_heartbeats_that_are_caught_up_with_tell_no_time() -> None:
    beats = Heartbeats()
    for second in range(20):
        assert time(beats, 3600 * second - 80_000, second) is None


def test_a_silent_source_tells_no_time() -> None:
    beats = Heartbeats()
    time(beats, 0, 0)
    assert time(beats, 10, 10) is not None
    assert time(beats, 10, 400) is None


def test_a_leap_of_one_clock_does_not_move_the_sources_time() -> None:
    beats = Heartbeats()
    time(beats, 0, 0)
    time(beats, 10, 10)
    assert time(beats, 10, 12, database=26_000_000) == NOON + timedelta(seconds=12)
    assert time(beats, 20, 20, database=26_000_008) == NOON + timedelta(seconds=20)


def test_the_partition_that_is_least_behind_tells_the_time() -> None:
    beats = Heartbeats()
    later = NOON + timedelta(seconds=10)
    for at in (NOON, later):
        beats.time({PARTITION: at, OTHER: at - timedelta(hours=3)}, at - NOON, at)
    found = beats.time({PARTITION: later, OTHER: later - timedelta(hours=3)}, later - NOON, later)
    assert found == later
