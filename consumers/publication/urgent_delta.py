"""Publication of a delta in an emergency: only the removal of persons who must leave immediately.

It waits neither until the source's transactions have arrived whole nor for changed settings to be worked out or
approved: removing everything of one person is right whatever else is pending. All other changes are published by
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
from ims.targets.schedule import local_day
from ims.targets.target_settings import source_of
from ims.xml.writer import Properties


def publish_urgent_delta(connection: Connection, target_id: int, now: datetime) -> Publication | None:
    """Publish the removal of the persons who are suppressed or ordered to leave.

    Returns:
        ``None`` if another process works on the target, or if the target publishes nothing now.

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
        # In the format in which the records were published, even if the settings have changed since.
        source, dialect = position.source or source_of(settings, position.orgnr), position.dialect
        decision = decide_urgent(gathered, Format(source, dialect))
        writing = Writing(
            Properties(source, settings.name, "delta", now, dialect),
            local_day(now, settings.zone),
            tombstones=settings.export_shape == "tombstones",
        )
        return Publication(store_deltas(connection, target_id, position, decision, writing).entries, 0)
