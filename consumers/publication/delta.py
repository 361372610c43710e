"""Publication of a delta: the difference between a target's published records and the current ones.

One transaction gathers what belongs together, decides, gives the delta its number and stores its bytes; the file is
put into the feed only after that. After a crash the same bytes are written again.
"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import FeedPosition, Target, as_json, lock_target
from consumers.facts import suppressions
from consumers.facts.facts_reader import pending_changes
from consumers.facts.pending_changes import mentioned, settled
from consumers.holds import holds_store
from consumers.publication import dates
from consumers.publication.postgres_view import PostgresView
from consumers.publication.rounds import Round, publish_in_turn, rounds
from consumers.published import exclusions_store, logins_store, published_store, recorded_files, tombstones
from ims.feed.delta_files import Head, Writing, next_deltas
from ims.feed.manifest import DeltaEntry
from ims.publication.decision import Decision
from ims.runtime.failpoints import failpoint


class Publication(msgspec.Struct, frozen=True):
    """The deltas of a publication: none if nothing has changed for the importer, several for very many changes.

    ``changed_ids`` counts the persons whose ``sourcedid/id`` has changed.
    """

    entries: list[DeltaEntry]
    changed_ids: int


def publish_delta(
    connection: Connection, target_id: int, now: datetime, settle_seconds: float, *, certain: bool = False
) -> Publication | None:
    """Publish the next delta of a target, if anything has changed for its importer.

    Args:
        certain: *now* is certain enough to take back what was published for later days.

    Returns:
        ``None`` if another process works on the target, its owner is not ready, or no change has settled.

    Raises:
        psycopg.Error: nothing has been changed; the same publication can be tried again.
    """
    with repeatable_read(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "ok" or target.owner.open or not target.position.has_snapshot:
            return None
        if certain and dates.are_ahead(target, now):
            target = dates.take_back(connection, target, now)
        view, position = PostgresView(connection, target), target.position
        changes = pending_changes(connection, target.owner_id, position.changes_through)
        pending, urgent = settled(changes, settle_seconds, after=position.changes_through), view.urgent()
        pending = replace(pending, persons=pending.persons | urgent)
        published: list[Publication] = []

        def publish(each: Round) -> Decision:
            nonlocal position
            decision = each.evaluate(view, position)
            stored = store(connection, target, position, decision, each)
            position = stored.position
            published.append(Publication(stored.entries, len(decision.changed_ids) if stored.entries else 0))
            failpoint("publication.before_commit")
            return decision

        publish_in_turn(rounds(target, pending, mentioned(changes), now), publish)
        if urgent:
            suppressions.delete_urgent(connection, target_id)
        if not published:
            return None
        entries = [entry for one in published for entry in one.entries]
        return Publication(entries, sum(one.changed_ids for one in published))


class Stored(msgspec.Struct, frozen=True):
    """The deltas that are recorded, and the feed's position after them."""

    entries: list[DeltaEntry]
    position: FeedPosition


def store(connection: Connection, target: Target, position: FeedPosition, decision: Decision, done: Round) -> Stored:
    """Store the decision of the round *done*.

    Args:
        position: the feed's position before the round.
    """
    target_id, now = target.target_id, done.request.now
    if decision.holds is not None:
        holds_store.keep(connection, target_id, decision.holds.before, decision.holds.after, now)
        holds_store.note_departures(connection, target_id, decision.holds.departures)
    if decision.another_dialect:
        tombstones.forget(connection, target_id)
    stored = store_deltas(connection, target_id, position, decision, done.writing())
    published_store.store_moved(connection, target_id, decision.moved)
    after = done.position_after(stored.position)
    connection.execute(
        "update imsfeed.target set recompute = false, review = false, repair = false, published_settings = %s,"
        " source = %s, dialect = %s, changes_through = %s, dated_through = %s where target_id = %s",
        (
            as_json(done.terms.settings),
            after.source,
            after.dialect,
            after.changes_through,
            after.dated_through,
            target_id,
        ),
    )
    if decision.left:
        suppressions.end(connection, target.owner_id, decision.left, now)
    return Stored(stored.entries, after)


def store_deltas(
    connection: Connection, target_id: int, position: FeedPosition, decision: Decision, writing: Writing
) -> Stored:
    """Store the deltas that the importer is sent, the exclusions and the warnings; files are written afterwards."""
    now, delta = writing.properties.at, decision.delta
    exclusions_store.store_excluded(connection, target_id, decision.scope, decision.excluded, now)
    exclusions_store.store_warnings(connection, target_id, decision.scope, decision.warnings, now)
    logins_store.store_denied(connection, target_id, decision.scope, decision.denied)
    entries = []
    for entry, xml in next_deltas(
        Head(position.head_seq, position.head_sha256), writing, delta, decision.person_numbers
    ):
        recorded_files.add_delta(connection, target_id, entry, xml)
        entries.append(entry)
    if not entries:
        return Stored(entries, position)
    last = entries[-1]
    connection.execute(
        "update imsfeed.target set head_seq = %s, head_sha256 = %s, head_at = %s where target_id = %s",
        (last.seq, last.sha256, now, target_id),
    )
    published_store.record_delta(connection, target_id, delta, decision.subjects)
    if writing.tombstones:
        tombstones.store(connection, target_id, delta, writing.properties.dialect, now)
    logins_store.store_former(connection, target_id, decision.former_logins, delta.names_now, writing.day)
    exclusions_store.store_id_changes(connection, target_id, decision.changed_ids, last.seq, now)
    return Stored(entries, replace(position, head_seq=last.seq, head_sha256=last.sha256, head_at=now))
