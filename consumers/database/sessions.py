"""Sessions on the state database that cannot block another process for ever.

A process that is paused inside a transaction keeps its row locks, and one that is paused between two transactions may
hold a lock of its session. The server's time-outs end such a session, so that another process can take over. TCP probes
from both ends find a peer that has vanished without closing its connection. Options in the DSN follow these and take
precedence.

Nothing here uses ``executemany``: it sends a pipeline, and after a pipeline the server does not count the idle time of
a transaction until the next statement.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from consumers.database.error_causes import Cause, cause_of
from ims.errors import naming_setting

Connection = psycopg.Connection[tuple[Any, ...]]

_OPTIONS: Final = (
    "-c timezone=UTC -c lock_timeout=15s -c statement_timeout=300s"
    # Publishing everything evaluates a large owner between two statements; only that owner's own target waits for it.
    " -c idle_in_transaction_session_timeout=60s"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=30s"
    " -c client_connection_check_interval=5s"
)
_APPLYING: Final = " -c idle_in_transaction_session_timeout=10s"
"""For a session that applies messages: the process that takes its partitions over waits for its transaction, and for no
longer than ``lock_timeout``."""
_EXCLUSIVE: Final = " -c idle_session_timeout=60s"
"""For a session that holds a lock of :func:`try_lock`: its transactions may be long, but follow each other directly."""


def connect(
    dsn: str, name: str, *, autocommit: bool = True, applying: bool = False, exclusive: bool = False
) -> Connection:
    """Open a session named *name* (``application_name``) on the state database.

    Args:
        applying: the session applies messages; the server ends it after 10 seconds of silence in a transaction.
        exclusive: the session holds a lock of :func:`try_lock`; the server ends it after a minute of silence, but its
            transactions may be idle for a minute.

    Raises:
        psycopg.OperationalError: the server cannot be reached or refuses.
    """
    options = _OPTIONS + (_APPLYING if applying else "") + (_EXCLUSIVE if exclusive else "")
    with naming_setting("STATE_DSN"):
        return psycopg.connect(
            dsn,
            autocommit=autocommit,
            application_name=f"imsfeed {name}",
            options=f"{options} {conninfo_to_dict(dsn).get('options') or ''}",
            connect_timeout=10,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
        )


def try_lock(connection: Connection, name: str) -> bool:
    """Take the advisory lock called *name* until the session ends; return False if another session holds it."""
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
    return bool(row and row[0])


def ping(connection: Connection) -> None:
    """Check that the server has not ended the session, and that the locks of its transaction are therefore still held.

    Raises:
        psycopg.OperationalError: the server has ended it.
    """
    connection.execute("select")


@contextmanager
def read_only(connection: Connection) -> Iterator[None]:
    """Run a transaction that sees one state of the database, changes nothing and makes no other session wait."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        yield


@contextmanager
def repeatable_read(connection: Connection) -> Iterator[None]:
    """Run a transaction in which all statements see the same state of the database.

    Raises:
        psycopg.errors.SerializationFailure: a row to be changed was changed by another session; try again.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        yield


def is_usable(connection: Connection) -> bool:
    """Return whether the session can go on: the server has not ended it, and it is not inside a transaction."""
    return not connection.closed and connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


def needs_new_session(error: BaseException) -> bool:
    """Return whether only another session can succeed: the server is a standby now, or cached plans are outdated."""
    return isinstance(error, psycopg.errors.ReadOnlySqlTransaction | psycopg.errors.FeatureNotSupported)


def lost_session() -> psycopg.OperationalError:
    """Return the error that says that a session cannot be used any more; it is transient."""
    return psycopg.OperationalError("the session on the state database was left inside a transaction or closed")


def is_transient(error: BaseException) -> bool:
    """Return whether the same work may succeed later: the server was away, or another transaction was in the way."""
    return cause_of(error) is Cause.OUTAGE
