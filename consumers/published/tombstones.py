"""The records that are gone, for an importer that reads one full file at a fixed path and infers nothing from absence.

Moodle's importer is one: whoever is merely missing from a file keeps every enrolment. Its file (``export_shape``
``tombstones``) holds the full state and, for 30 days, each leaver's roles with recstatus 3 and status 0, as well as the
persons and groups that are gone, with recstatus 3. Who comes back is no longer among them.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.published.published_store import streamed
from ims.feed.delta import Delta
from ims.records.model import RecordKey
from ims.records.vocabulary import RecStatus
from ims.xml.dialect import Dialect
from ims.xml.writer import fragment

KEPT: Final = timedelta(days=30)
"""Longer than any importer's outage that we heard of, and short enough for personal data (design, retention)."""


def keep(connection: Connection, target: TargetRow, delta: Delta, now: datetime) -> None:
    """Remember what *delta* says is gone, and forget what it says is there."""
    if target.settings.export_shape != "tombstones":
        return
    gone = texts(delta, target.settings.dialect)
    _remove(connection, target.target_id, [*delta.upserts, *gone])
    connection.execute(
        "insert into imsfeed.tombstone (target_id, kind, id, member, xml, gone_at)"
        " select %s, kind, id, member, xml, %s"
        " from unnest(%s::smallint[], %s::text[], %s::text[], %s::text[]) as gone(kind, id, member, xml)",
        (
            target.target_id,
            now,
            [int(key.kind) for key in gone],
            [key.id for key in gone],
            [key.member for key in gone],
            list(gone.values()),
        ),
    )


def texts(delta: Delta, dialect: Dialect) -> dict[RecordKey, str]:
    """The text of each record that *delta* says is gone."""
    upserts = delta.upserts
    return {
        change.key: fragment(change.record, RecStatus.GONE, dialect)
        for change in delta.changes
        if change.recstatus is RecStatus.GONE and change.key not in upserts
    }


def forget(connection: Connection, target_id: int) -> None:
    """Forget all of a target's: they are in a dialect that it is not told in any more."""
    connection.execute("delete from imsfeed.tombstone where target_id = %s", (target_id,))


def expire(connection: Connection, target_id: int, now: datetime) -> None:
    """Forget those that are older than :data:`KEPT`."""
    connection.execute("delete from imsfeed.tombstone where target_id = %s and gone_at < %s", (target_id, now - KEPT))


def stream(connection: Connection, target_id: int, now: datetime) -> Iterator[tuple[RecordKey, str]]:
    """Every fragment told to the target and every tombstone, in a file's order; needs a transaction."""
    query = (
        "select kind, id, member, xml from imsfeed.published where target_id = %(target)s"
        " union all select kind, id, member, xml from imsfeed.tombstone"
        " where target_id = %(target)s and gone_at >= %(since)s order by kind, id, member"
    )
    return streamed(connection, query, {"target": target_id, "since": now - KEPT})


def _remove(connection: Connection, target_id: int, keys: list[RecordKey]) -> None:
    connection.execute(
        "delete from imsfeed.tombstone t"
        " using unnest(%s::smallint[], %s::text[], %s::text[]) as g(kind, id, member)"
        " where t.target_id = %s and (t.kind, t.id, t.member) = (g.kind, g.id, g.member)",
        ([int(key.kind) for key in keys], [key.id for key in keys], [key.member for key in keys], target_id),
    )
