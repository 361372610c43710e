"""The state database in memory: facts with marks, and each target's row, what it was told, deltas and snapshots.

tests/contract holds it to what PostgreSQL does: :mod:`consumers.materialize.facts_store`,
:mod:`consumers.facts.facts_reader`, :mod:`consumers.publication.delta`, :mod:`consumers.feed.snapshots` and
:mod:`consumers.feed.manifests`.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from consumers.database.targets_table import TargetRow, valid_orgnr
from consumers.facts import pending_changes
from consumers.materialize.batch import Outcome, Refused
from consumers.materialize.facts_store import changed_keys
from consumers.replay.memory_store import MemoryFacts
from consumers.replay.replay_feed import _new_row
from ims.feed.manifest import DeltaEntry, SnapshotEntry
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.source.facts import Facts, Table
from ims.source.mapping import FactKey
from ims.targets.target_settings import TargetSettings

_valid_orgnr = cache(valid_orgnr)


class MarkRow(msgspec.Struct, frozen=True):
    """A row of ``imsfeed.change``."""

    change_id: int
    owner_id: int
    kind: str
    id: int
    committed_at: datetime | None
    noted_at: datetime


class MarkedFacts(MemoryFacts):
    """Facts, and the marks that are made in the transaction that changes them.

    Args:
        clock: the state database's.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock
        self.changes: list[MarkRow] = []
        self.refused: set[tuple[int, int]] = set()

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        before = {table: self.rows(table) for table in Table}
        refused = super().apply(partition, start, outcome)
        self.refused |= {(partition, one.message.offset) for one in refused}
        self.change(self._marks(before, outcome, refused))
        return refused

    def change(self, changes: dict[tuple[int, str, int], datetime | None]) -> None:
        """Make these marks."""
        for (owner_id, kind, id_), committed_at in changes.items():
            self.changes.append(MarkRow(len(self.changes) + 1, owner_id, kind, id_, committed_at, self._clock()))

    def _marks(
        self, before: dict[Table, dict[FactKey, dict[str, Any]]], outcome: Outcome, refused: list[Refused]
    ) -> dict[tuple[int, str, int], datetime | None]:
        changes: dict[tuple[int, str, int], datetime | None] = {}
        aside = {one.message.offset for one in refused}
        after = {table: self.rows(table) for table in Table}
        for (table, key), row in outcome.rows.items():
            if row.message.offset in aside:
                continue
            now = None if row.values is None else after[table].get(key)
            whole = msgspec.structs.replace(row, values=now)
            for change in changed_keys(table, key, whole, before[table].get(key)):
                changes[change] = min(filter(None, (changes.get(change), row.committed_at)), default=None)
        for table, rows in before.items():
            for key in rows.keys() - after[table].keys():
                if (table, key) not in outcome.rows:
                    changes.setdefault((key.owner_id, "owner", key.owner_id), None)
        return changes


class Delta(msgspec.Struct):
    """A row of ``imsfeed.delta``."""

    entry: DeltaEntry
    xml: bytes
    linked: bool = False


class Target:
    """A target's rows in all tables.

    Attributes:
        published: the fragment told under each key.
        subjects: the running numbers of the person and the group that each is about.
        locked_by: the session that works on it.
    """

    def __init__(self, number: int, settings: TargetSettings) -> None:
        self.row: TargetRow = msgspec.structs.replace(_new_row(number, settings), recompute=True)
        self.published: dict[RecordKey, str] = {}
        self.subjects: dict[RecordKey, tuple[int | None, int | None]] = {}
        self.excluded: dict[tuple[RecordKind, int], Reason] = {}
        self.deltas: list[Delta] = []
        self.snapshots: list[tuple[SnapshotEntry, datetime]] = []
        self.locked_by: object | None = None

    def change(self, **columns: object) -> None:
        """Update the target's row."""
        self.row = msgspec.structs.replace(self.row, **columns)

    def record_subjects(self, persons: set[int], groups: set[int]) -> dict[RecordKey, str]:
        """As :func:`consumers.published.published_store.published`."""
        return {
            key: self.published[key] for key, about in self.subjects.items() if _concerns(key, about, persons, groups)
        }

    def person_ids(self, persons: set[int]) -> dict[int, str]:
        """As :func:`consumers.published.published_store.person_ids`."""
        return {
            person: key.id
            for key, (person, _) in self.subjects.items()
            if key.kind is RecordKind.PERSON and person in persons
        }


def _concerns(key: RecordKey, about: tuple[int | None, int | None], persons: set[int], groups: set[int]) -> bool:
    person, group = about
    return person in persons or (key.kind is RecordKind.GROUP and (group is None or group in groups))


class MemoryState:
    """The state database. ``clock`` is its own, by which marks rest."""

    def __init__(self, targets: list[TargetSettings], clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.facts = MarkedFacts(clock)
        self.targets = [Target(number, settings) for number, settings in enumerate(targets, 1)]

    def owner_facts(self, target: Target) -> Facts:
        """All facts of the target's owner."""
        return self.facts.facts(target.row.owner_id)

    def read(self, target: Target) -> TargetRow:
        """The target's row with what its query works out, as :func:`consumers.database.targets_table.read_target`."""
        through, now = target.row.changes_through, self.clock()
        mine = (change for change in self.facts.changes[through:] if change.owner_id == target.row.owner_id)
        oldest = next(mine, None)
        return msgspec.structs.replace(
            target.row,
            owner_orgnr=_valid_orgnr(self.facts.orgnr(target.row.owner_id), target.row.settings),
            open=target.row.owner_id in self.facts.open_owners(),
            has_snapshot=bool(target.snapshots),
            settling=None if oldest is None else (now - oldest.noted_at).total_seconds(),
        )

    def changes(self, target: Target) -> list[pending_changes.PendingChange]:
        """The marks that the target has not passed."""
        now = self.clock()
        return [
            pending_changes.PendingChange(
                change.change_id, change.kind, change.id, change.committed_at, (now - change.noted_at).total_seconds()
            )
            for change in self.facts.changes[target.row.changes_through :]
            if change.owner_id == target.row.owner_id
        ]

    def apply_settings(self, target: Target, settings: TargetSettings) -> None:
        """As :func:`consumers.database.targets_table.apply_settings`, for one target."""
        target.change(settings=settings, recompute=True)
