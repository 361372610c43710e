"""What the machines that run compact say about the clocks, and the time for a command that writes to a feed."""

from datetime import UTC, datetime

import msgspec

from consumers.database.sessions import Connection
from ims.errors import ImsfeedError
from ims.publication.clock import TOLERANCE, ClockTrouble, text_of


class ClockStatus(msgspec.Struct, frozen=True):
    """A machine that runs compact and does not believe one of the clocks.

    Attributes:
        believed_at: the time that it works by.
        source_at: the source's clock, if its heartbeats arrive.
    """

    machine: str
    trouble: ClockTrouble
    since: datetime
    believed_at: datetime
    local_at: datetime
    database_at: datetime
    source_at: datetime | None

    @property
    def text(self) -> str:
        """Return what is wrong, for operators."""
        source = "silent" if self.source_at is None else f"{self.source_at:%Y-%m-%d %H:%M:%S}"
        return (
            f"{self.machine}: {text_of(self.trouble)} (UTC: machine {self.local_at:%Y-%m-%d %H:%M:%S}, state database"
            f" {self.database_at:%Y-%m-%d %H:%M:%S}, source {source}; used {self.believed_at:%Y-%m-%d %H:%M:%S})"
        )


def clock_troubles(connection: Connection) -> list[ClockStatus]:
    """Return the machines that have not believed a clock within the last minutes."""
    rows = connection.execute(
        "select machine, trouble, coalesce(trouble_since, seen_at), believed_at, local_at, database_at, source_at"
        " from imsfeed.clock where trouble is not null and seen_at > clock_timestamp() - interval '5 minutes'"
        " order by machine"
    ).fetchall()
    return [ClockStatus(machine, ClockTrouble(trouble), *times) for machine, trouble, *times in rows]


def checked_now(connection: Connection) -> datetime:
    """Return the time, for a command that writes to a feed.

    Raises:
        ImsfeedError: this machine's clock and the state database's differ, or compact does not believe a clock.
        psycopg.Error: the state database did not answer.
    """
    row = connection.execute("select clock_timestamp()").fetchone()
    now, database = datetime.now(UTC), datetime.now(UTC) if row is None else row[0]
    if abs(now - database) > TOLERANCE:
        raise ImsfeedError(
            f"this machine's clock ({now:%Y-%m-%d %H:%M} UTC) and the state database's ({database:%Y-%m-%d %H:%M} UTC)"
            " differ: set them right first, since days are published by them"
        )
    for status in clock_troubles(connection):
        raise ImsfeedError(f"clocks disagree, set them right first: {status.text}")
    return now
