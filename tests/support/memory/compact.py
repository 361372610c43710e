"""What compact does with a target, in memory and step by step.

Each function goes on to the next place where a process may be stopped, killed, or lose its session, and says where.

tests/contract holds it to what the real functions do on PostgreSQL and in a real folder.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Protocol

import msgspec

from consumers.database.targets_table import TargetRow, source_of
from consumers.facts.facts_reader import Affected
from consumers.facts.pending_changes import Pending, settled
from consumers.feed.manifests import manifest_of
from consumers.feed.snapshots import document
from consumers.publication.delta import difference, roster_today
from consumers.publication.delta_files import next_deltas, who
from ims.feed.delta import Delta
from ims.feed.manifest import DeltaEntry, Manifest, SnapshotEntry, Totals, delta_path, snapshot_path
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster
from ims.source.facts import Facts
from ims.targets.schedule import due_snapshot, local_day
from ims.xml.writer import fragment
from tests.support.memory import affected, state
from tests.support.memory.state import MemoryState, Target

Steps = Iterator[str]


class SessionLostError(Exception):
    """The server has ended the session: nothing of its transaction has happened."""


class Session:
    """A session on the state database, and the target whose row it has locked."""

    def __init__(self) -> None:
        self.lost = False
        self.locks: Target | None = None

    def lock(self, target: Target) -> bool:
        """Lock the target's row until :meth:`end`, unless another session has."""
        self.check()
        if target.locked_by not in {None, self}:
            return False
        target.locked_by, self.locks = self, target
        return True

    def end(self) -> None:
        """End the transaction."""
        if self.locks is not None and self.locks.locked_by is self:
            self.locks.locked_by = None
        self.locks = None

    def end_by_server(self) -> None:
        """What time-outs do to a session whose process stands still, or a network that is cut."""
        self.lost = True
        self.end()

    def check(self) -> None:
        """Any statement.

        Raises:
            SessionLostError: the session is no more.
        """
        if self.lost:
            raise SessionLostError


class Folder(Protocol):
    """A target's folder (:class:`consumers.feed.feed_directory.FeedDirectory`)."""

    def link(self, name: str, content: bytes) -> None: ...
    def link_parts(self, name: str, parts: Iterable[str]) -> tuple[str, int]: ...
    def write_manifest(self, manifest: Manifest) -> None: ...


def publish_first(state: MemoryState, target: Target, session: Session, now: datetime) -> Steps:
    """As :func:`consumers.publication.delta.publish_first`."""
    row = state.read(target)
    if not session.lock(target) or row.state != "waiting" or row.open or row.owner_orgnr is None:
        session.end()
        return
    target_row = msgspec.structs.replace(row, orgnr=row.owner_orgnr)
    settings = row.settings
    today, changes, facts = local_day(now, settings.zone), state.changes(target), state.owner_facts(target)
    roster = roster_today(target_row, facts, affected.everything(target, facts), today)
    yield "first publication worked out"
    session.check()
    target.published = {key: fragment(record, dialect=settings.dialect) for key, record in roster.records.items()}
    target.subjects, target.excluded = dict(roster.subjects), dict(roster.excluded)
    target.change(
        recompute=False,
        orgnr=target_row.orgnr,
        source=source_of(target_row),
        dialect=settings.dialect,
        head_seq=0,
        head_at=now,
        changes_through=changes[-1].change_id if changes else row.changes_through,
        dated_through=today,
        snapshot_through=due_snapshot(now, settings.snapshot_hour, settings.zone, None),
    )
    session.end()
    yield "first publication committed"


def publication(state: MemoryState, target: Target, session: Session, now: datetime, settle_seconds: float) -> Steps:
    """As :func:`consumers.publication.delta.publish_delta`."""
    row = state.read(target)
    if not session.lock(target) or row.state != "ok" or row.open or not row.has_snapshot:
        session.end()
        return
    today = max(local_day(now, row.settings.zone), row.dated_through or date.min)
    pending = settled(state.changes(target), settle_seconds, after=row.changes_through)
    facts = state.owner_facts(target)
    in_scope = _looked_at(target, row, facts, pending, today)
    if in_scope is None:
        session.end()
        return
    roster, in_scope = _roster(target, row, facts, in_scope, today)
    persons, groups = set(in_scope.persons), set(in_scope.groups)
    published, published_ids = target.record_subjects(persons, groups), target.person_ids(persons)
    delta = difference(row.settings, published, published_ids, roster, _taken(target, published, roster))
    ids = who(published_ids) | who(roster.person_ids)
    entries = list(next_deltas(row, delta, ids, now, pending.oldest_event_at))
    yield "cut worked out"
    session.check()
    _commit_cut(target, roster, in_scope, delta, today, pending)
    _store_deltas(target, entries, now)
    session.end()
    yield "cut committed" if entries else "cut without difference"


def snapshot(
    state: MemoryState, target: Target, folder: Folder, session: Session, now: datetime, scheduled: date | None
) -> Steps:
    """As :func:`consumers.feed.snapshots.take_snapshot`."""
    session.check()
    row, published = state.read(target), dict(target.published)
    assert row.head_seq is not None
    day = scheduled or local_day(now, row.settings.zone)
    path = snapshot_path(day, row.head_seq)
    yield "snapshot seen"
    sha256, size = folder.link_parts(path, document(row, sorted(published.items())))
    yield "snapshot linked"
    while not session.lock(target):
        yield "snapshot waits to be recorded"
    kinds = Counter(key.kind for key in published)
    entry = SnapshotEntry(
        seq=row.head_seq,
        path=path,
        sha256=sha256,
        size=size,
        counts=Totals(*(kinds[kind] for kind in RecordKind)),
        local_date=day,
    )
    if path not in {known.path for known, _ in target.snapshots}:
        target.snapshots.append((entry, now))
    if target.row.head_seq == 0:
        target.change(head_sha256=sha256)
    if scheduled is not None:
        target.change(snapshot_through=max(scheduled, target.row.snapshot_through or date.min))
    session.end()
    yield "snapshot recorded"


def manifest(state: MemoryState, target: Target, folder: Folder, session: Session, now: datetime) -> Steps:
    """As :func:`consumers.feed.manifests.write_manifest`."""
    row = state.read(target)
    if not session.lock(target) or not row.has_snapshot:
        session.end()
        return
    yield "manifest begun"
    session.check()
    unlinked = [delta for delta in target.deltas if not delta.linked]
    for delta in unlinked:
        folder.link(delta_path(delta.entry.seq), delta.xml)
        yield "delta linked"
    session.check()
    in_feed = [delta.entry for delta in target.deltas if delta.linked or delta in unlinked]
    folder.write_manifest(manifest_of(row, *latest(target), in_feed, now))
    yield "manifest written"
    session.check()
    for delta in unlinked:
        delta.linked = True
    session.end()
    yield "manifest recorded"


def latest(target: Target) -> tuple[SnapshotEntry, datetime]:
    """As :func:`consumers.published.published_store.latest_snapshot`."""
    return max(target.snapshots, key=lambda taken: (taken[0].seq, taken[1]))


def is_due(row: TargetRow, now: datetime, settle_seconds: float) -> bool:
    """Whether compact tries a cut (``Compactor._publish``)."""
    midnight = local_day(now, row.settings.zone) > (row.dated_through or date.min)
    return row.recompute or midnight or (row.settling is not None and row.settling >= settle_seconds)


def expired_manifest(row: TargetRow, written: Manifest | None, now: datetime, every: timedelta) -> bool:
    """Whether the manifest says less than is recorded, or is old."""
    return written is None or written.head_seq != row.head_seq or now - written.checked >= every


def _looked_at(target: Target, row: TargetRow, facts: Facts, pending: Pending, today: date) -> Affected | None:
    if row.recompute or pending.everything:
        return affected.everything(target, facts)
    published = row.dated_through or today
    days = (published, today) if published < today else None
    if not pending and days is None:
        return None
    return affected.affected(target, facts, pending, days)


def _roster(target: Target, row: TargetRow, facts: Facts, in_scope: Affected, today: date) -> tuple[Roster, Affected]:
    roster = roster_today(row, facts, in_scope, today)
    while (connected := affected.connected(target, facts, in_scope, roster)) is not None:
        in_scope = affected.affected(target, facts, connected, None)
        roster = roster_today(row, facts, in_scope, today)
    return roster, in_scope


def _taken(target: Target, published: Mapping[RecordKey, str], roster: Roster) -> set[str]:
    persons = [key for key in published if key.kind is RecordKind.PERSON]
    gone = [key.id for key in persons if key not in roster.records]
    return affected.logins_elsewhere(target, gone, {key.id for key in persons}) if gone else set()


def _commit_cut(
    target: Target, roster: Roster, in_scope: Affected, delta: Delta, today: date, pending: Pending
) -> None:
    for key in delta.removals:
        del target.published[key], target.subjects[key]
    target.published.update(delta.upserts)
    target.subjects.update({key: about for key, about in roster.subjects.items() if key in target.published})
    for persons_or_groups, kind in ((in_scope.persons, RecordKind.PERSON), (in_scope.groups, RecordKind.GROUP)):
        for id_ in persons_or_groups:
            target.excluded.pop((kind, id_), None)
    target.excluded.update(roster.excluded)
    row = target.row
    target.change(
        recompute=False,
        source=source_of(row),
        dialect=row.settings.dialect,
        changes_through=pending.through,
        dated_through=today,
    )


def _store_deltas(target: Target, entries: list[tuple[DeltaEntry, bytes]], now: datetime) -> None:
    for entry, xml in entries:
        target.deltas.append(state.Delta(entry, xml))
        target.change(head_seq=entry.seq, head_sha256=entry.sha256, head_at=now)
