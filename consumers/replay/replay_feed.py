"""The feed of one target in a replay: always published from all of its owner's facts, by the writers of production.

For speed, a publication from the state database compares only the records that changes affect. A replay compares all
of them, and so checks that selection too.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import msgspec

from consumers.database.targets_table import OwnerState, TargetRow, valid_orgnr
from consumers.facts.pending_changes import Pending
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.manifests import manifest_of
from consumers.feed.snapshots import document, feed_directory
from consumers.materialize.row_state import ChangedKey
from consumers.publication.everything import Everything
from consumers.publication.first_publication import first_position
from consumers.publication.rounds import Round, publish_in_turn, rounds
from consumers.replay.memory_target import MemoryTarget
from consumers.replay.memory_view import MemoryView
from ims.feed.manifest import DeltaEntry, SnapshotEntry, Totals, encode, snapshot_path
from ims.holds.losses import Cause
from ims.publication.decision import Decision, with_tombstones
from ims.publication.gathered import Terms
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.source.facts import Facts
from ims.targets.schedule import due_snapshot, local_day
from ims.targets.target_settings import TargetSettings


class Replayed(msgspec.Struct, frozen=True):
    """The result of a replay for one target.

    It counts the files written, the records published in the end, the exclusions by reason, and the waiting persons by
    cause.
    """

    owner: int
    name: str
    state: str
    snapshots: int
    deltas: int
    published: dict[RecordKind, int]
    excluded: dict[tuple[RecordKind, Reason], int]
    waiting: dict[Cause, int]


class PendingReplay:
    """The changes since a target's last publication.

    Attributes:
        everything: everything is compared, because of an owner's row or a load.
    """

    def __init__(self) -> None:
        self.everything = False
        self._ids: dict[str, set[int]] = {"person": set(), "group": set(), "school": set()}
        self._oldest_event_at: datetime | None = None

    def add(self, changes: Iterable[ChangedKey]) -> None:
        """Add changes of the target's owner."""
        for _, kind, id_ in changes:
            if kind == "owner":
                self.everything = True
            else:
                self._ids[kind].add(id_)

    def committed(self, at: datetime | None) -> None:
        """Note when the source committed a change."""
        if at is not None:
            self._oldest_event_at = min(at, self._oldest_event_at or at)

    def pending(self) -> Pending:
        """Return the changes, all of which are published together."""
        persons, groups, schools = (frozenset(self._ids[kind]) for kind in ("person", "group", "school"))
        return Pending(0, self.everything, schools, persons, groups, self._oldest_event_at)


class ReplayedFeed:
    """A target and its folder.

    Attributes:
        target: its rows.
        owner: the current state of its owner.
        asked: facts or settings have changed since the last publication.
        changes: the changes since the last publication.

    Args:
        holds: whether anything waits for an approval, which a replay never gets.
    """

    def __init__(self, number: int, settings: TargetSettings, root: Path, *, holds: bool = True) -> None:
        # The same replay must give the same bytes, so the epoch is made of the target's name.
        epoch = uuid.uuid5(uuid.NAMESPACE_OID, f"imsfeed replay {settings.owner}/{settings.name}")
        self.target = MemoryTarget(number, settings, str(epoch))
        self.owner = OwnerState()
        self.asked = False
        self.changes = PendingReplay()
        self._holds = holds
        self._root = root
        self._deltas: list[DeltaEntry] = []
        self._snapshots: list[SnapshotEntry] = []
        self._taken_at: datetime | None = None

    @property
    def row(self) -> TargetRow:
        """Return the target's row as the state database would have it."""
        return self.target.row(self.owner)

    @property
    def published(self) -> bool:
        """Return whether anything was published."""
        return self.target.position.head_seq is not None

    def is_new_day(self, now: datetime) -> bool:
        """Return whether dates are published only up to an earlier day."""
        published = self.target.position.dated_through or date.min
        return self.published and local_day(now, self.target.settings.zone) > published

    def publish_first(self, facts: Facts, now: datetime) -> None:
        """Publish everything; see :func:`consumers.publication.first_publication.publish_first`."""
        target, settings = self.target, self.target.settings
        if self._holds and not settings.accept_initial:
            target.held = True
            return
        terms = Terms(settings, valid_orgnr(self.owner.registered, settings) or "", local_day(now, settings.zone))
        position = first_position(target.position, terms, 0, now)
        target.store_first(Everything(MemoryView(facts, target), terms).parts(), position)
        self._take_snapshot(now, terms.today)
        target.move(has_snapshot=True, head_sha256=self._snapshots[-1].sha256)
        self._have_published()

    def publish(self, facts: Facts, now: datetime) -> None:
        """Publish the next delta if anything has changed; see :func:`consumers.publication.delta.publish_delta`."""
        pending = self.changes.pending()

        def publish(each: Round) -> Decision:
            decision = each.evaluate(MemoryView(facts, self.target), self.target.position)
            for entry, xml in self.target.store(decision, each):
                self._directory().link(entry.path, xml)
                self._deltas.append(entry)
            return decision

        publish_in_turn(rounds(self.row, pending, pending, now, everybody=True, holds=self._holds), publish)
        self._have_published()

    def snapshot_if_due(self, now: datetime) -> None:
        """Take the day's snapshot, once its hour has been reached."""
        settings = self.target.settings
        due = due_snapshot(now, settings.snapshot_hour, settings.zone, self.target.position.snapshot_through)
        if due is not None:
            self._take_snapshot(now, due)
            self.target.move(snapshot_through=due)

    def finish(self, now: datetime) -> None:
        """Write the file at the fixed path and the manifest, which are always written last."""
        if self._taken_at is None:
            return
        self._write_export(now)
        manifest = manifest_of(self.row, self._snapshots[-1], self._taken_at, self._deltas, now)
        self._directory().write_manifest(encode(manifest))

    def replayed(self) -> Replayed:
        """Return the result for the target."""
        target = self.target
        published = Counter(key.kind for key in target.published)
        excluded = Counter((kind, reason) for (kind, _), reason in target.excluded.items())
        waiting = Counter(waits.cause for waits in target.waiting.persons.values())
        return Replayed(
            owner=target.settings.owner,
            name=target.settings.name,
            state=self.row.shown_state,
            snapshots=len(self._snapshots),
            deltas=len(self._deltas),
            published={kind: published[kind] for kind in RecordKind},
            excluded=dict(sorted(excluded.items())),
            waiting=dict(sorted(waiting.items())),
        )

    def _have_published(self) -> None:
        self.asked, self.changes = False, PendingReplay()

    def _take_snapshot(self, now: datetime, day: date) -> None:
        seq = self.target.position.head_seq or 0
        parts = document(self.row, sorted(self.target.published.items()))
        written = self._directory().link_streamed(snapshot_path(day, seq), parts)
        kinds = Counter(key.kind for key in self.target.published)
        self._snapshots.append(
            SnapshotEntry(
                seq=seq,
                path=snapshot_path(day, seq),
                sha256=written.sha256,
                size=written.size,
                counts=Totals(*(kinds[kind] for kind in RecordKind)),
                local_date=day,
            )
        )
        self._taken_at = now

    def _write_export(self, now: datetime) -> None:
        settings = self.target.settings
        if settings.export_path is None:
            return
        rows = dict(self.target.published)
        if settings.export_shape == "tombstones":
            rows = with_tombstones(rows, self.target.removed_since(now))
        self._directory().replace(settings.export_path, document(self.row, sorted(rows.items())), now.timestamp())

    def _directory(self) -> FeedDirectory:
        return feed_directory(self._root, self.row)
