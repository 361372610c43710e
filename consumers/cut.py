"""A cut: what may have changed for a target, compared with what its importer has been told, becomes the next delta.

One transaction takes the marks, works out the records, compares, gives the delta its number and stores its bytes; only
then is the file put into the feed. After a crash the same bytes are written again.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from consumers import facts_reader, outcomes_store, published_store, told_about, tombstones
from consumers.facts_reader import Affected
from consumers.pending import Mark, Pending, looking_at, settled
from consumers.sessions import Connection, one_view
from consumers.targets_table import TargetRow, lock_target
from ims.delta import Delta, between, delta_document
from ims.delta_split import split
from ims.errors import FeedError
from ims.facts import Facts
from ims.feed import DeltaEntry, delta_path
from ims.old_ids import former_ids, with_old_ids
from ims.records import Record, RecordKey
from ims.roster import Roster, roster_of
from ims.schedule import due_snapshot, local_day
from ims.targets import TargetSettings
from ims.vocabulary import RecordKind
from ims.xml_writer import Properties, fragment

_CHUNK: Final = 2_000
"""Persons worked out at a time at the first publication."""


class Cut(msgspec.Struct, frozen=True):
    """The deltas that a cut has made: none when nothing had changed for the importer, several for very much.

    ``changed_ids`` counts the persons whose ``sourcedid/id`` changed.
    """

    entries: list[DeltaEntry]
    changed_ids: int


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
            fragments = {
                key: fragment(record, dialect=target.settings.dialect) for key, record in sorted(roster.records.items())
            }
            published_store.store_fragments(connection, target_id, fragments, roster.owners)
            outcomes_store.keep(connection, target_id, roster, chunk.persons, chunk.groups, now)
        connection.execute(
            "update imsfeed.target set recompute = false, orgnr = %s, source = %s, dialect = %s,"
            " head_seq = 0, head_at = %s, marks_through = %s, dated_through = %s, snapshot_through = %s"
            " where target_id = %s",
            (
                target.orgnr,
                source_of(target),
                target.settings.dialect,
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
    roster = _roster(connection, target, affected, today)
    while (connected := _connected(connection, target, affected, roster)) is not None:
        affected = facts_reader.affected(connection, target, connected, None)
        roster = _roster(connection, target, affected, today)
    persons, groups = affected.persons, affected.groups
    told = published_store.published(connection, target.target_id, persons, groups)
    told_ids = published_store.person_ids(connection, target.target_id, persons)
    delta = difference(target.settings, told, told_ids, roster, _taken(connection, target, told, roster))
    if target.dialect != target.settings.dialect:
        tombstones.forget(connection, target.target_id)
    outcomes_store.keep(connection, target.target_id, roster, persons, groups, now)
    entries = _record(connection, target, delta, who(told_ids) | who(roster.person_ids), now, pending)
    changed_ids = 0
    if entries:
        published_store.tell(connection, target.target_id, delta, roster.owners)
        tombstones.keep(connection, target, delta, now)
        changed_ids = outcomes_store.keep_id_changes(
            connection, target.target_id, told_ids, roster.person_ids, entries[-1].seq, now
        )
    told_about.note(connection, target.target_id, roster.owners)
    connection.execute(
        "update imsfeed.target set recompute = false, source = %s, dialect = %s, marks_through = %s, dated_through = %s"
        " where target_id = %s",
        (source_of(target), target.settings.dialect, pending.through, today, target.target_id),
    )
    return Cut(entries, changed_ids)


def difference(
    settings: TargetSettings,
    published: Mapping[RecordKey, str],
    told_ids: Mapping[int, str],
    roster: Roster,
    taken: Collection[str] = (),
) -> Delta:
    """What has to be told, in the target's dialect.

    Args:
        published: as for :func:`ims.delta.between`.
        told_ids: the ``sourcedid/id`` told before of the persons looked at, by running number.
        roster: what is so now.
        taken: logins that persons who are not looked at have.
    """
    current: Mapping[RecordKey, Record] = roster.records
    if settings.dialect == "pifu":
        current = with_old_ids(published, current, former_ids(told_ids, roster.person_ids))
    return between(published, current, settings.dialect, taken)


def _taken(connection: Connection, target: TargetRow, told: Mapping[RecordKey, str], roster: Roster) -> Collection[str]:
    """The logins of those who go that somebody has who is not looked at; most often nobody goes."""
    persons = [key for key in told if key.kind is RecordKind.PERSON]
    gone = [key.id for key in persons if key not in roster.records]
    if not gone:
        return ()
    return published_store.logins_elsewhere(connection, target.target_id, gone, [key.id for key in persons])


def _connected(connection: Connection, target: TargetRow, affected: Affected, roster: Roster) -> Pending | None:
    """The affected and those who cannot be told without them; ``None`` if there are no such others.

    What has rested and what has not may be about one record: an id that goes from one running number to another, or a
    group that comes and has members already. Looked at alone, the one would take everything from the person that the
    other still is, or make somebody a member of a group of which the importer has not heard.
    """
    ids = list(roster.person_ids.values())
    persons = set(published_store.persons_called(connection, target.target_id, ids))
    told = published_store.person_ids(connection, target.target_id, affected.persons)
    persons |= set(facts_reader.persons_called(connection, target, list(told.values())))
    if target.settings.dialect == "pifu":
        persons |= set(published_store.persons_once_called(connection, target.target_id, ids))
    joined = {group: key.id for key, (_, group) in roster.owners.items() if key.member and group is not None}
    known = published_store.groups_called(connection, target.target_id, list(joined.values()))
    groups = {group for group, id_ in joined.items() if id_ not in known}
    if persons <= set(affected.persons) and groups <= set(affected.groups):
        return None
    return looking_at({*persons, *affected.persons}, {*groups, *affected.groups})


def _record(
    connection: Connection,
    target: TargetRow,
    delta: Delta,
    persons: Mapping[str, int],
    now: datetime,
    pending: Pending,
) -> list[DeltaEntry]:
    entries = []
    for entry, xml in next_deltas(target, delta, persons, now, pending.oldest_event_at):
        published_store.add_delta(connection, target.target_id, entry, xml)
        connection.execute(
            "update imsfeed.target set head_seq = %s, head_sha256 = %s, head_at = %s where target_id = %s",
            (entry.seq, entry.sha256, now, target.target_id),
        )
        entries.append(entry)
    return entries


def who(ids: Mapping[int, str]) -> dict[str, int]:
    """Running numbers by ``sourcedid/id``, from the other way round."""
    return {id_: number for number, id_ in ids.items()}


def next_deltas(
    target: TargetRow, delta: Delta, persons: Mapping[str, int], now: datetime, oldest_event_at: datetime | None
) -> Iterator[tuple[DeltaEntry, bytes]]:
    """*delta* as the target's next one, or several if it is very large (:mod:`ims.delta_split`).

    Args:
        persons: running numbers by ``sourcedid/id``, as told before and as they are now.

    Yields:
        Each one's entry in the manifest, chained to the one before, and its bytes.

    Raises:
        FeedError: the target was never published.
    """
    for part in split(delta, persons):
        entry, xml = _next_delta(target, part, now, oldest_event_at)
        target = msgspec.structs.replace(target, head_seq=entry.seq, head_sha256=entry.sha256)
        yield entry, xml


def _next_delta(
    target: TargetRow, delta: Delta, now: datetime, oldest_event_at: datetime | None
) -> tuple[DeltaEntry, bytes]:
    settings = target.settings
    xml = delta_document(Properties(source_of(target), settings.name, "delta", now, settings.dialect), delta)
    if target.head_seq is None or target.head_sha256 is None:
        raise FeedError(f"target {settings.name} has no snapshot to which its first delta could be chained")
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
    return entry, xml


def _roster(connection: Connection, target: TargetRow, affected: Affected, today: date) -> Roster:
    facts = facts_reader.read_facts(connection, target, affected.persons, affected.groups)
    return roster_today(target, facts, affected, today)


def roster_today(target: TargetRow, facts: Facts, affected: Affected, today: date) -> Roster:
    """What the target's importer should know of these persons and groups."""
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
