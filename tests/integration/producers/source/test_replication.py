"""Known pitfalls of PostgreSQL's logical replication and of libpq, each tried on a real server."""

import threading
from collections.abc import Iterator

import pytest

from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop
from ims.runtime.settings import Settings
from producers.source import preflight
from producers.source.catalog import Connection
from producers.source.replication import Walsender
from tests.support.capturing import SilentKafka, Topic, add_persons, capturing
from tests.support.waiting import until


class Ticker:
    """A thread that counts as fast as the interpreter lets it."""

    def __init__(self) -> None:
        self.ticks = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(0.001):
            self.ticks += 1

    def end(self) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture
def ticker() -> Iterator[Ticker]:
    ticker = Ticker()
    yield ticker
    ticker.end()


def test_waiting_for_a_silent_source_leaves_the_other_threads_running(
    source: Connection, settings: Settings, ticker: Ticker
) -> None:
    """A blocking read in libpq holds Python's lock, which would halt metrics, probes and Kafka's own thread."""
    assert not source.closed
    with Walsender(settings.source(), Stop(), lambda: None) as walsender:
        walsender.start(settings.source_slot, settings.source_publication)
        list(walsender.read(1000))
        before = ticker.ticks
        for _ in range(10):
            walsender.wait(0.1)
            list(walsender.read(1000))
        assert ticker.ticks - before > 10


def test_the_source_does_not_hang_up_while_kafka_is_silent(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capturing(settings):
        pass
    source.execute(f"alter database {source.info.dbname} set wal_sender_timeout = '2s'".encode())
    SilentKafka(monkeypatch)
    with capturing(settings) as running:
        add_persons(source, 1)
        begun = running.value("last_progress_timestamp_seconds")
        # More than three times the time that the source waits for a report.
        until(lambda: running.value("last_progress_timestamp_seconds") > begun + 7, within=30, what="time passes")
        assert running.value("replication_reconnects_total") == 0
        assert running.is_ready()


def test_rows_with_the_same_log_position_are_distinguished(
    source: Connection, settings: Settings, published: Topic
) -> None:
    with capturing(settings):
        with source.cursor().copy("copy person (owner_id, id, given_name, family_name) from stdin") as copy:
            for number in range(1, 1001):
                copy.write_row((1, number, "Ada", "Testesen"))
        until(lambda: len(published.rows()) == 1000, what="all rows are published")
    persons = published.persons()
    assert len({change.position for change in persons}) == 1000
    assert len({change.position.lsn for change in persons}) == 1


def test_a_row_leaving_the_publications_filter_is_published_as_deleted(
    source: Connection, settings: Settings, published: Topic
) -> None:
    source.execute(
        f"alter publication {settings.source_publication} set table owner, school, employee, course_group, enrolment,"
        " imsfeed.heartbeat, person where (not protected)".encode()
    )
    source.execute("alter table person replica identity full")
    with capturing(settings):
        add_persons(source, 1)
        source.execute("update person set protected = true")
        source.execute("update person set protected = false")
        until(lambda: len(published.rows()) == 3, what="every step is published")
    assert [change.op for change in published.persons()] == ["c", "d", "c"]


def test_a_column_list_without_identity_columns_is_refused(source: Connection, settings: Settings) -> None:
    source.execute("alter table person add column note text, replica identity full")
    source.execute(
        f"alter publication {settings.source_publication} set table owner, school, employee, course_group, enrolment,"
        " imsfeed.heartbeat, person (owner_id, id, national_id, given_name, family_name, birth_date, email, mobile,"
        " feide_name, protected)".encode()
    )
    with pytest.raises(InvalidSettingsError, match=r"public\.person .*the application's own updates"):
        preflight.check(source, settings)
