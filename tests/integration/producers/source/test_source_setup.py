import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from producers.source import catalog, preflight, sessions, source_setup
from producers.source.captured_table import HEARTBEAT, TableName
from producers.source.catalog import Connection, LoadState

TABLES = ("owner", "school", "person", "employee", "course_group", "enrolment")


@pytest.fixture
def settings(source_dsn: str) -> Settings:
    return Settings(source_dsn=source_dsn, source_slot=f"test_{uuid.uuid4().hex[:12]}", kafka_partitions=3)


@pytest.fixture
def source(source_dsn: str) -> Iterator[Connection]:
    with sessions.connect(source_dsn, "test") as connection:
        yield connection


def rows(source: Connection, query: str) -> list[tuple[Any, ...]]:
    return source.execute(query.encode()).fetchall()


def test_a_dry_run_only_shows_the_statements(source: Connection, settings: Settings) -> None:
    planned = source_setup.plan(source, settings)
    assert rows(source, "select to_regnamespace('imsfeed')") == [(None,)]
    assert source_setup.apply(source, settings) == planned


def test_a_second_run_finds_nothing_to_do(source: Connection, settings: Settings) -> None:
    assert source_setup.apply(source, settings)
    assert source_setup.plan(source, settings) == []


def test_setup_creates_everything_that_capture_needs(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    checked = preflight.check(source, settings)
    assert list(checked.tables) == [*(TableName("public", table) for table in TABLES), HEARTBEAT]
    assert checked.tables[TableName("public", "person")].key_columns == ("owner_id", "id")
    assert (checked.epoch, checked.needs_load) == (0, True)
    assert rows(source, "select owner_id from imsfeed.heartbeat order by 1") == [(0,), (1,), (2,)]


def test_a_run_that_was_interrupted_is_completed(source: Connection, settings: Settings) -> None:
    first, *rest = source_setup.plan(source, settings)
    source.execute(first.encode())
    assert source_setup.apply(source, settings) == rest


def test_every_partition_has_a_heartbeat_row(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    source_setup.apply(source, settings.model_copy(update={"kafka_partitions": 4}))
    assert rows(source, "select count(*) from imsfeed.heartbeat") == [(4,)]
    source_setup.apply(source, settings.model_copy(update={"kafka_partitions": 2}))
    assert rows(source, "select count(*) from imsfeed.heartbeat") == [(2,)]


def test_other_partitions_than_loaded_are_refused_until_a_reload(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    source.execute("update imsfeed.capture set loaded_at = now(), partitions = 3")
    preflight.check(source, settings)
    more = settings.model_copy(update={"kafka_partitions": 4})
    with pytest.raises(InvalidSettingsError, match=r"loaded into 3 partitions and .* is 4.*imsfeed resync all"):
        preflight.check(source, more)
    source_setup.apply(source, more, reload=True)
    assert preflight.check(source, more).needs_load


def test_a_missing_table_is_named(source: Connection, settings: Settings) -> None:
    source.execute("drop table enrolment")
    with pytest.raises(InvalidSettingsError, match=r"no table public\.enrolment"):
        source_setup.plan(source, settings)


def test_a_missing_owner_column_is_named(source: Connection, settings: Settings) -> None:
    source.execute("alter table person rename owner_id to kommune")
    with pytest.raises(InvalidSettingsError, match=r"public\.person has no column owner_id"):
        source_setup.plan(source, settings)


def test_tables_and_owner_columns_come_from_the_mapping(source: Connection, settings: Settings, tmp_path: Path) -> None:
    source.execute("alter table person rename to elev")
    source.execute("alter table elev rename owner_id to kommune")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[person]\ntable = "elev"\ncolumns = { owner_id = "kommune" }\n')
    mapped = settings.model_copy(update={"mapping_file": mapping})
    source_setup.apply(source, mapped)
    elev = preflight.check(source, mapped).tables[TableName("public", "elev")]
    assert (elev.owner_column, elev.key_columns) == ("kommune", ("kommune", "id"))


def test_a_key_without_the_owner_needs_identity_full(source: Connection, settings: Settings) -> None:
    source.execute("alter table person drop constraint person_pkey, add primary key (id)")
    assert 'alter table "public"."person" replica identity full' in source_setup.apply(source, settings)
    assert source_setup.plan(source, settings) == []
    assert preflight.check(source, settings).needs_load


def test_an_insufficient_replica_identity_is_fixed(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    source.execute("alter table person replica identity nothing")
    with pytest.raises(InvalidSettingsError, match=r"replica identity of public\.person"):
        preflight.check(source, settings)
    assert source_setup.apply(source, settings) == ['alter table "public"."person" replica identity default']


def test_a_wrong_wal_level_is_refused_with_the_remedy(
    source: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "current_setting", lambda _connection, _name: "replica")
    with pytest.raises(InvalidSettingsError, match=r"wal_level is 'replica'; run `ALTER SYSTEM SET wal_level"):
        source_setup.plan(source, settings)


def test_a_table_joining_a_loaded_source_causes_a_reload(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    source.execute("update imsfeed.capture set loaded_at = now()")
    source.execute("alter publication imsfeed drop table person")
    source_setup.apply(source, settings)
    assert preflight.check(source, settings).needs_load


def test_a_missing_slot_is_an_error_until_a_reload(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    source.execute("update imsfeed.capture set loaded_at = now()")
    source.execute("select pg_drop_replication_slot(%s)", [settings.source_slot])
    for look in (preflight.check, source_setup.plan):
        with pytest.raises(InvalidSettingsError, match="imsfeed resync all"):
            look(source, settings)
    assert len(source_setup.apply(source, settings, reload=True)) == 2
    assert preflight.check(source, settings).needs_load


def test_a_slot_of_another_plugin_is_left_alone(source: Connection, settings: Settings) -> None:
    source.execute("select pg_create_logical_replication_slot(%s, 'test_decoding')", [settings.source_slot])
    with pytest.raises(InvalidSettingsError, match="plugin test_decoding"):
        source_setup.apply(source, settings, reload=True)


@pytest.mark.parametrize("slot", [{"wal_status": "lost"}, {"wal_status": "reserved", "invalidation_reason": "idle"}])
def test_an_invalid_slot_is_an_error_after_the_load(slot: dict[str, str]) -> None:
    ours = {"plugin": "pgoutput", "database": "adm", **slot}
    preflight.check_slot(ours, "imsfeed", "adm", LoadState(1, None))
    with pytest.raises(InvalidSettingsError, match="imsfeed resync all"):
        preflight.check_slot(ours, "imsfeed", "adm", LoadState(1, datetime.now(UTC)))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("drop publication imsfeed", "it does not exist"),
        ("alter publication imsfeed drop table person", "person is not in it"),
        ("alter publication imsfeed set (publish = 'insert, update')", "does not publish delete"),
        ("delete from imsfeed.capture", "has no row"),
    ],
)
def test_a_setup_that_silently_loses_changes_is_refused(
    source: Connection, settings: Settings, fault: str, message: str
) -> None:
    source_setup.apply(source, settings)
    source.execute(fault.encode())
    with pytest.raises(InvalidSettingsError, match=message) as caught:
        preflight.check(source, settings)
    assert "imsfeed setup source" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        "alter table person alter birth_date type text",
        "alter table person rename mobile to mobil",
        "alter table person drop column birth_date",
    ],
)
def test_a_column_that_is_never_published_stops_nothing(source: Connection, settings: Settings, change: str) -> None:
    source_setup.apply(source, settings)
    source.execute(change.encode())
    assert preflight.check(source, settings).needs_load


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "alter publication imsfeed set table person (owner_id, id, given_name)",
            r"public\.person has no column national_id \(person\.national_id\), family_name .* not published;",
        ),
        ("alter table person rename email to epost", r"no column email \(person\.email\): .*not mapped: epost;"),
        ("alter table enrolment drop column ends_on", r"public\.enrolment has no column ends_on .*not mapped: none;"),
        (
            "alter table school alter id type text",
            r"column id of table public\.school is of type text, .* a whole number",
        ),
        ("alter table course_group alter ends_on type text", r"column ends_on .* of type text, .* a date;"),
        (
            "alter table enrolment alter starts_on type integer using 1",
            r"column starts_on of table public\.enrolment is of type int4, but enrolment\.starts_on must be a date;",
        ),
        (
            "alter table person alter protected drop default, alter protected type text",
            r"column protected .* is of type text, but person\.protected must be a boolean \(or map its values\);",
        ),
        (
            "alter table person alter national_id type bigint using 1",
            r"column national_id .* is of type int8, but person\.national_id must be a text;",
        ),
    ],
)
def test_an_unsuitable_column_is_named_with_its_table(
    source: Connection, settings: Settings, fault: str, message: str
) -> None:
    source_setup.apply(source, settings)
    source.execute(fault.encode())
    with pytest.raises(InvalidSettingsError, match=message) as caught:
        preflight.check(source, settings)
    assert "imsfeed resync all" in str(caught.value)


def test_types_that_can_be_read_as_needed_are_accepted(source: Connection, settings: Settings) -> None:
    source.execute("create domain kode as varchar(20)")
    source.execute("alter table course_group alter code type kode, alter starts_on type timestamp")
    source.execute("alter table school alter school_no type integer using 1")
    source_setup.apply(source, settings)
    assert preflight.check(source, settings).needs_load


def test_a_source_set_up_by_an_older_version_is_updated(source: Connection, settings: Settings) -> None:
    source_setup.apply(source, settings)
    source.execute("drop table imsfeed.resync")
    for column in ("confirmable_lsn", "loaded_rows", "partitions"):
        source.execute(f"alter table imsfeed.capture drop column {column}".encode())
    with pytest.raises(InvalidSettingsError, match="older version of imsfeed; run `imsfeed setup source`"):
        preflight.check(source, settings)
    assert len(source_setup.apply(source, settings)) == 3
    assert preflight.check(source, settings).needs_load
    assert source_setup.plan(source, settings) == []


def set_up_and_loaded(source: Connection, settings: Settings) -> None:
    """Set up the source as if capture had loaded it, and had confirmed the slot up to its position."""
    source_setup.apply(source, settings)
    source.execute(
        "update imsfeed.capture set loaded_at = now(), confirmable_lsn ="
        " (select confirmed_flush_lsn from pg_replication_slots s where s.slot_name = capture.slot_name)"
    )


@pytest.mark.parametrize("by", ["recreating it", "advancing it"])
def test_a_slot_moved_by_another_program_is_refused(source: Connection, settings: Settings, by: str) -> None:
    set_up_and_loaded(source, settings)
    preflight.check(source, settings)
    source.execute("insert into owner values (1, null, 'Fjordvik')")
    if by == "advancing it":
        source.execute("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", [settings.source_slot])
    else:
        source.execute("select pg_drop_replication_slot(%s)", [settings.source_slot])
        source.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [settings.source_slot])
    for look in (preflight.check, source_setup.plan):
        with pytest.raises(InvalidSettingsError, match=r"recreated or advanced by another program.*imsfeed resync all"):
            look(source, settings)
    source_setup.apply(source, settings, reload=True)
    assert preflight.check(source, settings).needs_load


def test_a_slot_without_a_stored_position_is_accepted(source: Connection, settings: Settings) -> None:
    set_up_and_loaded(source, settings)
    source.execute("update imsfeed.capture set confirmable_lsn = null")
    assert not preflight.check(source, settings).needs_load


def test_a_missing_privilege_is_named(source_dsn: str, settings: Settings) -> None:
    role = f"test_{uuid.uuid4().hex[:12]}"
    with sessions.connect(source_dsn, "test") as source, contextlib.ExitStack() as undo:
        source.execute(f"create role {role}".encode())
        undo.callback(source.execute, f"drop role {role}".encode())
        undo.callback(source.execute, b"reset role")
        source.execute(f"set role {role}".encode())
        with pytest.raises(InvalidSettingsError, match="not allowed: create schema imsfeed"):
            source_setup.apply(source, settings)


def test_every_session_prints_values_in_the_same_form(source_dsn: str) -> None:
    shouting = psycopg.conninfo.make_conninfo(source_dsn, options="-c datestyle=German -c timezone=Europe/Oslo")
    with sessions.connect(shouting, "test") as connection:
        assert rows(connection, "select date '2026-08-17' :: text, timestamptz '2026-08-17 00:00+00' :: text") == [
            ("2026-08-17", "2026-08-17 00:00:00+00")
        ]
