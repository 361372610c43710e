"""TLS to PostgreSQL: the DSN's demands hold for ordinary sessions and for the replication connection."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import trustme

import consumers.database.sessions
import producers.source.sessions
from ims.runtime.lifecycle import Stop
from producers.source.replication import Walsender
from tests.support.servers.tls_proxy import TlsPostgres, tls_in_front_of


@pytest.fixture
def postgres(source_dsn: str, tmp_path: Path) -> Iterator[TlsPostgres]:
    with tls_in_front_of(source_dsn, tmp_path) as postgres:
        yield postgres


@pytest.fixture
def stop() -> Iterator[Stop]:
    stop = Stop()
    yield stop
    stop.close()


def replicate(dsn: str, stop: Stop) -> None:
    with Walsender(dsn, stop, lambda: None) as walsender:
        assert walsender.create_slot("test_over_tls").name
        walsender.drop_slot("test_over_tls")


def test_every_session_is_encrypted_and_the_certificate_checked(
    postgres: TlsPostgres, source_dsn: str, stop: Stop
) -> None:
    dsn = postgres.dsn(source_dsn)
    for connect in (producers.source.sessions.connect, consumers.database.sessions.connect):
        with connect(dsn, "test") as connection:
            assert connection.pgconn.ssl_in_use
            assert connection.info.get_parameters()["sslmode"] == "verify-full"
    replicate(dsn, stop)


WRONG = {"authority": "certificate verify failed", "name": "does not match host name", "no tls": "server closed"}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_server_other_than_the_dsns_is_refused(
    postgres: TlsPostgres, source_dsn: str, stop: Stop, tmp_path: Path, wrong: str
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    change = {
        "authority": {"sslrootcert": str(tmp_path / "other.pem")},
        "name": {"host": "127.0.0.1"},
        "no tls": {"sslmode": "disable", "sslrootcert": ""},
    }[wrong]
    dsn = postgres.dsn(source_dsn, **change)
    for connect in (producers.source.sessions.connect, consumers.database.sessions.connect):
        with pytest.raises(psycopg.OperationalError, match=WRONG[wrong]) as error:
            connect(dsn, "test")
        assert producers.source.sessions.is_transient(error.value)
    with pytest.raises(psycopg.OperationalError, match=WRONG[wrong]):
        replicate(dsn, stop)
