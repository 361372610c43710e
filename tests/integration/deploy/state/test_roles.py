"""What each role of deploy/*/roles.sql may not do; the acceptance tests show that it can do its own work."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.state.migrate import migrate
from producers.source import source_setup
from tests.support.capturing import settings_of
from tests.support.servers.database_roles import SOURCE_ROLES, STATE_ROLES, dropped, names_of, run_script

Dsns = dict[str, str]


@pytest.fixture
def source_roles(source_dsn: str) -> Iterator[Dsns]:
    names = names_of(*SOURCE_ROLES)
    run_script(source_dsn, "deploy/source/roles.sql", names)
    with psycopg.connect(source_dsn, autocommit=True) as connection:
        source_setup.apply(connection, settings_of(source_dsn, "nowhere:9092", "none"))
    with dropped(source_dsn, names) as dsns:
        yield dsns


@pytest.fixture
def state_roles(state_dsn: str) -> Iterator[Dsns]:
    names = names_of(*STATE_ROLES)
    run_script(state_dsn, "deploy/state/roles.sql", names)
    with dropped(state_dsn, names) as dsns:
        yield dsns


def refused(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert [statement for statement in statements if not is_refused(connection, statement)] == []


def is_refused(connection: psycopg.Connection, statement: str) -> bool:
    try:
        connection.execute(statement.encode())
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
        return True
    return False


def deleting(*tables: str) -> list[str]:
    return [
        sql.SQL(statement).format(sql.Identifier(table)).as_string()
        for statement in ("truncate imsfeed.{}", "delete from imsfeed.{}")
        for table in tables
    ]


def test_capture_reads_the_tables_and_writes_only_its_own(source_roles: Dsns) -> None:
    with psycopg.connect(source_roles["capture"]) as connection:
        connection.execute("select national_id from person")
        connection.execute("update imsfeed.heartbeat set beat_at = now()")
    refused(
        source_roles["capture"],
        "insert into person (owner_id, id, given_name, family_name) values (1, 1, 'A', 'B')",
        "update person set email = null",
        "delete from enrolment",
        "truncate person",
        "drop table person",
        "drop table imsfeed.heartbeat",
        "alter table person replica identity full",
        "create table public.mine (id integer)",
        "create schema mine",
        "create role another",
        "create publication mine for table person",
        "select pg_read_file('/etc/passwd')",
        "copy person to program 'cat'",
    )


def test_capture_sees_no_table_that_is_not_captured(source_dsn: str, source_roles: Dsns) -> None:
    with psycopg.connect(source_dsn, autocommit=True) as connection:
        connection.execute("create table diagnosis (owner_id integer, note text)")
    refused(source_roles["capture"], "select * from diagnosis")
    refused(source_roles["reader"], "select * from diagnosis")


def test_the_reader_can_neither_write_nor_replicate(source_roles: Dsns) -> None:
    with psycopg.connect(source_roles["reader"]) as connection:
        connection.execute("select national_id from person")
        connection.execute("select * from imsfeed.capture")
    refused(
        source_roles["reader"],
        "update person set email = null",
        "update imsfeed.heartbeat set beat_at = now()",
    )
    writing = make_conninfo(source_roles["reader"], options="-c default_transaction_read_only=off")
    refused(
        writing,
        "update person set email = null",
        "update imsfeed.heartbeat set beat_at = now()",
        "select pg_create_logical_replication_slot('mine', 'pgoutput')",
        "create temporary table mine (id integer); drop table person",
    )


@pytest.mark.parametrize("role", STATE_ROLES)
def test_no_role_of_the_state_defines_or_removes_anything(state_roles: Dsns, role: str) -> None:
    refused(
        state_roles[role],
        "drop table imsfeed.published",
        "truncate imsfeed.pending_change",
        "alter table imsfeed.person add column x text",
        "create table imsfeed.mine (id integer)",
        "create table public.mine (id integer)",
        "create temporary table mine (id integer)",
        "create schema mine",
        "create role another",
        "insert into imsfeed.schema_migration (name, sha256) values ('9999_mine.sql', '')",
        "delete from imsfeed.target_audit",
        "update imsfeed.target_audit set changed_by = 'nobody'",
        "select pg_create_logical_replication_slot('mine', 'pgoutput')",
    )


def test_materialize_cannot_change_what_was_published(state_roles: Dsns) -> None:
    published = deleting("published", "delta", "snapshot", "tombstone", "target", "exclusion", "warning", "id_change")
    refused(state_roles["materialize"], *published, "update imsfeed.target set settings = '{}'")


def test_compact_cannot_change_the_facts(state_roles: Dsns) -> None:
    facts = deleting("owner", "school", "person", "employee", "course_group", "enrolment")
    progress = deleting("topic_partition", "quarantine")
    refused(state_roles["compact"], *facts, *progress, "update imsfeed.person set national_id = null")


def test_the_status_role_changes_nothing_and_reads_no_message(state_roles: Dsns) -> None:
    with psycopg.connect(state_roles["status"]) as connection:
        connection.execute("select topic, partition, message_offset, reason, detail from imsfeed.quarantine")
    writing = make_conninfo(state_roles["status"], options="-c default_transaction_read_only=off")
    refused(
        writing,
        "select message_value from imsfeed.quarantine",
        "select * from imsfeed.quarantine",
        "update imsfeed.target set recompute = true",
        *deleting("pending_change"),
    )


def test_no_other_role_can_connect(source_dsn: str, source_roles: Dsns, state_dsn: str, state_roles: Dsns) -> None:
    assert state_roles
    foreign = conninfo_to_dict(source_roles["capture"])["user"]
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(state_dsn, user=foreign))
    here = conninfo_to_dict(state_roles["compact"])["user"]
    refused(make_conninfo(source_dsn, user=here), "select * from person", "select * from imsfeed.capture")


def test_tables_and_audits_of_later_versions_get_the_same_privileges(state_dsn: str, state_roles: Dsns) -> None:
    with psycopg.connect(state_dsn, autocommit=True) as connection:
        connection.execute("create table imsfeed.later (id integer)")
        connection.execute("create table imsfeed.later_audit (id integer)")
    for role in ("materialize", "compact", "operator"):
        with psycopg.connect(state_roles[role]) as connection:
            connection.execute("insert into imsfeed.later values (1)")
            connection.execute("insert into imsfeed.later_audit values (1)")
    with psycopg.connect(state_roles["status"]) as connection:
        connection.execute("select * from imsfeed.later")
    names = {role: str(conninfo_to_dict(dsn)["user"]) for role, dsn in state_roles.items()}
    run_script(state_dsn, "deploy/state/roles.sql", names)
    refused(state_roles["operator"], "delete from imsfeed.later_audit")
    assert migrate(state_dsn) == []
