"""Bugs of compact."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from consumers.database.targets_table import TargetRow
from consumers.facts.pending_changes import Pending, PendingChange, settled
from consumers.feed import manifests
from consumers.publication import delta_files
from tests.simulation.feed_folder import FeedFolder
from tests.simulation.planting import Bugs
from tests.support.memory import affected, compact
from tests.support.memory.compact import Session, Steps
from tests.support.memory.state import MemoryState, Target

Plant = Callable[[pytest.MonkeyPatch], None]
BUGS = Bugs()


@BUGS.enter
def cursor_passes_what_does_not_rest_yet(patch: pytest.MonkeyPatch) -> None:
    def all_passed(changes: Iterable[PendingChange], settle_seconds: float, *, after: int) -> Pending:
        known = list(changes)
        pending = settled(known, settle_seconds, after=after)
        return msgspec.structs.replace(pending, through=known[-1].change_id if known else after)

    patch.setattr(compact, "settled", all_passed)


@BUGS.enter
def half_a_transaction_is_told(patch: pytest.MonkeyPatch) -> None:
    real = MemoryState.read
    patch.setattr(MemoryState, "read", lambda self, target: msgspec.structs.replace(real(self, target), open=False))


@BUGS.enter
def told_without_a_delta(patch: pytest.MonkeyPatch) -> None:
    real = compact._store_deltas

    def store_most(target: Target, entries: list[Any], now: datetime) -> None:
        if target.row.head_seq:
            return
        real(target, entries, now)

    patch.setattr(compact, "_store_deltas", store_most)


@BUGS.enter
def number_is_used_again_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    """Counted from the files that are there, and not in the transaction that takes the number."""
    read, number = MemoryState.read, delta_files.next_deltas
    targets: list[Target] = []

    def read_and_keep(self: MemoryState, target: Target) -> TargetRow:
        targets[:] = [target]
        return read(self, target)

    def number_after_the_files(row: TargetRow, *others: Any) -> Iterator[Any]:
        target = targets[0]
        linked = [delta.entry for delta in target.deltas if delta.linked]
        seq, sha256 = (linked[-1].seq, linked[-1].sha256) if linked else (0, target.snapshots[0][0].sha256)
        return number(msgspec.structs.replace(row, head_seq=seq, head_sha256=sha256), *others)

    patch.setattr(MemoryState, "read", read_and_keep)
    patch.setattr(compact, "next_deltas", number_after_the_files)


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
    """What a process does after its session was ended takes effect all the same."""
    patch.setattr(Session, "check", lambda _: None)


@BUGS.enter
def target_is_not_locked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "lock", lambda *_: True)


@BUGS.enter
def snapshot_is_not_of_one_view(patch: pytest.MonkeyPatch) -> None:
    """The number is read first, and what was told later."""
    real = compact.snapshot

    def two_views(state: MemoryState, target: Target, *others: Any) -> Steps:
        before = target.row
        yield "snapshot: the number is known"
        now, target.row = target.row, msgspec.structs.replace(target.row, head_seq=before.head_seq)
        steps = real(state, target, *others)
        at = next(steps)
        target.row = now
        yield at
        yield from steps

    patch.setattr(compact, "snapshot", two_views)


@BUGS.enter
def moved_id_is_looked_at_in_part(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(affected, "_sharing_an_id", lambda *_: set())


@BUGS.enter
def member_of_a_group_that_is_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(affected, "_not_told", lambda *_: set())


@BUGS.enter
def changed_settings_are_not_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryState, "apply_settings", lambda _, target, settings: target.change(settings=settings))


@BUGS.enter
def last_day_is_passed_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(affected, "_ended", lambda *_: False)
