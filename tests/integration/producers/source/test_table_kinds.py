"""Tables of kinds that capture cannot follow are refused; partitions are followed."""

import contextlib
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from deploy.doctor.source_checks import check_source
from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from producers.source import preflight, sessions, source_setup
from producers.source.captured_table import TableName
from producers.source.catalog import Connection, SourceTable
from producers.source.source_schema import ColumnType
from producers.source.table_kinds import problems

PERSON = TableName("public", "person")


def faults(settings: Settings) -> str:
    """Return what doctor finds wrong with the tables."""
    return "\n".join(
        f"{finding.text} {finding.fix}"
        for finding in check_source(settings)
        if finding.check.startswith("table ") and finding.status == "error"
    )


def refused_everywhere(source: Connection, settings: Settings, message: str) -> None:
    """Check that setup, capture and doctor refuse the source with this text."""
    for look in (source_setup.plan, preflight.check):
        with pytest.raises(InvalidSettingsError) as caught:
            look(source, settings)
        assert message in str(caught.value)
    found = faults(settings)
    assert all(part in found for part in message.split("; "))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "create view person as select * from elev",
            "public.person is a view, and capture reads tables; name the table from which it reads in MAPPING_FILE",
        ),
        (
            "create materialized view person as select * from elev",
            "public.person is a materialized view, and capture reads tables; name the table from which it reads",
        ),
        (
            "create unlogged table person (like elev including all)",
            (
                "table public.person is unlogged, so its changes are not in the write-ahead log;"
                " run `alter table public.person set logged`"
            ),
        ),
        (
            "create table person (like elev including all); create table alumnus () inherits (person)",
            "other tables inherit from table public.person, and their changes carry their own names; make them",
        ),
        (
            (
                "create extension postgres_fdw; create server other foreign data wrapper postgres_fdw;"
                " create foreign table person (owner_id integer, id bigint) server other"
            ),
            "public.person is a foreign table, and capture reads tables; let SOURCE_DSN name the database",
        ),
        (
            (
                "create table person (like elev including all, given integer);"
                " alter table person drop column protected,"
                " add column protected boolean generated always as (given is not null) virtual"
            ),
            (
                "column protected of table public.person is generated, and PostgreSQL does not send it with a change;"
                " map another column in MAPPING_FILE"
            ),
        ),
    ],
    ids=["view", "materialized view", "unlogged", "inherited", "foreign", "generated"],
)
def test_a_table_that_cannot_be_followed_is_refused(
    source: Connection, settings: Settings, change: str, message: str
) -> None:
    source.execute("alter table person rename to elev")
    try:
        source.execute(change.encode())
    except psycopg.errors.FeatureNotSupported as error:
        pytest.skip(f"this server has no such extension: {error.diag.message_primary}")
    refused_everywhere(source, settings, message)


@pytest.mark.parametrize(
    ("version", "kind", "refused"), [(170_004, "s", True), (180_000, "s", False), (180_000, "v", True)]
)
def test_a_stored_generated_column_needs_a_version_that_sends_it(version: int, kind: str, refused: bool) -> None:
    columns = ("owner_id", "id", "protected")
    types = dict.fromkeys(columns, ColumnType("bool", "B"))
    table = SourceTable(PERSON, columns, types, ("id",), frozenset(), generated={"protected": kind})
    assert bool(list(problems(table, {"protected"}, version))) is refused
    assert not list(problems(table, {"id"}, version)), "a generated column that is not mapped does not matter"


@pytest.fixture
def reader(source: Connection, settings: Settings) -> Iterator[Settings]:
    """Yield settings whose role may read the tables and owns none."""
    role = f"reader_{uuid.uuid4().hex[:12]}"
    source.execute(f"create role {role} login replication password 'secret'".encode())
    source.execute(f"grant select on all tables in schema public to {role}".encode())
    source.execute(f"grant usage on schema imsfeed to {role}".encode())
    source.execute(f"grant all on all tables in schema imsfeed to {role}".encode())
    dsn = psycopg.conninfo.make_conninfo(settings.source(), user=role, password="secret")
    yield Settings.model_validate({**settings.model_dump(), "source_dsn": dsn})
    with contextlib.suppress(psycopg.Error):
        source.execute(f"drop owned by {role}".encode())
        source.execute(f"drop role {role}".encode())


def test_row_security_that_hides_rows_is_refused(source: Connection, reader: Settings) -> None:
    with sessions.connect(reader.source(), "test") as connection:
        role = connection.info.user
        preflight.check(connection, reader)
        source.execute("alter table person enable row level security")
        source.execute("create policy own on person using (owner_id = current_setting('app.owner')::integer)")
        message = f"row security hides rows of table public.person from role {role}; run `alter role {role} bypassrls`"
        refused_everywhere(connection, reader, message)
        preflight.check(source, reader)  # a superuser sees every row
        source.execute(f"alter role {role} bypassrls".encode())
        preflight.check(connection, reader)
        assert faults(reader) == ""


def test_a_query_never_leaves_out_hidden_rows_silently(source: Connection, reader: Settings) -> None:
    """Row security may be switched on between the check and the load."""
    source.execute("alter table person enable row level security")
    with (
        sessions.connect(reader.source(), "test") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
    ):
        connection.execute("select from person")
