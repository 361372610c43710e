"""From facts in a real state database to files in a real folder."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from consumers.operations.status_report import report
from consumers.publication import delta_files
from ims.feed.delta_split import split
from ims.records.model import MemberRecord, PersonRecord, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus, RoleType
from ims.xml.reader import ReadRecord
from tests.support.builders import a_duf_number, a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    pipeline.close()


@pytest.fixture
def published(pipeline: Pipeline) -> Pipeline:
    """One school, groups 1 and 2, learner 1 in both, learner 2 in group 2, teacher 3 of group 1; published."""
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2), a_person(3))
    pipeline.commit(an_enrolment(1, person=1, group=1), an_enrolment(2, person=1, group=2))
    pipeline.commit(an_enrolment(3, person=2, group=2))
    pipeline.commit(an_employee(1, person=3), an_enrolment(4, person=3, group=1, role="teacher"))
    pipeline.compact()
    return pipeline


def id_of(person: int) -> str:
    national_id = a_person(person).national_id
    assert national_id is not None
    return national_id.reveal()


def said(records: list[ReadRecord]) -> set[tuple[RecordKey, RecStatus | None]]:
    return {(record.key, recstatus) for record, recstatus in records}


def member(group: int, person: int) -> RecordKey:
    return RecordKey(RecordKind.MEMBERSHIP, f"group-{group}", id_of(person))


def person(number: int) -> RecordKey:
    return RecordKey(RecordKind.PERSON, id_of(number))


def test_the_first_publication_is_a_snapshot_with_sequence_0(published: Pipeline) -> None:
    manifest = published.manifest()
    assert (manifest.head_seq, manifest.snapshot.seq, manifest.deltas, manifest.state) == (0, 0, [], "ok")
    assert published.snapshot().keys() == {
        *(person(number) for number in (1, 2, 3)),
        *(RecordKey(RecordKind.GROUP, f"group-{number}") for number in (1, 2)),
        *(member(*pair) for pair in ((1, 1), (2, 1), (2, 2), (1, 3))),
    }
    teacher = published.snapshot()[member(1, 3)]
    assert isinstance(teacher, MemberRecord)
    assert teacher.role is RoleType.INSTRUCTOR


def test_nothing_is_published_for_a_target_that_is_not_enabled(pipeline: Pipeline) -> None:
    pipeline.target(enabled=False)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    assert not pipeline.settings.feed_directory.exists()


@pytest.mark.parametrize("orgnr", [None, "", "100000009"])
def test_nothing_is_published_for_an_owner_without_an_organisation_number(
    pipeline: Pipeline, orgnr: str | None
) -> None:
    pipeline.target()
    pipeline.commit(an_owner(orgnr=orgnr), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    assert not pipeline.settings.feed_directory.exists()


def test_an_owner_that_loses_its_number_does_not_lose_its_members(published: Pipeline) -> None:
    published.commit(an_owner(orgnr=None))
    published.compact(minutes=5)
    manifest = published.manifest()
    assert (manifest.state, manifest.head_seq) == ("stale", 0)
    published.commit(an_owner(name="Fjordvik nye kommune"))
    published.compact(minutes=5)
    assert published.manifest().state == "ok"
    assert {key.kind for key, _ in said(published.delta(1))} == {RecordKind.GROUP}


def test_a_student_who_leaves_goes_from_every_group_in_one_delta(published: Pipeline) -> None:
    published.commit(
        an_enrolment(1, person=1, group=1, status="withdrawn"), an_enrolment(2, person=1, group=2, status="withdrawn")
    )
    published.compact(seconds=1)
    assert said(published.delta(1)) == {(key, RecStatus.GONE) for key in (person(1), member(1, 1), member(2, 1))}
    text = (published.folder() / "deltas/1.xml").read_text()
    assert text.count('recstatus="3">\n        <status>0</status>') == 2
    assert published.manifest().head_seq == 1


def test_a_student_who_leaves_one_of_two_groups_stays_in_the_other(published: Pipeline) -> None:
    published.commit(an_enrolment(2, person=1, group=2), gone=True)
    published.compact(seconds=1)
    assert said(published.delta(1)) == {(member(2, 1), RecStatus.GONE)}


def test_a_move_in_one_transaction_is_never_a_leave_alone(published: Pipeline) -> None:
    """Even if its first half arrives long before the second."""
    published.commit(an_enrolment(3, person=2, group=2, status="withdrawn"), whole=False)
    published.compact(seconds=10)
    assert published.manifest().head_seq == 0
    published.commit(an_enrolment(5, person=2, group=1))
    published.compact(seconds=1)
    assert said(published.delta(1)) == {(member(2, 2), RecStatus.GONE), (member(1, 2), RecStatus.NEW)}


def test_a_moved_enrolment_leaves_its_old_group_and_its_old_person(published: Pipeline) -> None:
    published.commit(an_enrolment(3, person=1, group=1))
    published.compact(seconds=1)
    assert said(published.delta(1)) == {(person(2), RecStatus.GONE), (member(2, 2), RecStatus.GONE)}


def test_a_day_that_passes_makes_a_delta_with_no_event(published: Pipeline) -> None:
    today = published.now.date()
    published.commit(an_enrolment(3, person=2, group=2, ends_on=today))
    published.commit(an_enrolment(6, person=2, group=1, starts_on=today + timedelta(days=1)))
    published.compact(seconds=1)
    assert published.manifest().head_seq == 0
    published.compact(hours=11, minutes=59)
    assert published.manifest().head_seq == 0, "Oslo is two hours ahead of UTC: midnight is at 22:00"
    published.compact(minutes=2)
    assert said(published.delta(1)) == {(member(2, 2), RecStatus.GONE), (member(1, 2), RecStatus.NEW)}
    assert published.manifest().deltas[0].oldest_event_at is None


def test_days_that_passed_while_nobody_ran_are_made_up_for(published: Pipeline) -> None:
    published.commit(a_group(2, ends_on=date(2026, 10, 18)))
    published.compact(seconds=1)
    published.compact(days=30)
    assert (RecordKey(RecordKind.GROUP, "group-2"), RecStatus.GONE) in said(published.delta(2))
    assert (member(2, 2), RecStatus.GONE) in said(published.delta(2))


def test_a_clock_that_is_set_back_brings_nobody_back(published: Pipeline) -> None:
    published.commit(an_enrolment(3, person=2, group=2, ends_on=published.now.date()))
    published.compact(days=1)
    head = published.manifest().head_seq
    published.commit(a_person(2, family_name="Nesten"))
    published.compact(days=-1)
    assert published.manifest().head_seq == head


def test_a_clock_that_is_set_back_does_not_stop_the_manifest(published: Pipeline) -> None:
    published.compact(hours=-5)
    assert published.manifest().checked == published.now


def test_a_teacher_who_stops_leaves_and_so_do_the_teachers_memberships(published: Pipeline) -> None:
    published.commit(an_employee(1, person=3, active=False))
    published.compact(seconds=1)
    assert said(published.delta(1)) == {(person(3), RecStatus.GONE), (member(1, 3), RecStatus.GONE)}


def test_a_group_that_goes_takes_its_memberships_with_it(published: Pipeline) -> None:
    published.commit(a_group(2, active=False))
    published.compact(seconds=1)
    assert said(published.delta(1)) == {
        (key, RecStatus.GONE) for key in (RecordKey(RecordKind.GROUP, "group-2"), member(2, 1), member(2, 2), person(2))
    }


def test_a_school_that_loses_its_number_is_no_longer_exported(published: Pipeline) -> None:
    published.commit(a_school(1, school_no=None))
    published.compact(seconds=1)
    published.approve()
    assert {recstatus for _, recstatus in said(published.delta(1))} == {RecStatus.GONE}
    assert len(published.delta(1)) == 9


def test_a_changed_name_is_one_changed_person(published: Pipeline) -> None:
    published.commit(a_person(2, family_name="Ny"))
    published.compact(seconds=1)
    ((record, recstatus),) = published.delta(1)
    assert isinstance(record, PersonRecord)
    assert (record.key, record.family_name, recstatus) == (person(2), "Ny", RecStatus.CHANGED)


def test_a_changed_national_id_is_one_delta_with_both_persons(published: Pipeline) -> None:
    published.commit(a_person(2, national_id=id_of(77)))
    published.compact(seconds=1)
    assert said(published.delta(1)) == {
        (person(77), RecStatus.NEW),
        (member(2, 77), RecStatus.NEW),
        (person(2), RecStatus.GONE),
        (member(2, 2), RecStatus.GONE),
    }


def test_a_changed_id_is_counted_and_listed_by_running_number(published: Pipeline) -> None:
    published.commit(a_person(2, national_id=id_of(77)), a_person(1, family_name="Ny"))
    published.compact(seconds=1)
    (target,) = report(published.connection).targets
    assert [(change.person, change.seq) for change in target.id_changes] == [(2, 1)]
    assert published.metrics.changed_ids._value.get() == 1


def test_remarks_are_kept_as_long_as_they_hold(published: Pipeline) -> None:
    wrong = f"{a_duf_number()[:-1]}{(int(a_duf_number()[-1]) + 1) % 10}"
    published.commit(a_person(2, national_id=wrong, family_name="N" * 150))
    published.compact(seconds=1)
    (target,) = report(published.connection).targets
    assert [(one.kind, one.id, one.warning) for one in target.warnings] == [
        ("person", 2, "duf_check_failed"),
        ("person", 2, "name_cut"),
    ]
    published.commit(a_person(2, national_id=wrong))
    published.compact(seconds=1)
    (target,) = report(published.connection).targets
    assert [one.warning for one in target.warnings] == ["duf_check_failed"]


def test_two_persons_with_one_national_id_are_both_left_out_until_it_is_mended(published: Pipeline) -> None:
    published.commit(a_person(2, national_id=f"{id_of(1)[:6]} {id_of(1)[6:]}"))
    published.compact(seconds=1)
    assert (person(1), RecStatus.GONE) in said(published.delta(1))
    assert (person(2), RecStatus.GONE) in said(published.delta(1))
    published.commit(a_person(2))
    published.compact(seconds=1)
    assert (person(1), RecStatus.NEW) in said(published.delta(2))
    assert (person(2), RecStatus.NEW) in said(published.delta(2))


def test_two_groups_with_one_id_are_both_left_out_whoever_is_looked_at(pipeline: Pipeline) -> None:
    pipeline.target(group_id="{code}")
    pipeline.commit(an_owner(), a_school(1), a_group(1, code="8A"), a_group(2, code="8A"), a_group(3))
    pipeline.commit(a_person(1), an_enrolment(1, person=1, group=1))
    pipeline.compact()
    assert pipeline.snapshot().keys() == {RecordKey(RecordKind.GROUP, "B3")}
    pipeline.commit(a_person(1, family_name="Ny"))
    pipeline.compact(seconds=1)
    assert pipeline.manifest().head_seq == 0
    pipeline.commit(a_group(2, code="8B"))
    pipeline.compact(seconds=1)
    assert said(pipeline.delta(1)) == {
        (key, RecStatus.NEW)
        for key in (
            person(1),
            RecordKey(RecordKind.GROUP, "8A"),
            RecordKey(RecordKind.GROUP, "8B"),
            RecordKey(RecordKind.MEMBERSHIP, "8A", id_of(1)),
        )
    }


def test_a_protected_person_is_gone_and_never_comes_back_by_itself(published: Pipeline) -> None:
    published.commit(a_person(2, protected=True))
    published.compact(days=2)
    assert (person(2), RecStatus.GONE) in said(published.delta(1))
    assert person(2) not in published.snapshot()


def test_an_enrolment_may_arrive_before_its_person_and_its_group(published: Pipeline) -> None:
    published.commit(an_enrolment(9, person=9, group=9))
    published.compact(seconds=1)
    assert published.manifest().head_seq == 0
    assert published.store.unresolved_references() == 2
    published.commit(a_group(9))
    published.compact(seconds=1)
    published.commit(a_person(9))
    published.compact(seconds=1)
    assert (member(9, 9), RecStatus.NEW) in said(published.delta(2))


def test_changed_settings_are_told_as_one_difference(published: Pipeline) -> None:
    published.target(group_id="g{id}")
    published.compact(seconds=1)
    published.approve()
    added, removed = said(published.delta(1)), said(published.delta(2))
    assert (RecordKey(RecordKind.GROUP, "g1"), RecStatus.NEW) in added
    assert (RecordKey(RecordKind.GROUP, "group-1"), RecStatus.GONE) in removed
    assert len(added) + len(removed) == 12


def test_a_very_large_difference_is_told_in_several_deltas(
    published: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_files, "split", partial(split, limit=4))
    published.target(group_id="g{id}")
    published.compact(seconds=1)
    published.approve()
    manifest = published.manifest()
    assert [delta.seq for delta in manifest.deltas] == [1, 2, 3, 4]
    assert sum(len(published.delta(delta.seq)) for delta in manifest.deltas) == 12
    published.compact(days=1)
    assert published.verification().problems == []


def test_snapshot_and_deltas_are_the_next_snapshot(published: Pipeline) -> None:
    published.commit(an_enrolment(3, person=2, group=2), gone=True)
    published.compact(seconds=1)
    published.commit(an_enrolment(7, person=2, group=1), a_person(1, given_name="Ida"))
    published.compact(seconds=1)
    published.compact(days=1)
    reconciliation = published.verification()
    assert (reconciliation.problems, reconciliation.snapshots, reconciliation.deltas) == ([], 2, 2)
    assert published.manifest().snapshot.seq == 2


def test_the_snapshot_comes_at_its_hour_once_a_day_and_is_caught_up(published: Pipeline) -> None:
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


def test_old_files_go_but_never_a_delta_newer_than_the_oldest_snapshot(published: Pipeline) -> None:
    published.commit(a_person(2, family_name="Ny"))
    published.compact(seconds=1)
    for _ in range(20):
        published.compact(days=1)
    published.commit(a_person(2, family_name="Nyere"))
    published.compact(seconds=1)
    published.compactor._kept_house = None
    published.compact(seconds=1)
    manifest = published.manifest()
    assert [delta.seq for delta in manifest.deltas] == [2]
    assert published.verification().problems == []
    rows = published.connection.execute("select count(*) from imsfeed.snapshot").fetchone()
    assert rows == (14,)


def test_the_file_at_the_fixed_path_holds_everything_and_no_leavers(published: Pipeline) -> None:
    published.target(export_path="Eksport.xml")
    published.compact(seconds=1)
    export = published.folder() / "Eksport.xml"
    first = export.stat().st_mtime
    published.commit(an_enrolment(3, person=2, group=2), gone=True)
    published.compact(days=1)
    assert id_of(2) not in export.read_text()
    assert id_of(1) in export.read_text()
    assert export.stat().st_mtime >= first + 1


def test_files_are_not_for_everybody(published: Pipeline) -> None:
    modes = {oct(path.stat().st_mode & 0o777) for path in published.folder().rglob("*") if path.is_file()}
    assert modes == {"0o640"}
    assert {oct(path.stat().st_mode & 0o007) for path in published.folder().parent.rglob("*")} == {"0o0"}


def test_reasons_are_kept_for_all_who_are_left_out(published: Pipeline) -> None:
    published.commit(a_person(5, given_name=" "), an_enrolment(8, person=5, group=1), a_group(7, school=99))
    published.compact(seconds=1)
    rows = published.connection.execute("select kind, id, reason from imsfeed.exclusion").fetchall()
    assert sorted(rows) == [(1, 5, "name_incomplete"), (2, 7, "school_unknown")]


def test_a_snapshot_that_cannot_be_written_keeps_no_delta_waiting_and_is_not_tried_at_every_turn(
    published: Pipeline,
) -> None:
    stranger = published.folder() / "snapshots/2026-10-16-0.xml"
    stranger.write_text("somebody else's")
    published.compact(hours=16)
    attempts = published.metrics.snapshot_attempts._value.get()
    published.commit(a_person(2, family_name="Ny"))
    published.compact(seconds=1)
    assert published.manifest().head_seq == 1
    assert published.metrics.snapshot_attempts._value.get() == attempts
    assert stranger.read_text() == "somebody else's"
    stranger.unlink()
    published.compact(minutes=1)
    assert published.manifest().snapshot.local_date == date(2026, 10, 16)
