"""Brings the schema of the state database up to date, with numbered SQL files that never change once released."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ims.errors import InvalidSettingsError, naming_setting

MIGRATIONS = Path(__file__).parent / "migrations"

# Any fixed number, the same for every process that migrates; the lock is released when the connection ends.
_LOCK = 0x1F5_FEED

_LEDGER = """
create schema if not exists imsfeed;
create table if not exists imsfeed.schema_migration (
    name text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True, slots=True)
class _Migration:
    name: str
    statements: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.statements).hexdigest()


def migrate(dsn: str, directory: Path = MIGRATIONS) -> list[str]:
    """Apply the missing migrations, each in one transaction; concurrent calls wait for each other.

    Args:
        dsn: DSN of the state database.
        directory: folder of the migrations.

    Returns:
        The names of the migrations applied, in order; empty if there was nothing to do.

    Raises:
        InvalidSettingsError: the database's encoding is not UTF-8; or it does not fit this version: an applied
            migration has changed, or this version does not have it.
    """
    with _connect(dsn) as connection:
        require_utf8(connection)
        connection.execute("select pg_advisory_lock(%s)", [_LOCK])
        connection.execute(_LEDGER)
        missing = _missing(connection, directory)
        for migration in missing:
            with connection.transaction():
                connection.execute(migration.statements)
                connection.execute(
                    "insert into imsfeed.schema_migration (name, sha256) values (%s, %s)",
                    [migration.name, migration.sha256],
                )
    return [migration.name for migration in missing]


def pending(dsn: str, directory: Path = MIGRATIONS) -> list[str]:
    """Return the names of the migrations that :func:`migrate` would apply, without applying them.

    Raises:
        InvalidSettingsError: as :func:`migrate`.
    """
    with _connect(dsn) as connection:
        require_utf8(connection)
        return [migration.name for migration in _missing(connection, directory)]


def _connect(dsn: str) -> psycopg.Connection:
    with naming_setting("STATE_DSN"):
        return psycopg.connect(dsn, autocommit=True)


def require_utf8(connection: psycopg.Connection) -> None:
    """Check that the state database can store every character of a name.

    Raises:
        InvalidSettingsError: its encoding is not UTF-8: each row with a character that it lacks would be quarantined.
    """
    (encoding,) = connection.execute("select current_setting('server_encoding')").fetchone() or ("unknown",)
    if encoding != "UTF8":
        raise InvalidSettingsError(
            f"the state database's encoding is {encoding}, which cannot hold every name; make another with"
            " `create database … encoding 'UTF8' template template0`, and set STATE_DSN to it"
        )


def _missing(connection: psycopg.Connection, directory: Path) -> list[_Migration]:
    known = [_Migration(path.name, path.read_bytes()) for path in sorted(directory.glob("*.sql"), key=_number)]
    applied = _applied(connection)
    unknown = applied.keys() - {migration.name for migration in known}
    if unknown:
        raise InvalidSettingsError(
            f"the state database has migrations that this version does not know ({', '.join(sorted(unknown))}):"
            " it was created by a newer version; run that version"
        )
    for migration in known:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise InvalidSettingsError(
                f"migration {migration.name} is not the file that was applied to the state database;"
                " restore the released file, and put the change into a new one"
            )
    return [migration for migration in known if migration.name not in applied]


def _number(path: Path) -> int:
    return int(path.name.split("_")[0])


def _applied(connection: psycopg.Connection) -> dict[str, str]:
    """Return the digests of the applied migrations by name."""
    if connection.execute("select to_regclass('imsfeed.schema_migration')").fetchone() == (None,):
        return {}
    return dict(connection.execute("select name, sha256 from imsfeed.schema_migration").fetchall())
