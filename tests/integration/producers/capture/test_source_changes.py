"""Changes of the source's schema while capture streams: capture notices and names each, and loses nothing."""

import re
from pathlib import Path

import pytest

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from ims.source.mapping import parse_mapping
from producers.capture import heartbeat
from producers.source import source_setup
from producers.source.catalog import Connection
from tests.support.capturing import Captured, Topic, add_persons, capturing, persons_in, persons_of
from tests.support.waiting import until


def refused(running: Captured, message: str) -> None:
    """Check that capture ends with an error of this text."""
    until(lambda: running.error, what="capture stops")
    running.thread.join(30)
    assert isinstance(running.error, InvalidSettingsError), running.error
    assert re.search(message, str(running.error)), running.error
    running.error = None  # it was expected


def refused_at_start(settings: Settings, message: str) -> None:
    """Check that a new capture refuses to start with an error of this text."""
    running = Captured(settings)
    try:
        refused(running, message)
    finally:
        running.stop.set()
        running.thread.join(30)


def settings_with(settings: Settings, folder: Path, mapping: str) -> Settings:
    path = folder / "mapping.toml"
    path.write_text(mapping)
    return settings.model_copy(update={"mapping_file": path})


def test_an_added_column_is_logged_once_and_capture_continues(
    source: Connection, settings: Settings, published: Topic, capsys: pytest.CaptureFixture[str]
) -> None:
    with capturing(settings):
        add_persons(source, 1)
        source.execute("alter table person add column shoe_size integer")
        add_persons(source, 2)
        source.execute("alter table person add column hat_size integer")
        add_persons(source, 3)
        until(lambda: len(published.rows()) == 3, what="all are published")
    assert persons_in(published.facts()).keys() == {(1, 1), (1, 2), (1, 3)}
    printed = [line for line in capsys.readouterr().out.splitlines() if "not mapped" in line]
    assert [name in line for name, line in zip(("shoe_size", "hat_size"), printed, strict=True)] == [True, True]


def test_a_renamed_column_stops_capture_before_its_first_change(
    source: Connection, settings: Settings, published: Topic, tmp_path: Path
) -> None:
    add_persons(source, 1, 2)
    slow = settings.model_copy(update={"heartbeat_seconds": 1000})
    with capturing(slow) as running:
        until(lambda: len(published.rows()) == 2, what="both are published")
        source.execute("alter table person rename family_name to etternavn")
        source.execute("update person set etternavn = 'Ny' where id = 1")
        source.execute("delete from person where id = 2")
        refused(running, r"person has no column family_name \(person\.family_name\).*not mapped: etternavn;")
    assert len(published.rows()) == 2, "no change with the unknown column was sent"

    mapping = '[person]\ncolumns = { family_name = "etternavn" }\n'
    corrected = settings_with(settings, tmp_path, mapping)
    source_setup.apply(source, corrected, reload=True)
    ours = parse_mapping(mapping)
    with capturing(corrected):
        until(lambda: persons_in(published.facts(ours)) == persons_of(source, ours), what="the facts are the source's")
    assert persons_in(published.facts(ours)) == {(1, 1): "Ny"}


def test_a_heartbeat_notices_a_renamed_column_of_an_idle_table(source: Connection, settings: Settings) -> None:
    with capturing(settings) as running:
        source.execute("alter table course_group rename code to kode")
        refused(running, r"course_group has no column code .*not mapped: kode;")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("alter table person drop column email", r"person has no column email \(person\.email\)"),
        (
            "alter table person alter protected type text, alter protected set default 'f'",
            r"column protected of table public\.person is of type text",
        ),
        ("alter table person alter national_id type bigint using 1", r"column national_id .* is of type int8"),
    ],
)
def test_a_dropped_or_retyped_column_stops_capture(
    source: Connection, settings: Settings, published: Topic, change: str, message: str
) -> None:
    with capturing(settings.model_copy(update={"heartbeat_seconds": 1000})) as running:
        source.execute(change.encode())
        add_persons(source, 1)
        refused(running, message)
    assert published.rows() == []


@pytest.mark.usefixtures("source")
def test_an_unexpected_error_in_the_heartbeat_ends_capture(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with capturing(settings) as running:
        monkeypatch.setattr(heartbeat, "_TRANSACTIONS", "select 'x', 'y'")
        until(lambda: running.error, what="capture stops")
        running.thread.join(30)
        assert isinstance(running.error, TypeError)
        running.error = None


def test_a_reverted_schema_change_is_noticed_too(source: Connection, settings: Settings) -> None:
    """The catalog is right again, but rows that were written in between have another column."""
    with capturing(settings):
        pass
    source.execute("alter table person rename family_name to etternavn")
    source.execute(
        "insert into person (owner_id, id, given_name, etternavn) values (1, 1, 'Ada', 'Testesen')",
    )
    source.execute("alter table person rename etternavn to family_name")
    refused_at_start(settings, r"has no column family_name .*not mapped: etternavn; .*imsfeed resync all")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("drop table enrolment", r"table public\.enrolment does not exist"),
        ("alter publication imsfeed drop table enrolment", r"table public\.enrolment is not in it"),
        ("alter publication imsfeed set (publish = 'insert')", "does not publish delete"),
        ("alter table enrolment replica identity nothing", r"replica identity of public\.enrolment"),
    ],
)
def test_a_table_no_longer_captured_stops_capture(
    source: Connection, settings: Settings, change: str, message: str
) -> None:
    with capturing(settings) as running:
        source.execute(change.encode())
        refused(running, message)


def test_a_table_that_returns_makes_capture_load_again(
    source: Connection, settings: Settings, published: Topic
) -> None:
    with capturing(settings) as running:
        add_persons(source, 1)
        until(lambda: len(published.rows()) == 1, what="the person is published")
        source.execute("alter publication imsfeed drop table person")
        refused(running, "person is not in it")
    add_persons(source, 2)
    source_setup.apply(source, settings)
    with capturing(settings):
        until(lambda: persons_in(published.facts()) == persons_of(source), what="the facts are the source's")


def test_a_slot_moved_while_capture_is_stopped_is_refused(source: Connection, settings: Settings) -> None:
    with capturing(settings):
        add_persons(source, 1)
    add_persons(source, 2)
    source.execute("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", [settings.source_slot])
    refused_at_start(settings, "advanced by another program.*imsfeed resync all")
