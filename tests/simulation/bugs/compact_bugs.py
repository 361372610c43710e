"""Bugs of compact."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from consumers.database.targets_table import TargetRow
from consumers.facts.pending_changes import Pending, PendingChange, settled
from consumers.feed import manifests
from consumers.publication.rounds import Round
from consumers.publication.view import Related
from consumers.replay import memory_view
from consumers.replay.memory_target import Deltas
from consumers.replay.memory_view import MemoryView
from ims.publication.decision import Decision
from tests.simulation.bugs.planting import Bugs
from tests.simulation.pipeline.feed_folder import FeedFolder
from tests.support.memory import compact
from tests.support.memory.compact import Session, Steps
from tests.support.memory.state import MemoryState, Target

Plant = Callable[[pytest.MonkeyPatch], None]
BUGS = Bugs()


@BUGS.enter
def cursor_passes_unsettled_changes(patch: pytest.MonkeyPatch) -> None:
    def all_passed(changes: Iterable[PendingChange], settle_seconds: float, *, after: int) -> Pending:
        known = list(changes)
        pending = settled(known, settle_seconds, after=after)
        return replace(pending, through=known[-1].change_id if known else after)

    patch.setattr(compact, "settled", all_passed)


@BUGS.enter
def half_a_transaction_is_published(patch: pytest.MonkeyPatch) -> None:
    real = MemoryState.read

    def read_as_whole(self: MemoryState, target: Target) -> TargetRow:
        row = real(self, target)
        return replace(row, owner=replace(row.owner, open=False))

    patch.setattr(MemoryState, "read", read_as_whole)


@BUGS.enter
def published_without_a_delta(patch: pytest.MonkeyPatch) -> None:
    real = Target.store

    def store_most(self: Target, decision: Decision, done: Round) -> Deltas:
        before = self.position
        deltas = real(self, decision, done)
        if not before.head_seq:
            return deltas
        self.move(head_seq=before.head_seq, head_sha256=before.head_sha256, head_at=before.head_at)
        return []

    patch.setattr(Target, "store", store_most)


@BUGS.enter
def number_is_used_again_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    """Derive the number from the existing files, and not in the transaction that takes it."""
    real = Target.store

    def number_after_the_files(self: Target, decision: Decision, done: Round) -> Deltas:
        before = self.position
        linked = [delta.entry for delta in self.deltas if delta.linked]
        seq, sha256 = (linked[-1].seq, linked[-1].sha256) if linked else (0, self.snapshots[0][0].sha256)
        self.move(head_seq=seq, head_sha256=sha256)
        deltas = real(self, decision, done)
        if not deltas:
            self.move(head_seq=before.head_seq, head_sha256=before.head_sha256)
        return deltas

    patch.setattr(Target, "store", number_after_the_files)


@BUGS.enter
def renamed_instead_of_linked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FeedFolder, "link", FeedFolder.put)


@BUGS.enter
def manifest_before_its_files(patch: pytest.MonkeyPatch) -> None:
    real = compact.manifest

    def too_early(state: MemoryState, target: Target, folder: FeedFolder, session: Session, now: datetime) -> Steps:
        if target.snapshots and target.locked_by is None:
            deltas = [delta.entry for delta in target.deltas]
            row = state.read(target)
            folder.write_manifest(manifests.manifest_of(row, *compact.latest(target), deltas, now))
        yield from real(state, target, folder, session, now)

    patch.setattr(compact, "manifest", too_early)


@BUGS.enter
def zombie_is_not_fenced(patch: pytest.MonkeyPatch) -> None:
    """Let a process's actions take effect even after its session has ended."""
    patch.setattr(Session, "check", lambda _: None)


@BUGS.enter
def target_is_not_locked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "lock", lambda *_: True)


@BUGS.enter
def snapshot_is_not_repeatable_read(patch: pytest.MonkeyPatch) -> None:
    """Read the number first, and the published records in a later transaction."""
    real = compact.snapshot

    def in_two_transactions(state: MemoryState, target: Target, *others: Any) -> Steps:
        before = target.position
        yield "snapshot: the number is known"
        now, target.position = target.position, replace(target.position, head_seq=before.head_seq)
        steps = real(state, target, *others)
        at = next(steps)
        target.position = now
        yield at
        yield from steps

    patch.setattr(compact, "snapshot", in_two_transactions)


@BUGS.enter
def moved_id_is_published_in_part(patch: pytest.MonkeyPatch) -> None:
    real = MemoryView.related
    patch.setattr(MemoryView, "related", lambda self, ids: Related(set(), real(self, ids).groups))


@BUGS.enter
def member_of_a_group_that_is_not_published(patch: pytest.MonkeyPatch) -> None:
    real = MemoryView.related
    patch.setattr(MemoryView, "related", lambda self, ids: Related(real(self, ids).persons, set(ids.groups)))


@BUGS.enter
def changed_settings_are_not_published(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryState, "apply_settings", lambda _, target, settings: setattr(target, "settings", settings))


@BUGS.enter
def last_day_is_passed_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory_view, "has_ended", lambda *_: False)
