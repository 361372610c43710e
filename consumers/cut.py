"""A cut: what may have changed for a target, compared with what its importer has been told, becomes the next delta.

One transaction takes the marks, works out the records, compares, gives the delta its number and stores its bytes; only
then is the file put into the feed. After a crash the same bytes are written again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from consumers import facts_reader, published_store
from consumers.facts_reader import Affected
from consumers.pending import Mark, Pending, settled
from consumers.sessions import Connection, one_view
from consumers.targets_table import TargetRow, lock_target
from ims.delta import Delta, between, delta_document
from ims.errors import FeedError
from ims.feed import DeltaEntry, delta_path
from ims.roster import Roster, roster_of
from ims.schedule import due_snapshot, local_day
from ims.xml_writer import Properties, fragment

_CHUNK: Final = 2_000
"""Persons worked out at a time at the first publication."""


class Cut(msgspec.Struct, frozen=True):
    """What a cut did. ``entry`` is ``None`` when nothing had changed for the importer."""

    entry: DeltaEntry | None
    committed_at: datetime | None


def cut_once(connection: Connection, target_id: int, now: datetime, settle_seconds: float) -> Cut | None:
    """Make the next delta of a target, if there is anything to tell.

    Returns:
        ``None`` when another process works on the target, or its owner or marks are not ready.

    Raises:
        psycopg.Error: nothing has been changed; the same cut can be tried again.
    """
    with one_view(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "ok" or target.open or not target.has_snapshot:
            return None
        today = max(local_day(now, target.settings.zone), target.dated_through or date.min)
        pending = settled(_marks(connection, target), settle_seconds, after=target.marks_through)
        if target.recompute or pending.everything:
            affected = facts_reader.everything(connection, target)
        else:
            told = target.dated_through or today
            days = (told, today) if told < today else None
            if not pending and days is None:
                return None
            affected = facts_reader.affected(connection, target, pending, days)
        return _compare(connection, target, affected, pending, now, today)


def publish_first(connection: Connection, target_id: int, now: datetime) -> bool:
    """Work out everything for a target that was never published: sequence 0, told by the snapshot that follows.

    Returns:
        Whether it was done; not while the owner's facts are arriving, or it has no organisation number.
    """
    with one_view(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "waiting" or target.open or target.owner_orgnr is None:
            return False
        target = msgspec.structs.replace(target, orgnr=target.owner_orgnr)
        zone = target.settings.zone
        today = local_day(now, zone)
        marks = list(_marks(connection, target))
        for chunk in _chunks(connection, target):
            roster = _roster(connection, target, chunk, today)
            fragments = {key: fragment(record) for key, record in sorted(roster.records.items())}
            published_store.store_fragments(connection, target_id, fragments, roster.owners)
            published_store.leave_out(connection, target_id, roster, chunk.persons, chunk.groups, now)
        connection.execute(
            "update imsfeed.target set recompute = false, orgnr = %s, source = %s, head_seq = 0, head_at = %s,"
            " marks_through = %s, dated_through = %s, snapshot_through = %s where target_id = %s",
            (
                target.orgnr,
                source_of(target),
                now,
                marks[-1].mark_id if marks else target.marks_through,
                today,
                due_snapshot(now, target.settings.snapshot_hour, zone, None),
                target_id,
            ),
        )
        return True


def source_of(target: TargetRow) -> str:
    """``sourcedid/source`` as the settings say now."""
    return target.settings.source or f"imsfeed@{target.orgnr}"


def _compare(
    connection: Connection, target: TargetRow, affected: Affected, pending: Pending, now: datetime, today: date
) -> Cut:
    persons, groups = affected.persons, affected.groups
    roster = _roster(connection, target, affected, today)
    delta = between(published_store.published(connection, target.target_id, persons, groups), roster.records)
    published_store.leave_out(connection, target.target_id, roster, persons, groups, now)
    entry = _record(connection, target, delta, roster, now, pending.oldest_event_at) if delta else None
    connection.execute(
        "update imsfeed.target set recompute = false, source = %s, marks_through = %s, dated_through = %s"
        " where target_id = %s",
        (source_of(target), pending.through, today, target.target_id),
    )
    return Cut(entry, pending.oldest_event_at)


def _record(
    connection: Connection,
    target: TargetRow,
    delta: Delta,
    roster: Roster,
    now: datetime,
    oldest_event_at: datetime | None,
) -> DeltaEntry:
    xml = delta_document(Properties(source_of(target), target.settings.name, "delta", now), delta)
    if target.head_seq is None or target.head_sha256 is None:
        raise FeedError(f"target {target.settings.name} has no snapshot to which its first delta could be chained")
    seq = target.head_seq + 1
    entry = DeltaEntry(
        seq=seq,
        path=delta_path(seq),
        sha256=hashlib.sha256(xml).hexdigest(),
        prev_sha256=target.head_sha256,
        size=len(xml),
        created=now,
        oldest_event_at=oldest_event_at,
        counts=delta.counts(),
    )
    published_store.add_delta(connection, target.target_id, entry, xml)
    published_store.tell(connection, target.target_id, delta, roster.owners)
    connection.execute(
        "update imsfeed.target set head_seq = %s, head_sha256 = %s, head_at = %s where target_id = %s",
        (seq, entry.sha256, now, target.target_id),
    )
    return entry


def _roster(connection: Connection, target: TargetRow, affected: Affected, today: date) -> Roster:
    facts = facts_reader.read_facts(connection, target, affected.persons, affected.groups)
    return roster_of(
        facts,
        target.settings,
        orgnr=target.orgnr or "",
        today=today,
        persons=affected.persons,
        groups=affected.groups,
    )


def _marks(connection: Connection, target: TargetRow) -> Sequence[Mark]:
    rows = connection.execute(
        "select mark_id, kind, id, committed_at, extract(epoch from clock_timestamp() - marked_at)::float8"
        " from imsfeed.mark where owner_id = %s and mark_id > %s order by mark_id",
        (target.owner_id, target.marks_through),
    ).fetchall()
    return [Mark(*row) for row in rows]


def _chunks(connection: Connection, target: TargetRow) -> Iterator[Affected]:
    """All that the owner has, a part at a time; persons that share a national id are never apart."""
    everything = facts_reader.everything(connection, target)
    yield Affected([], everything.groups)
    for start in range(0, len(everything.persons), _CHUNK):
        persons = everything.persons[start : start + _CHUNK]
        yield Affected(facts_reader.with_twins(connection, target, persons), [])
