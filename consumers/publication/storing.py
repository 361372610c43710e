"""A decision stored in the state database, in the transaction of its publication. Nothing is decided here."""

import msgspec

from consumers.database.sessions import Connection
from consumers.database.targets_table import FeedPosition, Target, as_json
from consumers.facts import suppressions
from consumers.holds import holds_store
from consumers.publication.delta_files import Head, Writing, next_deltas
from consumers.publication.rounds import Round
from consumers.published import exclusions_store, published_store, recorded_files, tombstones
from ims.feed.manifest import DeltaEntry
from ims.publication.decision import Decision


class Stored(msgspec.Struct, frozen=True):
    """The deltas that are recorded, and where the feed stands after them."""

    entries: list[DeltaEntry]
    position: FeedPosition


def store(connection: Connection, target: Target, position: FeedPosition, decision: Decision, done: Round) -> Stored:
    """Store what the round *done* has decided.

    Args:
        position: where the feed stood before.
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
    """Store what the importer is sent, who is excluded, and warnings; the files are written afterwards."""
    now, delta = writing.properties.at, decision.delta
    exclusions_store.store_excluded(connection, target_id, decision.scope, decision.excluded, now)
    exclusions_store.store_warnings(connection, target_id, decision.scope, decision.warnings, now)
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
    exclusions_store.store_id_changes(connection, target_id, decision.changed_ids, last.seq, now)
    return Stored(entries, msgspec.structs.replace(position, head_seq=last.seq, head_sha256=last.sha256, head_at=now))
