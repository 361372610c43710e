"""The feed of one target in a replay: told from all of its owner's facts at every cut, written by the same writers.

Nothing is left out of a comparison because it cannot have changed, as :mod:`consumers.publication.delta` does for
speed; so a replay also checks what that leaves out.
"""

import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import msgspec

from consumers.database.targets_table import TargetRow, source_of, valid_orgnr
from consumers.facts.facts_reader import Affected
from consumers.feed.feed_directory import FeedDirectory
from consumers.feed.manifests import manifest_of
from consumers.feed.snapshots import document, feed_directory
from consumers.publication.delta import difference, roster_today
from consumers.publication.delta_files import next_deltas, who
from consumers.published import tombstones
from consumers.replay.replay_holds import ReplayedHolds, group_numbers
from consumers.replay.replay_pending import ReplayedChanges
from ims.feed.delta import Delta
from ims.feed.manifest import DeltaEntry, SnapshotEntry, Totals, encode, snapshot_path
from ims.holds.decision import Compared, Waiting
from ims.holds.losses import Cause
from ims.records.model import PersonRecord, RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.roster import Roster
from ims.source.facts import Facts
from ims.targets.schedule import due_snapshot, local_day
from ims.targets.target_settings import TargetSettings
from ims.xml.reader import read_fragment
from ims.xml.writer import fragment


class Replayed(msgspec.Struct, frozen=True):
    """What a replay has made of a target.

    Files written, records told last, who is left out for which reason, and how many persons wait for which cause.
    """

    owner: int
    name: str
    state: str
    snapshots: int
    deltas: int
    published: dict[RecordKind, int]
    excluded: dict[tuple[RecordKind, Reason], int]
    waiting: dict[Cause, int]


class ReplayedFeed:
    """A target and its folder.

    Attributes:
        row: where the target stands.
        asked: facts or settings have changed since the last cut.
        changes: whom the changes bear on.

    Args:
        holds: whether anything waits for an approval, which nobody gives here.
    """

    def __init__(self, number: int, settings: TargetSettings, root: Path, *, holds: bool = True) -> None:
        self.row = _new_row(number, settings)
        self.asked = False
        self.changes = ReplayedChanges()
        self._holds = ReplayedHolds(on=holds)
        self._root = root
        self._published: dict[RecordKey, str] = {}
        self._owners: dict[RecordKey, tuple[int | None, int | None]] = {}
        self._gone: dict[RecordKey, tuple[str, datetime]] = {}
        self._excluded: dict[tuple[RecordKind, int], Reason] = {}
        self._oldest_event_at: datetime | None = None
        self._deltas: list[DeltaEntry] = []
        self._snapshots: list[SnapshotEntry] = []
        self._taken_at: datetime | None = None

    @property
    def published(self) -> bool:
        """Whether the importer has been told anything."""
        return self.row.head_seq is not None

    def change(self, **fields: object) -> None:
        """Set fields of the target's row."""
        self.row = msgspec.structs.replace(self.row, **fields)

    def owner_has(self, registered: str | None) -> None:
        """Take note of the organisation number registered for the owner now."""
        self.change(owner_orgnr=valid_orgnr(registered, self.row.settings))

    def hear(self, committed_at: datetime | None) -> None:
        """Take note of when the source committed a change that the next cut tells."""
        if committed_at is not None:
            self._oldest_event_at = min(committed_at, self._oldest_event_at or committed_at)

    def is_new_day(self, now: datetime) -> bool:
        """Whether dates have been told up to an earlier day only."""
        return self.published and local_day(now, self.row.settings.zone) > (self.row.dated_through or date.min)

    def publish_first(self, facts: Facts, now: datetime) -> None:
        """Sequence 0: all there is, as a snapshot. As :func:`consumers.publication.delta.publish_first`."""
        settings = self.row.settings
        if self._holds.keep_back_first(settings):
            self.change(held=True)
            return
        self.change(orgnr=self.row.owner_orgnr, held=False)
        today = local_day(now, settings.zone)
        roster = self._roster(facts, today)
        self._owners = dict(roster.subjects)
        self._published = {key: fragment(record, dialect=settings.dialect) for key, record in roster.records.items()}
        self.change(
            source=source_of(self.row),
            dialect=settings.dialect,
            published_settings=settings,
            head_seq=0,
            head_at=now,
            dated_through=today,
            snapshot_through=due_snapshot(now, settings.snapshot_hour, settings.zone, None),
            has_snapshot=True,
        )
        self._take_snapshot(now, today)
        self.change(head_sha256=self._snapshots[-1].sha256)
        self._publish_delta()

    def publication(self, facts: Facts, now: datetime) -> None:
        """The next delta, if there is anything to tell. As :func:`consumers.publication.delta.publish_delta`."""
        settings, before = self.row.settings, self.row.published_settings
        if before is None or before == settings:
            self._compare(facts, now, Cause.RESYNC if self.changes.everything else None)
        else:
            self.change(settings=before)
            self._compare(facts, now, Cause.RESYNC if self.changes.everything else None)
            self.change(settings=settings)
            self._publish_delta()
            self._compare(facts, now, Cause.SETTING)
        self._publish_delta()

    def _compare(self, facts: Facts, now: datetime, cause: Cause | None) -> None:
        settings, source = self.row.settings, source_of(self.row)
        published = self.row.dated_through or date.min
        today = max(local_day(now, settings.zone), published)
        days = (published, today) if published < today else None
        explained = self.changes.explained(facts, self._owners, self._excluded, settings, days)
        compared = Compared(self._published, self.published_ids, self._roster(facts, today))
        groups = group_numbers(self._owners)
        decision = self._holds.hold_back(settings, compared, cause, explained, facts, groups, now)
        if (self.row.source, self.row.dialect) != (source, settings.dialect):
            decision = decision.with_held(self._published, self._owners, source)
        roster = decision.roster
        delta = difference(
            settings, decision.published, compared.published_ids, roster, self._logins_of_others(decision.published)
        )
        if self.row.dialect != settings.dialect:
            self._gone.clear()
        self.change(
            source=source,
            dialect=settings.dialect,
            published_settings=settings,
            dated_through=today,
            held=bool(self.waiting),
        )
        if delta:
            self._tell(delta, who(compared.published_ids) | who(roster.person_ids), now)
        self._owners |= roster.subjects
        self._owners = {key: self._owners[key] for key in self._published}

    @property
    def waiting(self) -> Waiting:
        """Who waits for an approval."""
        return self._holds.waiting

    @property
    def published_ids(self) -> dict[int, str]:
        """The ``sourcedid/id`` that each person was told under, by running number."""
        return {
            person: key.id
            for key, (person, _) in self._owners.items()
            if key.kind is RecordKind.PERSON and person is not None
        }

    def _logins_of_others(self, published: Mapping[RecordKey, str]) -> set[str]:
        """The logins of those of whom nothing is told now."""
        records = (
            read_fragment(key, self._published[key])
            for key in self._published.keys() - published.keys()
            if key.kind is RecordKind.PERSON
        )
        return {one.login for one in records if isinstance(one, PersonRecord) and one.login is not None}

    def snapshot_if_due(self, now: datetime) -> None:
        """The day's snapshot, once its hour has been reached."""
        settings = self.row.settings
        due = due_snapshot(now, settings.snapshot_hour, settings.zone, self.row.snapshot_through)
        if due is not None:
            self._take_snapshot(now, due)
            self.change(snapshot_through=due)

    def finish(self, now: datetime) -> None:
        """Write what is always written last: the file at the fixed path, and the manifest."""
        if self._taken_at is None:
            return
        self._write_export(now)
        manifest = manifest_of(self.row, self._snapshots[-1], self._taken_at, self._deltas, now)
        self._directory().write_manifest(encode(manifest))

    def replayed(self) -> Replayed:
        """What has been made of the target."""
        published = Counter(key.kind for key in self._published)
        excluded = Counter((kind, reason) for (kind, _), reason in self._excluded.items())
        return Replayed(
            owner=self.row.owner_id,
            name=self.row.settings.name,
            state=self.row.shown_state,
            snapshots=len(self._snapshots),
            deltas=len(self._deltas),
            published={kind: published[kind] for kind in RecordKind},
            excluded=dict(sorted(excluded.items())),
            waiting=self._holds.persons(),
        )

    def _roster(self, facts: Facts, today: date) -> Roster:
        roster = roster_today(self.row, facts, Affected(list(facts.persons), list(facts.groups)), today)
        self._excluded = roster.excluded
        return roster

    def _tell(self, delta: Delta, persons: dict[str, int], now: datetime) -> None:
        settings = self.row.settings
        for entry, xml in next_deltas(self.row, delta, persons, now, self._oldest_event_at):
            self._directory().link(entry.path, xml)
            self._deltas.append(entry)
            self.change(head_seq=entry.seq, head_sha256=entry.sha256, head_at=now)
        for key in delta.removals:
            del self._published[key]
        self._published.update(delta.upserts)
        if settings.export_shape == "tombstones":
            gone = {key: (text, now) for key, text in tombstones.texts(delta, settings.dialect).items()}
            self._gone = {key: one for key, one in self._gone.items() if key not in delta.upserts} | gone

    def _publish_delta(self) -> None:
        self.asked, self._oldest_event_at, self.changes = False, None, ReplayedChanges()

    def _take_snapshot(self, now: datetime, day: date) -> None:
        seq = self.row.head_seq or 0
        parts = document(self.row, sorted(self._published.items()))
        written = self._directory().link_streamed(snapshot_path(day, seq), parts)
        kinds = Counter(key.kind for key in self._published)
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
        path = self.row.settings.export_path
        if path is None:
            return
        rows = dict(self._published)
        if self.row.settings.export_shape == "tombstones":
            since = now - tombstones.KEPT
            rows |= {key: text for key, (text, gone_at) in self._gone.items() if gone_at >= since}
        self._directory().replace(path, document(self.row, sorted(rows.items())), now.timestamp())

    def _directory(self) -> FeedDirectory:
        return feed_directory(self._root, self.row)


def _new_row(number: int, settings: TargetSettings) -> TargetRow:
    # The same replay is to give the same bytes, so that the epoch is made of what the target is called.
    epoch = uuid.uuid5(uuid.NAMESPACE_OID, f"imsfeed replay {settings.owner}/{settings.name}")
    return TargetRow(
        target_id=number,
        owner_id=settings.owner,
        settings=settings,
        recompute=False,
        epoch=str(epoch),
        orgnr=None,
        source=None,
        dialect=settings.dialect,
        head_seq=None,
        head_sha256=None,
        head_at=None,
        changes_through=0,
        dated_through=None,
        snapshot_through=None,
        owner_orgnr=None,
        open=False,
        has_snapshot=False,
        settling=None,
    )
