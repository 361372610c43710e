"""Open transactions of the source that hold up a new slot: PostgreSQL waits until each that has written has ended.

So a forgotten ``begin`` in any database of the server holds up setup, a load and a resync, without a word from the
server.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

import psycopg

from producers.source import sessions
from producers.source.catalog import Connection

PATIENCE_SECONDS: Final = 3.0
"""Age from which a transaction is named; ordinary ones end sooner."""
_REPEAT_SECONDS: Final = 30.0
_JOIN_SECONDS: Final = 1.0

_OPEN: Final = """
select pid, coalesce(usename::text, 'unknown'), coalesce(nullif(application_name, ''), 'without a name'),
       coalesce(datname::text, 'unknown'), xact_start
from pg_stat_activity
where backend_xid is not null and pid <> pg_backend_pid()
  and (xact_start is null or xact_start < now() - make_interval(secs => %(seconds)s))
union all
select null, owner::text, 'the prepared transaction ' || quote_literal(gid), database::text, prepared
from pg_prepared_xacts where prepared < now() - make_interval(secs => %(seconds)s)
order by 5 nulls last
"""


class OpenTransaction(NamedTuple):
    """A transaction that has written and has not ended.

    Attributes:
        pid: the server process; ``None`` for a prepared transaction, which has none.
        application: the session's ``application_name``, or the name of a prepared transaction.
        since: when it began; ``None`` if the asking role may not see that.
    """

    pid: int | None
    user: str
    application: str
    database: str
    since: datetime | None

    def __str__(self) -> str:
        since = "an unknown time" if self.since is None else f"{self.since:%Y-%m-%d %H:%M:%S} UTC"
        process = "" if self.pid is None else f"pid {self.pid}, "
        return f"{process}user {self.user}, application {self.application}, database {self.database}, since {since}"


def open_transactions(connection: Connection, seconds: float = PATIENCE_SECONDS) -> list[OpenTransaction]:
    """Return the transactions that have been open for longer than *seconds*, the oldest first."""
    return [OpenTransaction(*row) for row in connection.execute(_OPEN, {"seconds": seconds})]


@contextlib.contextmanager
def waits_reported(dsn: str, report: Callable[[list[OpenTransaction]], None]) -> Iterator[None]:
    """Run a statement that creates a slot, and report from a thread which transactions hold it up, if any do.

    The first report comes after a few seconds, others follow twice a minute.
    """
    done = threading.Event()

    def watch() -> None:
        wait = PATIENCE_SECONDS
        while not done.wait(wait):
            with contextlib.suppress(psycopg.Error), sessions.connect(dsn, "waiting") as connection:
                found = open_transactions(connection)
                # The statement itself may have ended meanwhile.
                if found and not done.is_set():
                    report(found)
            wait = _REPEAT_SECONDS

    thread = threading.Thread(target=watch, name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_JOIN_SECONDS)
