"""A fresh source database and a fresh state database for every test that asks for one.

They are copies of templates that are made once per run, in a server of our own or in those that SOURCE_DSN and
STATE_DSN name (each as a superuser; the source's with wal_level=logical).
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from deploy.local.postgres import LocalPostgres, running_postgres
from deploy.migrations import migrate

SOURCE_SCHEMA = Path(__file__).parents[1] / "deploy" / "source" / "schema.sql"


def pytest_report_header() -> str:
    # A DSN may hold a password and is not shown.
    given = [name for name in ("SOURCE_DSN", "STATE_DSN") if os.environ.get(name)]
    return f"PostgreSQL: {' and '.join(given) or 'none'} of the environment, otherwise embedded"


@pytest.fixture(scope="session")
def embedded_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def source_server(request: pytest.FixtureRequest) -> LocalPostgres:
    return _server("SOURCE_DSN", request)


@pytest.fixture(scope="session")
def state_server(request: pytest.FixtureRequest) -> LocalPostgres:
    return _server("STATE_DSN", request)


def _server(variable: str, request: pytest.FixtureRequest) -> LocalPostgres:
    if given := os.environ.get(variable):
        return LocalPostgres(given)
    server: LocalPostgres = request.getfixturevalue("embedded_postgres")
    return server


@contextmanager
def temporary_database(server: LocalPostgres, template: str | None = None) -> Iterator[str]:
    """The name of a database that is dropped when the block is left."""
    name = f"imsfeed_test_{uuid.uuid4().hex[:12]}"
    server.create_database(name, template)
    try:
        yield name
    finally:
        server.drop_database(name)


@pytest.fixture(scope="session")
def source_template(source_server: LocalPostgres) -> Iterator[str]:
    with temporary_database(source_server) as name:
        with psycopg.connect(source_server.dsn(name)) as connection:
            connection.execute(SOURCE_SCHEMA.read_bytes())
        yield name


@pytest.fixture(scope="session")
def state_template(state_server: LocalPostgres) -> Iterator[str]:
    with temporary_database(state_server) as name:
        migrate(state_server.dsn(name))
        yield name


@pytest.fixture
def source_dsn(source_server: LocalPostgres, source_template: str) -> Iterator[str]:
    """A fresh database with the reference schema, as a superuser."""
    with temporary_database(source_server, source_template) as name:
        yield source_server.dsn(name)


@pytest.fixture
def state_dsn(state_server: LocalPostgres, state_template: str) -> Iterator[str]:
    """A fresh database with every migration applied."""
    with temporary_database(state_server, state_template) as name:
        yield state_server.dsn(name)
