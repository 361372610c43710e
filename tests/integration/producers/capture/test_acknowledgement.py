"""What capture confirms to the source and sends again, with a broker that acknowledges when the test says so."""

from typing import Any

import pytest

from ims.runtime.settings import Settings
from producers.capture import stream
from producers.source.catalog import Connection
from tests.support.capturing import SilentKafka, Topic, add_persons, capturing
from tests.support.waiting import until


def confirmed(source: Connection, settings: Settings) -> int:
    query = "select (confirmed_flush_lsn - '0/0')::bigint from pg_replication_slots where slot_name = %s"
    (lsn,) = source.execute(query, [settings.source_slot]).fetchone() or (0,)
    return int(lsn)


def reports(source: Connection, settings: Settings) -> Any:
    """Return when capture last reported to the source."""
    query = (
        "select reply_time from pg_stat_replication join pg_replication_slots on pid = active_pid where slot_name = %s"
    )
    return (source.execute(query, [settings.source_slot]).fetchone() or (None,))[0]


def test_the_slot_moves_only_when_kafka_has_acknowledged(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(settings):
        pass
    silent = SilentKafka(monkeypatch)
    with capturing(settings):
        add_persons(source, 1)
        until(silent.persons, what="the person is sent")
        commit = silent.persons()[0].position.lsn
        for _ in range(3):
            former = reports(source, settings)
            until(lambda: reports(source, settings) > former, what="capture reports")  # noqa: B023 - called immediately
        assert confirmed(source, settings) <= commit
        assert silent.acknowledged()
        until(lambda: confirmed(source, settings) > commit, what="the slot moves")


def test_the_slot_is_never_ahead_of_the_stored_position(source: Connection, settings: Settings) -> None:
    with capturing(settings.model_copy(update={"heartbeat_seconds": 1000})):
        noted = "select (confirmable_lsn - '0/0')::bigint from imsfeed.capture"
        (lsn,) = source.execute(noted).fetchone() or (0,)
        add_persons(source, 1)
        for _ in range(3):
            former = reports(source, settings)
            until(lambda: reports(source, settings) > former, what="capture reports")  # noqa: B023 - called immediately
        assert confirmed(source, settings) <= lsn
    with capturing(settings):
        until(lambda: confirmed(source, settings) > lsn, what="the slot moves when it is noted")


def test_unacknowledged_messages_are_sent_again_unchanged(
    source: Connection, settings: Settings, published: Topic
) -> None:
    with capturing(settings):
        pass
    with pytest.MonkeyPatch.context() as monkeypatch:
        silent = SilentKafka(monkeypatch)
        with capturing(settings):
            add_persons(source, 1, 2)
            add_persons(source, 3, owner=2)
            until(lambda: len(silent.persons()) == 3, what="the persons are sent")
    with capturing(settings):
        until(lambda: len(published.rows()) == 3, what="the persons are published")
    assert published.persons() == silent.persons()


def test_an_idle_source_is_confirmed_too(source: Connection, settings: Settings) -> None:
    with capturing(settings) as running:
        source.execute("create table elsewhere as select generate_series(1, 1000)")
        (end,) = source.execute("select (pg_current_wal_lsn() - '0/0')::bigint").fetchone() or (0,)
        until(lambda: confirmed(source, settings) >= end, what="what is not published is confirmed too")
        until(lambda: running.value("source_lag_seconds") == 0, what="nothing is behind")


def test_capture_stops_reading_while_too_much_is_in_flight(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(settings):
        pass
    monkeypatch.setattr(stream, "_READ_LIMIT", 10)
    silent = SilentKafka(monkeypatch)
    with capturing(settings.model_copy(update={"inflight_limit": 20})) as running:
        add_persons(source, *range(200))
        until(lambda: len(silent.sent) >= 20, what="the limit is reached")
        alive = running.value("last_progress_timestamp_seconds")
        until(lambda: running.value("last_progress_timestamp_seconds") > alive + 2, what="the loop went on")
        assert len(silent.sent) < 40
        until(lambda: silent.acknowledged() and len(silent.persons()) == 200, what="all are sent")
