"""Publication of a delta in an emergency: persons who must leave immediately are removed, and nothing else happens.

It does not wait until the source's transactions have arrived whole, nor for a changed setting that is worked out or
held: taking everything away from one person is right whatever else is pending. All the rest is left to
:func:`consumers.publication.delta.publish_delta`.
"""

from datetime import datetime

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import lock_target
from consumers.publication.delta import Publication, store_deltas
from consumers.publication.gathering import gather_urgent
from consumers.publication.postgres_view import PostgresView
from ims.feed.delta_files import Writing
from ims.publication.decision import decide_urgent
from ims.publication.gathered import Format
from ims.targets.target_settings import source_of
from ims.xml.writer import Properties


def publish_urgent_delta(connection: Connection, target_id: int, now: datetime) -> Publication | None:
    """Remove the persons from a target who are suppressed or told to leave.

    Returns:
        ``None`` when another process works on the target, or it has no feed that goes on.

    Raises:
        psycopg.Error: nothing has been changed; the same publication can be tried again.
    """
    with repeatable_read(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "ok" or not target.position.has_snapshot:
            return None
        gathered = gather_urgent(PostgresView(connection, target))
        if gathered is None:
            return Publication([], 0)
        position, settings = target.position, target.settings
        # In the format in which the records were published, whatever the settings say since.
        source, dialect = position.source or source_of(settings, position.orgnr), position.dialect
        decision = decide_urgent(gathered, Format(source, dialect))
        writing = Writing(
            Properties(source, settings.name, "delta", now, dialect), tombstones=settings.export_shape == "tombstones"
        )
        return Publication(store_deltas(connection, target_id, position, decision, writing).entries, 0)
