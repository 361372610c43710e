"""The state database in memory does what PostgreSQL does: the same history through both, compared after every step."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from consumers.database.targets_table import FeedPosition, Outstanding, TargetRow, read_target
from consumers.feed.feed_directory import FeedDirectory
from consumers.holds import holds_store
from consumers.materialize.apply import materialize_once
from consumers.materialize.batch import Message, Outcome, Refused
from ims.errors import FeedError
from ims.holds.limits import DAY
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.source.mapping import REFERENCE_MAPPING
from ims.targets.schedule import due_snapshot
from tests.integration.consumers.replay.test_replay_equals_live import TIGHT, RecordedPipeline, run_history
from tests.simulation.pipeline.feed_folder import FeedFolder
from tests.support.builders import ORGNR
from tests.support.memory import compact
from tests.support.memory.compact import Session, Steps
from tests.support.memory.state import MemoryState

ChangeRow = tuple[int, str, int, Any]


class ComparedPipeline(RecordedPipeline):
    """A pipeline that repeats everything in memory and compares the results."""

    def __init__(self, dsn: str, folder: Path, dialect: str) -> None:
        super().__init__(dsn, folder, dialect, **TIGHT)
        self.memory = MemoryState([self.first], lambda: self.now, holds=True)
        self.in_memory = self.memory.facts.begin(0, 0)
        self.target_in_memory = self.memory.targets[0]
        self.folder_in_memory = FeedFolder()
        self.compared = 0

    def deliver(self, *values: bytes | None) -> tuple[Outcome, list[Refused]]:
        last = self._one("select coalesce(max(change_id), 0) from imsfeed.pending_change")
        known = len(self.memory.facts.changes)
        real = super().deliver(*values)
        messages = [Message(self.in_memory.next_offset + n, None, value) for n, value in enumerate(values)]
        double = materialize_once(self.memory.facts, 0, messages, self.in_memory, REFERENCE_MAPPING, 0)
        self.in_memory = double[0].progress
        assert double == real
        made = self.memory.facts.changes[known:]
        assert sorted((m.owner_id, m.kind, m.id, m.committed_at) for m in made) == self._pending_changes(last)
        return real

    def set(self, changes: dict[str, Any]) -> None:
        before = self.wanted
        super().set(changes)
        if self.wanted != before:
            self.memory.apply_settings(self.target_in_memory, self.wanted)

    def compact(self, **later: float) -> None:
        super().compact(**later)
        for _ in range(3):
            self._step()
        self._compare()

    def _step(self) -> None:
        """Do one step of compact in memory; see :meth:`consumers.compact.process.Compactor.step`."""
        state, target, now = self.memory, self.target_in_memory, self.now
        row = state.read(target)
        settings = row.settings
        if row.position.head_seq is None:
            self._do(compact.publish_first(state, target, Session(), now))
        elif not row.position.has_snapshot:
            self._do(compact.snapshot(state, target, self.folder_in_memory, Session(), now, None))
        else:
            if compact.is_due(row, now, 0):
                self._do(compact.publication(state, target, Session(), now, 0))
            self._do(compact.manifest(state, target, self.folder_in_memory, Session(), now))
            due = due_snapshot(now, settings.snapshot_hour, settings.zone, row.position.snapshot_through)
            if due is not None and row.state == "ok":
                self._do(compact.snapshot(state, target, self.folder_in_memory, Session(), now, due))

    def _do(self, steps: Steps) -> None:
        for _ in steps:
            pass

    def _compare(self) -> None:
        target = self.target_in_memory
        real, double = read_target(self.connection, 1), self.memory.read(target)
        assert self._position(double) == self._position(real)
        assert (double.settings, double.owner, double.state) == (real.settings, real.owner, real.state)
        assert self._outstanding(double) == self._outstanding(real)
        assert target.waiting == holds_store.waiting(self.connection, 1)
        departures = holds_store.departures(self.connection, 1, self.now)
        assert sorted(one for one in target.departures if one.at > self.now - DAY) == sorted(departures)
        tombstones = self._all("select kind, id, member, xml, gone_at from imsfeed.tombstone")
        removed = [(int(key.kind), key.id, key.member, *one) for key, one in target.removed.items()]
        assert sorted(removed) == sorted(tombstones)
        published = {
            RecordKey(RecordKind(kind), id_, member): (xml, (person, group))
            for kind, id_, member, xml, person, group in self._all(
                "select kind, id, member, xml, person_id, group_id from imsfeed.published"
            )
        }
        assert {key: (xml, target.subjects[key]) for key, xml in target.published.items()} == published
        excluded = {(RecordKind(kind), id_): reason for kind, id_, reason in self._all(_EXCLUDED)}
        assert {key: reason.value for key, reason in target.excluded.items()} == excluded
        deltas = [(delta.entry.sha256, delta.xml) for delta in target.deltas]
        assert deltas == self._all("select sha256, xml from imsfeed.delta order by seq")
        snapshots = sorted((entry.path, entry.sha256) for entry, _ in target.snapshots)
        assert snapshots == sorted(self._all("select path, sha256 from imsfeed.snapshot"))
        self.compared += 1

    def _position(self, row: TargetRow) -> FeedPosition:
        # Both number changes and choose epochs independently, and only a real feed is announced.
        return replace(row.position, epoch="", announced=False, changes_through=0)

    def _outstanding(self, row: TargetRow) -> Outstanding:
        return replace(row.outstanding, settling=None if row.outstanding.settling is None else 0.0)

    def _pending_changes(self, after: int) -> list[ChangeRow]:
        rows = self.connection.execute(
            "select owner_id, kind, id, committed_at from imsfeed.pending_change where change_id > %s", (after,)
        ).fetchall()
        return sorted(rows)

    def _all(self, query: str) -> list[Any]:
        return self.connection.execute(query.encode()).fetchall()

    def _one(self, query: str) -> int:
        (row,) = self._all(query)
        return int(row[0])


_EXCLUDED = "select kind, id, reason from imsfeed.exclusion"


@pytest.mark.parametrize("seed", range(8))
def test_a_history_in_memory_is_the_same_as_on_postgresql(state_dsn: str, tmp_path: Path, seed: int) -> None:
    pipeline = ComparedPipeline(state_dsn, tmp_path, "pifu" if seed % 2 else "ims")
    try:
        run_history(pipeline, random.Random(seed))
    finally:
        pipeline.close()
    assert pipeline.compared > 20
    assert pipeline.causes, "the history must have holds"
    assert len(pipeline.target_in_memory.deltas) > 1


Link = Callable[[str, bytes], None]


@pytest.fixture(params=["double", "directory"])
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Link:
    folder = FeedFolder() if request.param == "double" else FeedDirectory(tmp_path, ORGNR, "lms")
    return folder.link


def test_a_file_is_linked_once_and_never_replaced(link: Link) -> None:
    link("deltas/1.xml", b"one")
    link("deltas/1.xml", b"one")
    with pytest.raises(FeedError, match="exists with other content"):
        link("deltas/1.xml", b"two")
