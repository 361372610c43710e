"""Feeds whose files contradict the state database: their targets are halted, and the commands fix them."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from consumers.database.targets_table import TargetRow, find_target
from consumers.feed import snapshots
from consumers.feed.republish import begin_epoch, republish
from consumers.feed.snapshots import take_snapshot, write_export
from consumers.operations.status_report import report
from deploy.cli import app
from deploy.local.postgres import LocalPostgres
from ims.errors import FeedError
from ims.feed.conflicts import HaltReason
from ims.feed.manifest import Manifest
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Yield a target whose feed has a snapshot and two deltas."""
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), *(a_person(n) for n in range(1, 7)))
    pipeline.compact()
    enrol(pipeline, 1)
    enrol(pipeline, 2)
    yield pipeline
    pipeline.close()


@pytest.fixture
def set_back(pipeline: Pipeline, state_server: LocalPostgres, tmp_path: Path) -> Iterator[Callable[[], Pipeline]]:
    """Yield a function that backs up the state database, publishes two deltas, and goes on with the backup."""
    restored: list[Pipeline] = []
    name = f"restored_{os.getpid()}"

    def set_back() -> Pipeline:
        database = pipeline.connection.info.dbname
        pipeline.close()
        dsn = state_server.create_database(name, database)
        later = Pipeline(state_server.dsn(database), tmp_path / "feed")
        later._lsn = count(1_000)
        enrol(later, 3)
        enrol(later, 4)
        later.close()
        restored.append(Pipeline(dsn, tmp_path / "feed"))
        restored[0]._lsn = count(1_000)
        return restored[0]

    yield set_back
    for one in restored:
        one.close()
    state_server.drop_database(name)


def enrol(pipeline: Pipeline, person: int) -> None:
    pipeline.commit(an_enrolment(person, person=person, group=1))
    pipeline.compact(minutes=1)


def target(pipeline: Pipeline) -> TargetRow:
    return find_target(pipeline.connection, "lms")


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written_again(pipeline: Pipeline, how: Callable[..., Any] = republish) -> Manifest:
    how(pipeline.connection, pipeline.settings.feed_directory, target(pipeline).target_id, pipeline.now, "Ada")
    return pipeline.manifest()


def check_halted(pipeline: Pipeline, why: HaltReason, minutes: int = 1) -> None:
    pipeline.compact(minutes=minutes)
    row = target(pipeline)
    assert (row.position.halt_reason, row.state) == (why, "stale")
    (status,) = report(pipeline.connection).targets
    assert "imsfeed republish lms" in (status.halt_reason or "")
    assert pipeline.metrics.targets.labels("stale")._value.get() == 1


class TestRestoredDatabase:
    def test_the_files_are_left_as_they_are(self, set_back: Callable[[], Pipeline]) -> None:
        restored = set_back()
        before = files(restored.folder())
        assert restored.manifest().head_seq == 4
        for path in restored.folder().rglob("*.xml"):
            os.utime(path, (1_000, 1_000))
        restored.commit(an_enrolment(5, person=5, group=1))
        check_halted(restored, HaltReason.AHEAD)
        check_halted(restored, HaltReason.AHEAD, minutes=30)
        assert files(restored.folder()) == before
        assert target(restored).position.head_seq == 2, "no number was given a second time"

    def test_no_snapshot_is_taken(self, set_back: Callable[[], Pipeline]) -> None:
        restored = set_back()
        check_halted(restored, HaltReason.AHEAD)
        with pytest.raises(FeedError, match="--new-epoch"):
            take_snapshot(
                restored.connection, restored.settings.feed_directory, target(restored).target_id, restored.now
            )

    def test_the_same_epoch_is_not_written_again(self, set_back: Callable[[], Pipeline]) -> None:
        restored = set_back()
        with pytest.raises(FeedError, match="--new-epoch"):
            written_again(restored)
        assert restored.manifest().head_seq == 4

    def test_a_new_epoch_continues_above_every_published_number(self, set_back: Callable[[], Pipeline]) -> None:
        restored = set_back()
        former = restored.manifest()
        check_halted(restored, HaltReason.AHEAD)
        for person in (3, 4, 5):  # changes that materialize reads from Kafka again, and a new one
            restored.commit(an_enrolment(person, person=person, group=1))
        manifest = written_again(restored, begin_epoch)
        assert manifest.epoch != former.epoch
        assert (manifest.epoch_seq, manifest.snapshot.seq, manifest.head_seq) == (5, 5, 6)
        assert [delta.seq for delta in manifest.deltas] == [6], "all changes since the backup are one delta"
        enrol(restored, 6)
        assert (restored.manifest().head_seq, target(restored).state) == (7, "ok")
        reconciliation = restored.verification()
        assert (reconciliation.problems, reconciliation.snapshots, reconciliation.deltas) == ([], 1, 2), (
            "the former epoch's files do not count"
        )
        assert (restored.folder() / "deltas/4.xml").exists()

    def test_the_former_epochs_files_are_deleted(self, set_back: Callable[[], Pipeline]) -> None:
        restored = set_back()
        written_again(restored, begin_epoch)
        for path in restored.folder().rglob("*.xml"):
            os.utime(path, (1_000, 1_000))
        restored.compact(minutes=30)
        assert {name for name in files(restored.folder()) if "deltas/" in name} == set()
        assert restored.verification().problems == []

    def test_a_new_database_does_not_have_the_epoch(
        self, pipeline: Pipeline, state_server: LocalPostgres, state_template: str, tmp_path: Path
    ) -> None:
        former = pipeline.manifest()
        name = f"fresh_{os.getpid()}"
        fresh = Pipeline(state_server.create_database(name, state_template), tmp_path / "feed")
        try:
            fresh.target()
            fresh.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1, person=1, group=1))
            check_halted(fresh, HaltReason.UNKNOWN_EPOCH)
            assert fresh.manifest() == former
            assert written_again(fresh, begin_epoch).epoch_seq == 3
            assert fresh.verification().problems == []
        finally:
            fresh.close()
            state_server.drop_database(name)

    def test_a_killed_compact_writes_the_new_epochs_manifest_later(self, pipeline: Pipeline) -> None:
        """The former epoch's manifest still exists at that time."""
        former = (pipeline.folder() / "manifest.json").read_bytes()
        written_again(pipeline, begin_epoch)
        (pipeline.folder() / "manifest.json").write_bytes(former)
        pipeline.connection.execute("update imsfeed.target set announced_at = null")
        pipeline.compact(minutes=1)
        assert pipeline.manifest().epoch_seq == 3


class TestLostVolume:
    def test_a_lost_volume_is_not_replaced_and_resumes_once_mounted(self, pipeline: Pipeline) -> None:
        away = pipeline.folder().with_name("away")
        pipeline.folder().rename(away)
        pipeline.commit(an_enrolment(3, person=3, group=1))
        check_halted(pipeline, HaltReason.FILES_MISSING)
        check_halted(pipeline, HaltReason.FILES_MISSING, minutes=30)
        assert not pipeline.folder().exists()
        away.rename(pipeline.folder())
        pipeline.compact(minutes=1)
        assert (pipeline.manifest().head_seq, target(pipeline).state) == (3, "ok")
        assert pipeline.verification().problems == []

    @pytest.mark.parametrize("lost", ["manifest.json", "deltas/2.xml", "snapshots"])
    def test_a_missing_part_is_noticed(self, pipeline: Pipeline, lost: str) -> None:
        path = pipeline.folder() / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        check_halted(pipeline, HaltReason.FILES_MISSING)

    def test_an_older_copy_is_noticed(self, pipeline: Pipeline, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        shutil.copytree(pipeline.folder(), copy)
        enrol(pipeline, 3)
        shutil.rmtree(pipeline.folder())
        copy.rename(pipeline.folder())
        check_halted(pipeline, HaltReason.FILES_MISSING)

    def test_a_lost_feed_is_written_again_with_the_same_bytes(self, pipeline: Pipeline) -> None:
        before, former = files(pipeline.folder()), pipeline.manifest()
        shutil.rmtree(pipeline.settings.feed_directory)
        check_halted(pipeline, HaltReason.FILES_MISSING)
        manifest = written_again(pipeline)
        after = files(pipeline.folder())
        assert {name: after[name] for name in ("deltas/1.xml", "deltas/2.xml")} == {
            name: before[name] for name in ("deltas/1.xml", "deltas/2.xml")
        }
        assert (manifest.epoch, manifest.head_seq, manifest.deltas) == (former.epoch, 2, former.deltas)
        assert manifest.snapshot.seq == 2, "the snapshot with number 0 cannot be written again"
        enrol(pipeline, 3)
        assert pipeline.manifest().head_seq == 3
        assert pipeline.verification().problems == []

    def test_a_target_without_deltas_is_written_again_and_begins_there(self, pipeline: Pipeline) -> None:
        pipeline.target(name="other")
        pipeline.compact()
        shutil.rmtree(pipeline.folder("other"))
        other = find_target(pipeline.connection, "other")
        republish(pipeline.connection, pipeline.settings.feed_directory, other.target_id, pipeline.now, "Ada")
        enrol(pipeline, 3)
        reconciliation = pipeline.verification("other")
        assert (reconciliation.problems, reconciliation.deltas) == ([], 1)

    def test_a_manifest_that_cannot_be_read_is_written_again(self, pipeline: Pipeline) -> None:
        (pipeline.folder() / "manifest.json").write_bytes(b"{")
        check_halted(pipeline, HaltReason.UNREADABLE)
        written_again(pipeline)
        assert pipeline.verification().problems == []

    def test_a_feed_in_order_stays_as_it_is(self, pipeline: Pipeline) -> None:
        before = files(pipeline.folder())
        written_again(pipeline)
        after = files(pipeline.folder())
        assert {name: data for name, data in after.items() if name != "manifest.json"} == {
            name: data for name, data in before.items() if name != "manifest.json"
        }


def test_an_older_full_file_never_replaces_a_newer_one(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes write the file at the fixed path, and the one that began first is slower."""
    pipeline.target(export_path="Eksport.xml")
    root, number = pipeline.settings.feed_directory, target(pipeline).target_id

    def overtaken(*_: Any) -> Iterator[str]:
        monkeypatch.setattr(snapshots, "document", lambda *_: ["<newer/>"])
        with psycopg.connect(pipeline.settings.state(), autocommit=True) as other:
            other.execute("update imsfeed.target set head_seq = head_seq + 1")
            write_export(other, root, number, pipeline.now)
        yield "<older/>"

    monkeypatch.setattr(snapshots, "document", overtaken)
    write_export(pipeline.connection, root, number, pipeline.now)
    assert (pipeline.folder() / "Eksport.xml").read_text() == "<newer/>"


class TestCommand:
    def run(self, pipeline: Pipeline, *arguments: str) -> tuple[int, str]:
        environment = {"STATE_DSN": pipeline.settings.state(), "FEED_DIRECTORY": str(pipeline.settings.feed_directory)}
        done = CliRunner().invoke(app, ["republish", *arguments], env=environment)
        return done.exit_code, done.output + (str(done.exception) if done.exception else "")

    def test_a_lost_feed_is_written_again(self, pipeline: Pipeline) -> None:
        shutil.rmtree(pipeline.folder())
        code, said = self.run(pipeline, "lms")
        assert code == 0
        assert "sequence 2, 2 deltas, new snapshot snapshots/" in said
        audit = pipeline.connection.execute("select setting from imsfeed.target_audit order by audit_id desc limit 1")
        assert audit.fetchone() == ("republished",)

    def test_a_new_epoch_is_begun(self, pipeline: Pipeline) -> None:
        assert "sequence 3, 0 deltas, new snapshot" in self.run(pipeline, "lms", "--new-epoch")[1]

    def test_a_target_that_cannot_be_written_is_named_beside_the_others(self, pipeline: Pipeline) -> None:
        pipeline.target(name="other")
        pipeline.compact()
        (pipeline.folder() / "deltas/9.xml").write_bytes(b"")
        shutil.rmtree(pipeline.folder("other"))
        code, said = self.run(pipeline, "all")
        assert code == 1
        assert "1/lms: target lms: the manifest names what the state database does not know" in said
        assert pipeline.verification("other").problems == []

    def test_a_folder_that_cannot_be_read_is_named_beside_the_others(self, pipeline: Pipeline) -> None:
        pipeline.target(name="other")
        pipeline.compact()
        shutil.rmtree(pipeline.folder("other"))
        shutil.rmtree(pipeline.folder())
        pipeline.folder().write_text("a file where the folder should be")
        code, said = self.run(pipeline, "all")
        assert code == 1
        assert "1/lms: [Errno" in said
        assert pipeline.verification("other").problems == []

    def test_a_target_that_was_never_published_is_refused(self, pipeline: Pipeline) -> None:
        pipeline.target(name="new")
        assert "was never published" in self.run(pipeline, "new")[1]
