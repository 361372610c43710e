"""The initial load when it is interrupted, requested again, or begun by two captures."""

from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers.loads import initial_load
from producers.loads.initial_load import InitialLoad
from producers.source import preflight, sessions, source_setup, table_rows
from producers.source.catalog import Connection
from producers.source.preflight import CheckedSource
from producers.source.replication import ExportedSnapshot, Walsender
from tests.support.capturing import Captured, SilentKafka, Topic, add_persons, capturing
from tests.support.waiting import until


def test_an_interrupted_load_starts_over_with_a_higher_epoch(
    source: Connection, settings: Settings, published: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_persons(source, *range(50))
    monkeypatch.setattr(table_rows, "_FETCH_ROWS", 10)
    with monkeypatch.context() as context:
        silent = SilentKafka(context)
        running = Captured(settings.model_copy(update={"inflight_limit": 20}))
        until(lambda: len(silent.sent) > 20, what="the load waits for Kafka")
        running.stop.set()
        running.thread.join(60)
        assert (running.error, True in running.readiness) == (None, False)
    broken = epoch_of(source)
    with capturing(settings):
        until(lambda: len(published.rows()) == 50, what="all are published")
    assert {change.position.epoch for _, change in published.changes} == {epoch_of(source)}
    assert epoch_of(source) > broken


def test_a_reload_begins_while_capture_runs(source: Connection, settings: Settings, published: Topic) -> None:
    add_persons(source, 1)
    with capturing(settings):
        source_setup.apply(source, settings, reload=True)
        until(lambda: len(published.rows()) == 2, what="the person is loaded again")
    first, second = (change.position.epoch for change in published.persons())
    assert first < second == epoch_of(source)


def test_a_source_restored_from_an_older_backup_repeats_no_epoch(source: Connection, settings: Settings) -> None:
    """Its stored epoch is an older one, but its clock goes on."""
    with capturing(settings):
        pass
    before = epoch_of(source)
    source.execute("update imsfeed.capture set epoch = 1, loaded_at = null")
    with capturing(settings):
        pass
    assert epoch_of(source) >= before > 1


def test_a_clock_set_back_repeats_no_epoch(source: Connection, settings: Settings) -> None:
    source.execute("update imsfeed.capture set epoch = 90000000000")
    with capturing(settings):
        pass
    assert epoch_of(source) == 90000000001


def epoch_of(source: Connection) -> int:
    (epoch,) = source.execute("select epoch from imsfeed.capture").fetchone() or (0,)
    return int(epoch)


def is_loaded(source: Connection) -> bool:
    return source.execute("select loaded_at is not null from imsfeed.capture").fetchone() == (True,)


def test_a_load_is_complete_when_kafka_has_every_row(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = SilentKafka(monkeypatch)
    running = Captured(settings)
    try:
        until(lambda: len(silent.sent) == 5, what="two owners and three heartbeats are sent")
        alive = running.value("last_progress_timestamp_seconds")
        until(lambda: running.value("last_progress_timestamp_seconds") > alive + 0.5, what="the load waits")
        assert not is_loaded(source)
        until(lambda: silent.acknowledged() and running.is_ready(), what="capture streams")
        assert is_loaded(source)
    finally:
        running.end()


def a_load(settings: Settings, checked: CheckedSource) -> int:
    publisher: Any = None
    walsender: Any = None
    metrics = CaptureMetrics(CollectorRegistry())
    return InitialLoad(settings, publisher, metrics, Stop()).run(checked, walsender)


def test_a_load_is_refused_while_another_capture_loads(source: Connection, settings: Settings) -> None:
    checked = preflight.check(source, settings)
    initial_load._lock(source, settings.source_slot)
    with pytest.raises(psycopg.errors.ObjectInUse):
        a_load(settings, checked)
    assert preflight.check(source, settings).epoch == 0


def test_a_load_done_by_another_capture_is_not_repeated(source: Connection, settings: Settings) -> None:
    checked = preflight.check(source, settings)
    source.execute("update imsfeed.capture set epoch = 4, loaded_at = now()")
    assert a_load(settings, checked) == 4


def test_a_load_by_another_capture_is_noticed_at_start(
    source: Connection, settings: Settings, published: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(settings):
        pass
    check = preflight.check

    def then_overtaken(connection: Connection, of: Settings) -> CheckedSource:
        monkeypatch.setattr(preflight, "check", check)
        checked = check(connection, of)
        with sessions.connect(of.source(), "test") as another:
            another.execute("update imsfeed.capture set epoch = epoch + 1")
        return checked

    monkeypatch.setattr(preflight, "check", then_overtaken)
    with capturing(settings):
        add_persons(source, 1)
        until(published.persons, what="the person is published")
    assert [change.position.epoch for change in published.persons()] == [epoch_of(source)]


def test_a_row_inserted_during_the_load_is_only_streamed(
    source: Connection, settings: Settings, published: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_slot = Walsender.create_slot

    def then_a_row_comes(walsender: Walsender, slot: str) -> ExportedSnapshot:
        snapshot = create_slot(walsender, slot)
        add_persons(source, 1)
        return snapshot

    monkeypatch.setattr(Walsender, "create_slot", then_a_row_comes)
    with capturing(settings):
        add_persons(source, 2)
        until(lambda: (1, "c", 2) in published.rows(), what="the next person is published")
    assert published.rows() == [(1, "c", 1), (1, "c", 2)]
