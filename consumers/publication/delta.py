"""Publication of a delta: what has changed for a target, compared with what was published, becomes the next one.

One transaction gathers what belongs together, decides, gives the delta its number and stores its bytes; only then is
the file put into the feed. After a crash the same bytes are written again.
"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import lock_target
from consumers.facts import suppressions
from consumers.facts.facts_reader import pending_changes
from consumers.facts.pending_changes import mentioned, settled
from consumers.publication.postgres_view import PostgresView
from consumers.publication.rounds import rounds
from consumers.publication.storing import store
from ims.feed.manifest import DeltaEntry
from ims.runtime.failpoints import failpoint


class Publication(msgspec.Struct, frozen=True):
    """The deltas of a publication: none when nothing has changed for the importer, several for very many changes.

    ``changed_ids`` counts the persons whose ``sourcedid/id`` has changed.
    """

    entries: list[DeltaEntry]
    changed_ids: int


def publish_delta(connection: Connection, target_id: int, now: datetime, settle_seconds: float) -> Publication | None:
    """Publish the next delta of a target, if anything has changed for its importer.

    Returns:
        ``None`` when another process works on the target, its owner is not ready, or no change has settled.

    Raises:
        psycopg.Error: nothing has been changed; the same publication can be tried again.
    """
    with repeatable_read(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "ok" or target.owner.open or not target.position.has_snapshot:
            return None
        view, position = PostgresView(connection, target), target.position
        changes = pending_changes(connection, target.owner_id, position.changes_through)
        pending, urgent = settled(changes, settle_seconds, after=position.changes_through), view.urgent()
        pending = replace(pending, persons=pending.persons | urgent)
        publication = None
        for each in rounds(target, pending, mentioned(changes), now):
            decision = each.evaluate(view, position)
            stored = store(connection, target, position, decision, each)
            before, position = publication or Publication([], 0), stored.position
            changed_ids = len(decision.changed_ids) if stored.entries else 0
            publication = Publication([*before.entries, *stored.entries], before.changed_ids + changed_ids)
            failpoint("publication.before_commit")
        if urgent:
            suppressions.delete_urgent(connection, target_id)
        return publication
