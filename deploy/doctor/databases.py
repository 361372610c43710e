"""Checks that apply to both PostgreSQL databases: reachability, version, TLS, encoding and clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from deploy.doctor.finding import Area, Findings
from producers.source.catalog import Connection

_OPTIONS: Final = "-c statement_timeout=5s -c lock_timeout=5s -c datestyle=ISO -c timezone=UTC"
_CONNECT_SECONDS: Final = 5
_SKEW_SECONDS: Final = 2.0
"""Clocks that differ by more make the order of events across logs and notices unreliable."""


@contextmanager
def opened(dsn: str) -> Iterator[Connection]:
    """Open a session with short timeouts for connecting, for statements and for locks.

    Raises:
        psycopg.OperationalError: the server cannot be reached or refuses.
    """
    with psycopg.connect(
        dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="imsfeed doctor", options=_OPTIONS
    ) as connection:
        yield connection


def permitted(area: Area, check: str, findings: Findings) -> Findings:
    """Yield the findings; if the role lacks a privilege for them, an error that says which."""
    try:
        yield from findings
    except psycopg.errors.InsufficientPrivilege as error:
        yield area.error(check, first_line(error), "grant the privilege to this role, or set another role in the DSN")


def first_line(error: psycopg.Error) -> str:
    """Return the first line of a server's or driver's error about a connection; it contains no values of rows."""
    return (str(error).splitlines() or ["no more is known"])[0]


def check_server(area: Area, connection: Connection, least_version: int) -> Findings:
    """Check version, TLS, encoding and clock of the server."""
    info = connection.info
    yield area.ok("reachable", f"database {info.dbname}")
    version = info.server_version // 10_000
    yield area.judge(
        "version",
        version >= least_version,
        f"PostgreSQL {version}",
        f"imsfeed needs PostgreSQL {least_version} or newer",
    )
    local = (info.host or "/").startswith("/")
    yield area.judge(
        "TLS",
        info.pgconn.ssl_in_use or local,
        "in use" if info.pgconn.ssl_in_use else "a local socket" if local else "not in use",
        "add sslmode=verify-full to the DSN: national ids cross the network",
        otherwise="warning",
    )
    encoding = value(connection, "select current_setting('server_encoding')")
    yield area.judge("encoding", encoding == "UTF8", encoding, "recreate the database with encoding UTF8")
    server_time: datetime = value(connection, "select clock_timestamp()")
    skew = abs((server_time - datetime.now(UTC)).total_seconds())
    yield area.judge(
        "clock",
        skew <= _SKEW_SECONDS,
        f"{skew:.1f} s from this machine's",
        "synchronise both clocks with the same time server (chrony, NTP)",
        otherwise="warning",
    )


def value(connection: Connection, query: str, parameters: Any = None) -> Any:  # noqa: ANN401 - what the query selects
    """Return the first column of the first row, or ``None`` without rows."""
    row = connection.execute(query.encode(), parameters).fetchone()
    return None if row is None else row[0]
