"""Ordinary sessions on the source, and the connection options that they share with the replication connection.

Both kinds print values in the same form, so that a row looks the same whether it was loaded or streamed.
"""

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ims.errors import naming_setting

_OPTIONS: Final = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=1"
    # An initial load may take long, and may wait for Kafka inside its transaction: the server's limits must not end it.
    " -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    # A query from which row security would hide rows then fails: rows that a load lacks count as deleted.
    " -c row_security=off"
)
CONNECT_SECONDS: Final = 10


def conninfo(dsn: str, name: str, *, replication: bool = False) -> str:
    """Return the DSN with the options that every session here needs; TCP options that it sets itself are kept.

    Args:
        dsn: the DSN from the setting.
        name: added to ``application_name``.
        replication: true for a replication connection to the DSN's database.
    """
    given = conninfo_to_dict(dsn)
    tcp = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
    return make_conninfo(
        dsn,
        **{key: value for key, value in tcp.items() if key not in given},
        **({"replication": "database"} if replication else {}),
        application_name=f"imsfeed {name}",
        client_encoding="UTF8",
        connect_timeout=CONNECT_SECONDS,
        options=f"{given.get('options') or ''} {_OPTIONS}".strip(),
    )


def connect(dsn: str, name: str, *, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
    """Open an ordinary session on the source.

    Raises:
        psycopg.OperationalError: the server cannot be reached or refuses.
    """
    with naming_setting("SOURCE_DSN"):
        return psycopg.connect(conninfo(dsn, name), autocommit=autocommit)


def is_transient(error: BaseException) -> bool:
    """Return True if a later attempt may succeed: the connection failed, or the server refused for the moment."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
