"""Compact's work on a target, in memory and step by step.

Each function stops at each place where a process may be stopped, killed, or lose its session, and yields its name.
tests/contract compares it with the real functions on PostgreSQL and in a real folder.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Protocol

from consumers.database.targets_table import TargetRow, valid_orgnr
from consumers.facts.pending_changes import mentioned, settled
from consumers.feed.manifests import manifest_of
from consumers.feed.snapshots import document
from consumers.publication.everything import Everything
from consumers.publication.first_publication import first_position
from consumers.publication.rounds import Round, publish_in_turn, rounds
from consumers.replay.memory_target import Deltas
from ims.feed.manifest import Manifest, SnapshotEntry, Totals, delta_path, snapshot_path
from ims.publication.decision import Decision
from ims.publication.gathered import Terms
from ims.records.vocabulary import RecordKind
from ims.targets.schedule import local_day
from tests.support.memory import state
from tests.support.memory.state import MemoryState, Target

Steps = Iterator[str]


class SessionLostError(Exception):
    """The server has ended the session and rolled its transaction back."""


class Session:
    """A session on the state database, and the target whose row it has locked."""

    def __init__(self) -> None:
        self.lost = False
        self.locks: Target | None = None

    def lock(self, target: Target) -> bool:
        """Lock the target's row until :meth:`end`; return False if another session has locked it."""
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
        """End the session, as time-outs do when its process pauses or the network is interrupted."""
        self.lost = True
        self.end()

    def check(self) -> None:
        """Execute any statement.

        Raises:
            SessionLostError: the session has ended.
        """
        if self.lost:
            raise SessionLostError


class Folder(Protocol):
    """A target's folder (:class:`consumers.feed.feed_directory.FeedDirectory`)."""

    def link(self, name: str, content: bytes) -> None: ...
    def link_parts(self, name: str, parts: Iterable[str]) -> tuple[str, int]: ...
    def write_manifest(self, manifest: Manifest) -> None: ...


def publish_first(state: MemoryState, target: Target, session: Session, now: datetime) -> Steps:
    """Publish everything; see :func:`consumers.publication.first_publication.publish_first`."""
    row = state.read(target)
    orgnr = valid_orgnr(row.owner.registered, row.settings)
    if not session.lock(target) or row.state != "waiting" or row.owner.open or orgnr is None:
        session.end()
        return
    terms, changes = Terms(row.settings, orgnr, local_day(now, row.settings.zone)), state.changes(target)
    through = changes[-1].change_id if changes else row.position.changes_through
    draft = target.copy()
    draft.store_first(Everything(state.view(draft), terms).parts(), first_position(row.position, terms, through, now))
    yield "first publication worked out"
    session.check()
    target.commit(draft)
    session.end()
    yield "first publication committed"


def publication(state: MemoryState, target: Target, session: Session, now: datetime, settle_seconds: float) -> Steps:
    """Publish a delta; see :func:`consumers.publication.delta.publish_delta`."""
    row = state.read(target)
    if not session.lock(target) or row.state != "ok" or row.owner.open or not row.position.has_snapshot:
        session.end()
        return
    changes = state.changes(target)
    pending = settled(changes, settle_seconds, after=row.position.changes_through)
    each = rounds(row, pending, mentioned(changes), now, holds=state.holds)
    if not each:
        session.end()
        return
    draft, deltas = target.copy(), []

    def publish(one: Round) -> Decision:
        decision = one.evaluate(state.view(draft), draft.position)
        deltas.extend(draft.store(decision, one))
        return decision

    publish_in_turn(each, publish)
    yield "delta worked out"
    session.check()
    target.commit(draft)
    _record(target, deltas)
    session.end()
    yield "delta committed" if deltas else "nothing to publish"


def snapshot(
    state: MemoryState, target: Target, folder: Folder, session: Session, now: datetime, scheduled: date | None
) -> Steps:
    """Take a snapshot; see :func:`consumers.feed.snapshots.take_snapshot`."""
    session.check()
    row, published = state.read(target), dict(target.published)
    assert row.position.head_seq is not None
    day = scheduled or local_day(now, row.settings.zone)
    path = snapshot_path(day, row.position.head_seq)
    yield "snapshot seen"
    sha256, size = folder.link_parts(path, document(row, sorted(published.items())))
    yield "snapshot linked"
    while not session.lock(target):
        yield "snapshot waits to be recorded"
    kinds = Counter(key.kind for key in published)
    entry = SnapshotEntry(
        seq=row.position.head_seq,
        path=path,
        sha256=sha256,
        size=size,
        counts=Totals(*(kinds[kind] for kind in RecordKind)),
        local_date=day,
    )
    if path not in {known.path for known, _ in target.snapshots}:
        target.snapshots.append((entry, now))
        target.move(has_snapshot=True)
    if target.position.head_seq == 0:
        target.move(head_sha256=sha256)
    if scheduled is not None:
        target.move(snapshot_through=max(scheduled, target.position.snapshot_through or date.min))
    session.end()
    yield "snapshot recorded"


def manifest(state: MemoryState, target: Target, folder: Folder, session: Session, now: datetime) -> Steps:
    """Write the manifest; see :func:`consumers.feed.manifests.write_manifest`."""
    row = state.read(target)
    if not session.lock(target) or not row.position.has_snapshot:
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
    """Return the newest snapshot; see :func:`consumers.published.recorded_files.latest_snapshot`."""
    return max(target.snapshots, key=lambda taken: (taken[0].seq, taken[1]))


def is_due(row: TargetRow, now: datetime, settle_seconds: float) -> bool:
    """Return whether compact tries a publication (``Compactor._publish``)."""
    midnight = local_day(now, row.settings.zone) > (row.position.dated_through or date.min)
    outstanding = row.outstanding
    settled_for = outstanding.settling is not None and outstanding.settling >= settle_seconds
    return outstanding.recompute or outstanding.review or midnight or settled_for


def expired_manifest(row: TargetRow, written: Manifest | None, now: datetime, every: timedelta) -> bool:
    """Return whether the manifest says less than is recorded, or is old."""
    return written is None or written.head_seq != row.position.head_seq or now - written.checked >= every


def _record(target: Target, deltas: Deltas) -> None:
    target.deltas += [state.Delta(entry, xml) for entry, xml in deltas]
