"""Removed records, for an importer that reads one full file at a fixed path and infers nothing from absence.

Moodle's importer is one: a person who is only missing from a file keeps every enrolment. Its file (``export_shape``
``tombstones``) holds the full state and, for 30 days, each leaver's roles with recstatus 3 and status 0, as well as the
removed persons and groups, with recstatus 3. A record that comes back is no longer among them; the old role of a
changed role is, and stands before the new one.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from consumers.database.sessions import Connection
from consumers.published.published_store import streamed
from ims.feed.delta import Delta
from ims.publication.decision import returned, tombstones
from ims.records.logins import text_without_names
from ims.records.model import RecordKey
from ims.xml.dialect import Dialect

KEPT: Final = timedelta(days=30)
"""Longer than any known outage of an importer, and short enough for personal data (design, retention)."""


def store(connection: Connection, target_id: int, delta: Delta, dialect: Dialect, now: datetime) -> None:
    """Store the records that *delta* removes, and delete the tombstones of those that come back."""
    _take_logins(connection, target_id, delta)
    gone = tombstones(delta, dialect)
    _delete(connection, target_id, {**returned(delta), **dict.fromkeys(gone, "")})
    connection.execute(
        "insert into imsfeed.tombstone (target_id, kind, id, member, xml, gone_at)"
        " select %s, kind, id, member, xml, %s"
        " from unnest(%s::smallint[], %s::text[], %s::text[], %s::text[]) as gone(kind, id, member, xml)",
        (
            target_id,
            now,
            [int(key.kind) for key in gone],
            [key.id for key in gone],
            [key.member for key in gone],
            list(gone.values()),
        ),
    )


def forget(connection: Connection, target_id: int) -> None:
    """Delete all tombstones of a target, which are in a dialect that it no longer publishes."""
    connection.execute("delete from imsfeed.tombstone where target_id = %s", (target_id,))


def expire(connection: Connection, target_id: int, now: datetime) -> None:
    """Delete the tombstones that are older than :data:`KEPT`."""
    connection.execute("delete from imsfeed.tombstone where target_id = %s and gone_at < %s", (target_id, now - KEPT))


def stream(connection: Connection, target_id: int, now: datetime) -> Iterator[tuple[RecordKey, str]]:
    """Yield every published fragment and every tombstone, in a file's order; needs a transaction.

    A tombstone and what took its place are one text, as in :func:`ims.publication.decision.with_tombstones`.
    """
    query = (
        "select kind, id, member, coalesce(t.xml, '') || coalesce(p.xml, '')"
        " from (select kind, id, member, xml from imsfeed.published where target_id = %(target)s) p"
        " full join (select kind, id, member, xml from imsfeed.tombstone"
        " where target_id = %(target)s and gone_at >= %(since)s) t using (kind, id, member) order by kind, id, member"
    )
    return streamed(connection, query, {"target": target_id, "since": now - KEPT})


def _take_logins(connection: Connection, target_id: int, delta: Delta) -> None:
    """Remove from the tombstones each login that a person in *delta* has now; it would delete that person's account.

    A login that was not published until now may be in a tombstone; of any other one it was removed before.
    """
    taken = delta.names_now
    if not taken:
        return
    rows = connection.execute(
        "select id, xml from imsfeed.tombstone where target_id = %s and kind = 1", (target_id,)
    ).fetchall()
    changed = {id_: text for id_, xml in rows if (text := text_without_names(xml, taken)) != xml}
    if changed:
        connection.execute(
            "update imsfeed.tombstone t set xml = c.xml from unnest(%s::text[], %s::text[]) as c(id, xml)"
            " where t.target_id = %s and t.kind = 1 and t.id = c.id",
            (list(changed), list(changed.values()), target_id),
        )


def _delete(connection: Connection, target_id: int, parts: Mapping[RecordKey, str]) -> None:
    """Delete the tombstones under these keys that have the part of a text."""
    connection.execute(
        "delete from imsfeed.tombstone t"
        " using unnest(%s::smallint[], %s::text[], %s::text[], %s::text[]) as g(kind, id, member, part)"
        " where t.target_id = %s and (t.kind, t.id, t.member) = (g.kind, g.id, g.member)"
        " and position(g.part in t.xml) > 0",
        (
            [int(key.kind) for key in parts],
            [key.id for key in parts],
            [key.member for key in parts],
            list(parts.values()),
            target_id,
        ),
    )
