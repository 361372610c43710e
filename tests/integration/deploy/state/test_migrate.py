import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from deploy.doctor.state_checks import check_state
from deploy.local.postgres import LocalPostgres
from deploy.state.migrate import MIGRATIONS, migrate, pending
from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from tests.support.fixtures.postgres import temporary_database
from tests.support.waiting import until


@pytest.fixture
def empty_dsn(state_server: LocalPostgres) -> Iterator[str]:
    with temporary_database(state_server) as name:
        yield state_server.dsn(name)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two migrations whose order by number is not that by name."""
    (tmp_path / "10_second.sql").write_text("insert into school (name) values ('second'); select '100 %';")
    (tmp_path / "9_first.sql").write_text("create table school (id serial, name text);")
    return tmp_path


def _schools(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("select name from school").fetchall()


def test_every_migration_of_this_version_is_applied_and_recorded(empty_dsn: str) -> None:
    files = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    assert migrate(empty_dsn) == files
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("select count(*) from imsfeed.target").fetchone() == (0,)
        recorded = connection.execute("select name from imsfeed.schema_migration order by name").fetchall()
    assert [name for (name,) in recorded] == files


def test_a_database_that_cannot_hold_every_name_is_refused(state_server: LocalPostgres) -> None:
    name = f"imsfeed_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(state_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0".encode())
        try:
            for look in (migrate, pending):
                with pytest.raises(
                    InvalidSettingsError, match=r"encoding is LATIN1.*encoding 'UTF8' template template0"
                ):
                    look(state_server.dsn(name))
            settings = Settings.model_validate({"state_dsn": state_server.dsn(name)})
            assert [one.check for one in check_state(settings) if one.status == "error"] == ["encoding", "migrations"]
        finally:
            connection.execute(f"drop database {name}".encode())


def test_migrations_are_applied_in_the_order_of_their_numbers(empty_dsn: str, directory: Path) -> None:
    assert migrate(empty_dsn, directory) == ["9_first.sql", "10_second.sql"]
    assert _schools(empty_dsn) == [("second",)]


def test_a_second_migration_has_nothing_to_do(empty_dsn: str, directory: Path) -> None:
    migrate(empty_dsn, directory)
    assert migrate(empty_dsn, directory) == []
    assert _schools(empty_dsn) == [("second",)]


def test_a_dry_run_names_what_is_missing_and_changes_nothing(empty_dsn: str, directory: Path) -> None:
    assert pending(empty_dsn, directory) == ["9_first.sql", "10_second.sql"]
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("select to_regnamespace('imsfeed')").fetchone() == (None,)
    migrate(empty_dsn, directory)
    (directory / "11_third.sql").write_text("select 1")
    assert pending(empty_dsn, directory) == ["11_third.sql"]


def test_a_failed_migration_leaves_the_earlier_ones_applied(empty_dsn: str, directory: Path) -> None:
    (directory / "11_third.sql").write_text(
        "insert into school (name) values ('third');"
        "alter table imsfeed.schema_migration add check (name <> '11_third.sql')"
    )
    with pytest.raises(psycopg.errors.CheckViolation):  # in recording it, which is the transaction's last statement
        migrate(empty_dsn, directory)
    assert _schools(empty_dsn) == [("second",)]
    assert pending(empty_dsn, directory) == ["11_third.sql"]


def test_an_applied_file_that_has_changed_is_refused(empty_dsn: str, directory: Path) -> None:
    migrate(empty_dsn, directory)
    (directory / "9_first.sql").write_text("create table school (id serial, name text); -- and a word")
    (directory / "11_third.sql").write_text("drop table school")
    with pytest.raises(InvalidSettingsError, match=r"9_first\.sql"):
        migrate(empty_dsn, directory)
    with pytest.raises(InvalidSettingsError, match=r"9_first\.sql"):
        pending(empty_dsn, directory)
    assert _schools(empty_dsn) == [("second",)]


def test_a_database_of_a_newer_version_is_refused(empty_dsn: str, directory: Path) -> None:
    migrate(empty_dsn, directory)
    (directory / "10_second.sql").unlink()
    with pytest.raises(InvalidSettingsError, match=r"10_second\.sql"):
        migrate(empty_dsn, directory)


def test_concurrent_migrations_wait_for_each_other(empty_dsn: str, directory: Path) -> None:
    (directory / "1_gate.sql").write_text("lock table gate")
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(empty_dsn, autocommit=True) as gatekeeper,
        psycopg.connect(empty_dsn, autocommit=True) as observer,
    ):
        gatekeeper.execute("create table gate ()")
        with gatekeeper.transaction():
            gatekeeper.execute("lock table gate")
            migrators = [pool.submit(migrate, empty_dsn, directory) for _ in range(2)]
            until(lambda: observer.execute(waiting).fetchone() == (2,), what="both wait")
        applied = [migrator.result() for migrator in migrators]
    assert sorted(applied) == [[], ["1_gate.sql", "9_first.sql", "10_second.sql"]]
    assert _schools(empty_dsn) == [("second",)]
