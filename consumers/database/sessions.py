"""Sessions on the state database that cannot block another process for ever.

A process that is paused in the middle of a transaction holds its locks, and one that is paused between two transactions
may hold a lock of its session; the server's time-outs take both from it, so that another can go on. TCP's own probes,
from both ends, find a peer that is gone without a word. What the DSN says in ``options`` comes after these and wins.

Nothing here uses ``executemany``: it sends a pipeline, and from there to the next statement the server does not count
for how long a transaction is idle.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

Connection = psycopg.Connection[tuple[Any, ...]]

_OPTIONS: Final = (
    "-c timezone=UTC -c lock_timeout=15s -c statement_timeout=300s"
    # A cut of everything works out a large owner between two statements; nobody but its own target waits for it.
    " -c idle_in_transaction_session_timeout=60s"
    " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=30s"
    " -c client_connection_check_interval=5s"
)
_APPLYING: Final = " -c idle_in_transaction_session_timeout=10s"
"""Of a session that applies messages: the process that takes its partitions over waits for its transaction, and for no
longer than ``lock_timeout``."""
_ALONE: Final = " -c idle_session_timeout=60s"
"""Of a session that does something alone, in transactions of any length but one right after the other."""


def connect(dsn: str, name: str, *, autocommit: bool = True, applying: bool = False, alone: bool = False) -> Connection:
    """Open a session named *name* (``application_name``) on the state database.

    Args:
        applying: it applies messages; the server ends it when nothing is heard for 10 seconds in a transaction.
        alone: it keeps one of :func:`is_alone`; likewise, but its transactions may be idle for a minute.

    Raises:
        psycopg.OperationalError: the server cannot be reached or refuses.
    """
    options = _OPTIONS + (_APPLYING if applying else "") + (_ALONE if alone else "")
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


def is_alone(connection: Connection, work: str) -> bool:
    """Whether this session is the one that does *work*, as no other can before this one ends."""
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (work,)).fetchone()
    return bool(row and row[0])


def see_that_it_lives(connection: Connection) -> None:
    """Ask the server whether the session, and so the locks of its transaction, are still ours.

    Raises:
        psycopg.OperationalError: the server has ended it.
    """
    connection.execute("select")


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """A transaction that sees one state of the database, can change nothing, and keeps nobody waiting."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        yield


@contextmanager
def one_view(connection: Connection) -> Iterator[None]:
    """A transaction all of whose statements see the same state of the database.

    Raises:
        psycopg.errors.SerializationFailure: a row to be changed was changed meanwhile; try again.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        yield


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later: the server is away, or another transaction was in the way.

    A process that was paused for too long, and wakes up to find its transaction gone, is told so by an internal error.
    """
    lost = psycopg.errors.IdleInTransactionSessionTimeout
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | lost)
