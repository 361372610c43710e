"""Sessions on the state database that cannot block another process for ever.

A process that is paused in the middle of a transaction holds its locks; the server's time-outs take them from it, so
that whoever has taken over can go on. TCP's own probes find a peer that is gone without a word.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

_TIMEOUTS = "-c idle_in_transaction_session_timeout=10s -c lock_timeout=15s -c statement_timeout=300s -c timezone=UTC"


def connect(dsn: str, name: str, *, autocommit: bool = True) -> Connection:
    """Open a session named *name* (``application_name``) on the state database.

    Raises:
        psycopg.OperationalError: the server cannot be reached or refuses.
    """
    return psycopg.connect(
        dsn,
        autocommit=autocommit,
        application_name=f"imsfeed {name}",
        options=_TIMEOUTS,
        connect_timeout=10,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    )


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
