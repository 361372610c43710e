"""The errors of single targets: one target's trouble is that target's, and stops neither the others nor the process.

Work for a target is done through :meth:`TargetErrors.attempt`. What it raises is logged and stored, so that
`imsfeed status` shows it, and the work waits before it is tried again: each time longer, and longer still if it took
long. Only a lost session of the state database concerns all targets. It is remembered during whose work it was lost,
since a query that ends its own session would otherwise end every next one too, before the other targets have a turn.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
import psycopg

from consumers.compact.timing import has_passed
from consumers.database import sessions, target_error_table
from consumers.database.sessions import Connection
from ims.errors import FeedError, ImsfeedError
from ims.runtime.logs import get_logger, summary

log = get_logger(__name__)

Part = Literal["feed", "full files", "expired files"]
"""What is done for a target; each part waits by itself, so that a snapshot's failure delays no delta."""

_FIRST_WAIT: Final[dict[Part, timedelta]] = {
    "feed": timedelta(seconds=1),
    "full files": timedelta(seconds=30),
    "expired files": timedelta(seconds=30),
}
_LONGEST_WAIT: Final[dict[Part, timedelta]] = {
    "feed": timedelta(minutes=1),
    "full files": timedelta(minutes=10),
    "expired files": timedelta(minutes=10),
}
_TIMES_AS_LONG: Final = 20
"""After a failed attempt, so many times its own duration belongs to the other targets."""
_LONGEST_OF_ALL: Final = timedelta(minutes=15)


class About(NamedTuple):
    """A target as its errors name it."""

    target_id: int
    owner_id: int
    name: str


class _Failing(msgspec.Struct, kw_only=True):
    """A part of a target's work that fails.

    Attributes:
        wait: time from the last attempt to the next.
        text: the error, without any value that may be personal.
        in_feed: a file of the feed contradicts what was recorded about it.
        urgent: a person had to leave immediately when it was last tried.
        shown: people see it. A session that was lost once says nothing about the target.
    """

    attempts: int
    tried_at: datetime
    wait: timedelta
    text: str
    in_feed: bool
    urgent: bool
    shown: bool


class TargetErrors:
    """The targets whose work fails, and when each is tried again.

    It outlives the session on the state database, so that after a lost one the targets before and after the one that
    lost it are done first.
    """

    def __init__(self) -> None:
        self._failing: dict[tuple[int, Part], _Failing] = {}
        self._clean: set[tuple[int, Part]] = set()
        """Parts of which the state database has no error, as far as this process knows."""

    def attempt(
        self,
        connection: Connection,
        about: About,
        now: datetime,
        work: Callable[[], None],
        *,
        part: Part = "feed",
        urgent: bool = False,
    ) -> None:
        """Do *work* for a target unless it has failed a short while ago; keep what it raises.

        Args:
            urgent: a person must leave immediately. A new such order is tried at once, whatever has failed before.

        Raises:
            psycopg.Error: the session is lost, or only another one can succeed; nothing can be done for any target.
        """
        failing = self._failing.get((about.target_id, part))
        if failing is not None and not (urgent and not failing.urgent) and not self.is_due(about.target_id, part, now):
            return
        began = time.monotonic()
        try:
            work()
        except Exception as error:
            lost = not sessions.is_usable(connection)
            took = timedelta(seconds=time.monotonic() - began)
            self._note(about, part, now, error, took=took, urgent=urgent, lost=lost)
            if lost and not sessions.is_transient(error):
                raise sessions.lost_session() from error
            if lost or sessions.needs_new_session(error):
                raise
            self._store(connection, about, part)
        else:
            self.succeeded(connection, about, now, part)

    def failed(self, connection: Connection, about: About, now: datetime, part: Part, error: BaseException) -> None:
        """Keep the error of work that was done elsewhere: in another thread, with a session of its own."""
        self._note(about, part, now, error, lost=sessions.is_transient(error))
        self._store(connection, about, part)

    def succeeded(self, connection: Connection, about: About, now: datetime, part: Part) -> None:
        """Forget the error of a target's work, in the state database too."""
        key = (about.target_id, part)
        failing = self._failing.pop(key, None)
        if failing is not None and failing.shown:
            since = round((now - failing.tried_at).total_seconds())
            log.info("target works again", target=about.name, owner=about.owner_id, part=part, seconds_since=since)
        if key not in self._clean:
            target_error_table.delete(connection, about.target_id, part)
            self._clean.add(key)

    def is_due(self, target_id: int, part: Part, now: datetime) -> bool:
        """Return whether the target's work may be tried: it has not failed, or long enough ago."""
        failing = self._failing.get((target_id, part))
        return failing is None or has_passed(failing.wait, failing.tried_at, now)

    def failing(self) -> dict[int, bool]:
        """Return the targets that fail now, and whether it is because a file of the feed is wrong."""
        found: dict[int, bool] = {}
        for (target_id, _), failing in self._failing.items():
            if failing.shown:
                found[target_id] = found.get(target_id, False) or failing.in_feed
        return found

    def keep_only(self, target_ids: set[int]) -> None:
        """Forget the errors of targets that no longer exist."""
        self._failing = {key: failing for key, failing in self._failing.items() if key[0] in target_ids}

    def _note(
        self,
        about: About,
        part: Part,
        now: datetime,
        error: BaseException,
        *,
        took: timedelta = timedelta(),
        urgent: bool = False,
        lost: bool,
    ) -> None:
        before = self._failing.get((about.target_id, part))
        attempts = 1 if before is None else before.attempts + 1
        growing = _FIRST_WAIT[part] * 2 ** min(attempts - 1, 10)
        wait = min(max(min(growing, _LONGEST_WAIT[part]), took * _TIMES_AS_LONG), _LONGEST_OF_ALL)
        failing = self._failing[about.target_id, part] = _Failing(
            attempts=attempts,
            tried_at=now,
            wait=wait,
            text=str(error) if isinstance(error, ImsfeedError) else summary(error),
            in_feed=isinstance(error, FeedError),
            urgent=urgent,
            shown=not lost or attempts > 1,
        )
        expected = isinstance(error, ImsfeedError | OSError | psycopg.Error)
        log.error(
            "target failed",
            target=about.name,
            owner=about.owner_id,
            part=part,
            error=failing.text,
            attempts=attempts,
            wait_seconds=round(wait.total_seconds()),
            **({} if expected else {"exc_info": error}),
        )

    def _store(self, connection: Connection, about: About, part: Part) -> None:
        failing = self._failing[about.target_id, part]
        if failing.shown:
            self._clean.discard((about.target_id, part))
            target_error_table.store(connection, about.target_id, part, failing.text, failing.tried_at)
