"""The files that hold everything, in a real folder: snapshots, and the file at a fixed path."""

from datetime import date

from tests.support.builders import a_person, an_enrolment
from tests.support.feed_words import id_of
from tests.support.pipeline import Pipeline


def test_a_snapshot_and_its_deltas_give_the_next_snapshot(published: Pipeline) -> None:
    published.commit(an_enrolment(3, person=2, group=2), gone=True)
    published.compact(seconds=1)
    published.commit(an_enrolment(7, person=2, group=1), a_person(1, given_name="Ida"))
    published.compact(seconds=1)
    published.compact(days=1)
    reconciliation = published.verification()
    assert (reconciliation.problems, reconciliation.snapshots, reconciliation.deltas) == ([], 2, 2)
    assert published.manifest().snapshot.seq == 2


def test_the_snapshot_is_taken_once_a_day_at_its_hour(published: Pipeline) -> None:
    snapshots = published.folder() / "snapshots"
    published.compact(hours=13, minutes=59)  # 01:59 in Oslo
    assert len(list(snapshots.iterdir())) == 1
    published.compact(minutes=2)
    published.compact(hours=3)
    assert sorted(path.name for path in snapshots.iterdir()) == ["2026-10-15-0.xml", "2026-10-16-0.xml"]
    published.compact(days=5)
    published.compact(hours=1)
    assert len(list(snapshots.iterdir())) == 3


def test_the_same_state_gives_the_same_snapshot(published: Pipeline) -> None:
    first = (published.folder() / published.manifest().snapshot.path).read_bytes()
    published.compact(days=1)
    assert published.manifest().snapshot.path != "snapshots/2026-10-15-0.xml"
    assert (published.folder() / published.manifest().snapshot.path).read_bytes() == first


def test_no_delta_newer_than_the_oldest_snapshot_is_deleted(published: Pipeline) -> None:
    published.commit(a_person(2, family_name="Ny"))
    published.compact(seconds=1)
    for _ in range(20):
        published.compact(days=1)
    published.commit(a_person(2, family_name="Nyere"))
    published.compact(seconds=1)
    published.compactor._cleaned_up_at = None
    published.compact(seconds=1)
    manifest = published.manifest()
    assert [delta.seq for delta in manifest.deltas] == [2]
    assert published.verification().problems == []
    rows = published.connection.execute("select count(*) from imsfeed.snapshot").fetchone()
    assert rows == (14,)


def test_the_file_at_the_fixed_path_has_no_leavers(published: Pipeline) -> None:
    published.target(export_path="Eksport.xml")
    published.compact(seconds=1)
    export = published.folder() / "Eksport.xml"
    first = export.stat().st_mtime
    published.commit(an_enrolment(3, person=2, group=2), gone=True)
    published.compact(days=1)
    assert id_of(2) not in export.read_text()
    assert id_of(1) in export.read_text()
    assert export.stat().st_mtime >= first + 1


def test_other_users_cannot_read_the_files(published: Pipeline) -> None:
    modes = {oct(path.stat().st_mode & 0o777) for path in published.folder().rglob("*") if path.is_file()}
    assert modes == {"0o640"}
    assert {oct(path.stat().st_mode & 0o007) for path in published.folder().parent.rglob("*")} == {"0o0"}


def test_a_snapshot_that_cannot_be_written_delays_no_delta(
    published: Pipeline,
) -> None:
    foreign = published.folder() / "snapshots/2026-10-16-0.xml"
    foreign.write_text("another's")
    published.compact(hours=16)
    attempts = published.metrics.snapshot_attempts._value.get()
    published.commit(a_person(2, family_name="Ny"))
    published.compact(seconds=1)
    assert published.manifest().head_seq == 1
    assert published.metrics.snapshot_attempts._value.get() == attempts
    assert foreign.read_text() == "another's"
    foreign.unlink()
    published.compact(minutes=1)
    assert published.manifest().snapshot.local_date == date(2026, 10, 16)
