"""A clock that leaps: noticed before it is believed, and taken back if it was."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from consumers.compact.witnessed_clock import WitnessedClock
from consumers.database.clocks import clock_troubles
from ims.publication.clock import ClockTrouble, Judgement
from ims.records.vocabulary import RecStatus
from ims.runtime.metrics import CompactMetrics
from tests.support.builders import a_group, an_enrolment
from tests.support.feed_words import changes, group, member, person
from tests.support.pipeline import Pipeline

NEW, GONE = RecStatus.NEW, RecStatus.GONE
LEAP = timedelta(days=300)


class Watch:
    """A witnessed clock whose machine's clock and running clock are set by the test."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.running = 0.0
        self.off = timedelta()
        self.metrics = CompactMetrics(CollectorRegistry())
        self.clock = self.started()

    def started(self) -> WitnessedClock:
        """Return the clock of a process that has just started."""
        return WitnessedClock(self.metrics, lambda: datetime.now(UTC) + self.off, lambda: self.running)

    def look(self) -> Judgement:
        """Let two seconds pass and return the time."""
        self.running += 2
        return self.clock.now(self.pipeline.connection)

    def shown(self) -> set[str]:
        """Return the troubles that the metric shows."""
        samples = next(iter(self.metrics.clock_trouble.collect())).samples
        return {sample.labels["clock"] for sample in samples if sample.value == 1}


@pytest.fixture
def watch(pipeline: Pipeline) -> Watch:
    return Watch(pipeline)


def almost(judged: Judgement, wanted: datetime) -> bool:
    return abs(judged.now - wanted) < timedelta(minutes=1)


def test_a_machine_that_leaps_works_by_the_databases_clock(watch: Watch) -> None:
    assert almost(watch.look(), datetime.now(UTC))
    watch.off = LEAP
    judged = watch.look()
    assert almost(judged, datetime.now(UTC))
    assert judged.trouble is ClockTrouble.LOCAL
    assert [status.trouble for status in clock_troubles(watch.pipeline.connection)] == [ClockTrouble.LOCAL]
    assert watch.shown() == {"local"}
    watch.off = timedelta()
    assert watch.look().trouble is None
    assert not clock_troubles(watch.pipeline.connection)
    assert watch.shown() == set()


def test_a_leap_of_both_is_seen_after_a_restart_too(watch: Watch) -> None:
    watch.look()
    connection = watch.pipeline.connection
    # As if both clocks had leapt while compact was stopped: the time that was believed is far behind.
    connection.execute("update imsfeed.clock set believed_at = believed_at - %s", (LEAP,))
    watch.clock = watch.started()
    judged = watch.look()
    assert judged.trouble is ClockTrouble.LEAP
    assert almost(judged, datetime.now(UTC) - LEAP)


def test_a_day_that_was_believed_wrongly_is_taken_back(published: Pipeline) -> None:
    today = published.now.date()
    published.commit(an_enrolment(3, person=2, group=2, ends_on=today + timedelta(days=30)))
    published.commit(a_group(1, ends_on=today + timedelta(days=60)))
    published.compact(seconds=1)
    head = published.manifest().head_seq
    published.compact(days=300)
    assert (person(2), GONE) in changes(published.delta(head + 1))
    assert (group("group-1"), GONE) in changes(published.delta(head + 1))
    published.compact(days=-300)
    back = changes(published.delta(published.manifest().head_seq))
    assert {(person(2), NEW), (member("group-2", 2), NEW), (group("group-1"), NEW)} <= back
    departures = published.connection.execute("select count(*) from imsfeed.departure").fetchone()
    assert departures == (0,), "departures of a wrong day count against no leaver"
    assert not published.verification().problems


def test_the_daily_snapshot_goes_on_after_a_wrong_day(published: Pipeline) -> None:
    published.compact(days=300)
    published.compact(days=-300, minutes=5)
    assert published.manifest().state == "ok"
    published.compact(days=1)
    assert published.manifest().snapshot.path.startswith(f"snapshots/{published.now.date()}")


def test_midnight_is_not_taken_back_by_clocks_that_differ_a_little(published: Pipeline) -> None:
    today = published.now.date()
    published.commit(an_enrolment(3, person=2, group=2, ends_on=today))
    published.compact(hours=12, seconds=5)  # 22:00 UTC is midnight in Oslo
    head = published.manifest().head_seq
    assert (person(2), GONE) in changes(published.delta(head))
    published.compact(seconds=-10)
    assert published.manifest().head_seq == head


def test_a_quiet_feed_goes_on_after_a_stop_of_months(published: Pipeline) -> None:
    published.compact(days=100)
    assert published.manifest().state == "ok"
    assert published.manifest().snapshot.path.startswith(f"snapshots/{published.now.date()}")
