"""The state database in memory: facts with pending changes, and each target's row, records, deltas and snapshots.

tests/contract compares it with PostgreSQL: :mod:`consumers.materialize.facts_store`,
:mod:`consumers.publication.delta`, :mod:`consumers.feed.snapshots` and :mod:`consumers.feed.manifests`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from consumers.database.targets_table import OwnerState, TargetRow
from consumers.facts import pending_changes
from consumers.materialize.batch import Outcome, Refused
from consumers.materialize.row_state import changed_keys
from consumers.replay.memory_store import MemoryFacts
from consumers.replay.memory_target import MemoryTarget
from consumers.replay.memory_view import MemoryView
from ims.feed.manifest import DeltaEntry, SnapshotEntry
from ims.source.facts import Facts, Table
from ims.source.mapping import FactKey
from ims.targets.target_settings import TargetSettings


class PendingChangeRow(msgspec.Struct, frozen=True):
    """A row of ``imsfeed.pending_change``."""

    change_id: int
    owner_id: int
    kind: str
    id: int
    committed_at: datetime | None
    noted_at: datetime


class ChangingFacts(MemoryFacts):
    """The facts, and the pending changes of the same transactions.

    Args:
        clock: the state database's.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock
        self.changes: list[PendingChangeRow] = []
        self.refused: set[tuple[int, int]] = set()

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        before = {table: self.rows(table) for table in Table}
        refused = super().apply(partition, start, outcome)
        self.refused |= {(partition, one.message.offset) for one in refused}
        self.change(self._changed(before, outcome, refused))
        return refused

    def change(self, changes: dict[tuple[int, str, int], datetime | None]) -> None:
        """Add these pending changes."""
        for (owner_id, kind, id_), committed_at in changes.items():
            number = len(self.changes) + 1
            self.changes.append(PendingChangeRow(number, owner_id, kind, id_, committed_at, self._clock()))

    def _changed(
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
        for (table, key), restricted in outcome.restricted.items():
            left = restricted.row(table, before[table].get(key))
            if left is not None:
                for change in changed_keys(table, key, left, before[table].get(key)):
                    changes[change] = min(filter(None, (changes.get(change), left.committed_at)), default=None)
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


class Target(MemoryTarget):
    """A target's rows in all tables.

    Attributes:
        locked_by: the session that works on it.
    """

    def __init__(self, number: int, settings: TargetSettings) -> None:
        super().__init__(number, settings, f"epoch {number}")
        self.recompute = True
        self.deltas: list[Delta] = []
        self.snapshots: list[tuple[SnapshotEntry, datetime]] = []
        self.locked_by: object | None = None

    def commit(self, draft: "Target") -> None:
        """Replace the rows by those of *draft*, a copy on which a transaction has worked."""
        self.position, self.recompute, self.held = draft.position, draft.recompute, draft.held
        self.published, self.subjects, self.removed = draft.published, draft.subjects, draft.removed
        self.excluded, self.waiting, self.departures = draft.excluded, draft.waiting, draft.departures


class MemoryState:
    """The state database.

    Args:
        clock: its clock, by which changes settle.
        holds: whether anything waits for an approval.
    """

    def __init__(self, targets: list[TargetSettings], clock: Callable[[], datetime], *, holds: bool = False) -> None:
        self.clock = clock
        self.holds = holds
        self.facts = ChangingFacts(clock)
        self.targets = [Target(number, settings) for number, settings in enumerate(targets, 1)]

    def owner_facts(self, target: Target) -> Facts:
        """Return all facts of the target's owner."""
        return self.facts.facts(target.settings.owner)

    def view(self, target: Target) -> MemoryView:
        """Return what a transaction sees of a target and its owner."""
        return MemoryView(self.owner_facts(target), target)

    def read(self, target: Target) -> TargetRow:
        """Return the target's row, as :func:`consumers.database.targets_table.read_target`."""
        owner_id = target.settings.owner
        changes = (one for one in self.facts.changes[target.position.changes_through :] if one.owner_id == owner_id)
        oldest = next(changes, None)
        settling = None if oldest is None else (self.clock() - oldest.noted_at).total_seconds()
        return target.row(OwnerState(self.facts.orgnr(owner_id), owner_id in self.facts.open_owners()), settling)

    def changes(self, target: Target) -> list[pending_changes.PendingChange]:
        """Return the pending changes that the target has not published."""
        now = self.clock()
        return [
            pending_changes.PendingChange(
                change.change_id, change.kind, change.id, change.committed_at, (now - change.noted_at).total_seconds()
            )
            for change in self.facts.changes[target.position.changes_through :]
            if change.owner_id == target.settings.owner
        ]

    def apply_settings(self, target: Target, settings: TargetSettings) -> None:
        """Store one target's settings; see :func:`consumers.database.targets_table.apply_settings`."""
        target.set(settings)
