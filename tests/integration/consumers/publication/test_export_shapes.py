"""The file at the fixed path, for an importer that infers nothing from absence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Pipeline

GONE = 'recstatus="3">\n        <status>0</status>'


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Yield learners 1 and 2 in group 1, published with a file for Moodle."""
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target(export_path="Eksport.xml", export_shape="tombstones")
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2))
    pipeline.commit(an_enrolment(1, person=1, group=1), an_enrolment(2, person=2, group=1))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def id_of(person: int) -> str:
    national_id = a_person(person).national_id
    assert national_id is not None
    return national_id.reveal()


def export(pipeline: Pipeline) -> str:
    return (pipeline.folder() / "Eksport.xml").read_text(encoding="utf-8")


def test_a_leaver_is_in_the_file_as_removed(pipeline: Pipeline) -> None:
    pipeline.commit(an_enrolment(2, person=2, group=1), gone=True)
    pipeline.compact(minutes=2)
    text = export(pipeline)
    assert text.count("<membership>") == 1, "one membership element for the group, as importers require"
    assert text.count(GONE) == 1
    assert text.index(id_of(2), text.index("<membership>")) < text.index(GONE)
    assert (
        f'<person recstatus="3">\n    <sourcedid>\n      <source>imsfeed@100000008</source>\n      <id>{id_of(2)}'
        in text
    )


def test_tombstones_end_after_30_days_or_with_a_return(pipeline: Pipeline) -> None:
    pipeline.commit(an_enrolment(2, person=2, group=1), gone=True)
    pipeline.compact(days=1)
    pipeline.commit(an_enrolment(3, person=2, group=1))
    pipeline.compact(days=1)
    assert GONE not in export(pipeline)
    pipeline.commit(an_enrolment(3, person=2, group=1), gone=True)
    pipeline.compact(seconds=1)
    pipeline.compact(days=29)
    assert GONE in export(pipeline)
    pipeline.compact(days=3)
    assert GONE not in export(pipeline)
    assert id_of(2) not in export(pipeline)
    rows = pipeline.connection.execute("select count(*) from imsfeed.tombstone").fetchone()
    assert rows == (0,)


def test_the_old_role_is_gone_before_the_new_one(pipeline: Pipeline) -> None:
    pipeline.commit(an_employee(5, person=2), an_enrolment(2, person=2, group=1, role="teacher"))
    pipeline.compact(minutes=2)
    pipeline.commit(an_employee(5, person=2, active=False), an_enrolment(2, person=2, group=1))
    pipeline.compact(minutes=2)
    text = export(pipeline)
    gone, learns = text.index('roletype="02" recstatus="3"'), text.rindex('<role roletype="01">')
    assert gone < learns
    assert text.count(id_of(2)) == 3, "the person, the old role and the new one"
    pipeline.commit(an_enrolment(2, person=2, group=1), gone=True)
    pipeline.commit(an_employee(5, person=2), an_enrolment(3, person=2, group=1, role="teacher"))
    pipeline.compact(minutes=2)
    text = export(pipeline)
    assert 'roletype="02" recstatus="3"' not in text
    assert 'roletype="01" recstatus="3"' in text


def test_a_group_closes_and_opens_without_a_removal(pipeline: Pipeline) -> None:
    pipeline.target(importer="moodle", export_path="Eksport.xml")
    pipeline.compact(seconds=1)
    pipeline.approve(seconds=1)
    pipeline.commit(a_group(1, active=False), a_group(2, active=False))
    pipeline.compact(seconds=1)
    pipeline.approve(seconds=1)
    closed = [entry.closed_groups for entry in pipeline.manifest().deltas if entry.closed_groups]
    assert {group for groups in closed for group in groups} == {"group-1", "group-2"}
    assert pipeline.manifest().deltas[-1].counts.group.gone == 0
    pipeline.compact(days=1)
    assert "<group" not in export(pipeline)
    assert pipeline.verification().problems == []
    pipeline.commit(a_group(1))
    pipeline.compact(seconds=1)
    assert pipeline.manifest().deltas[-1].counts.group.new == 1
    assert pipeline.manifest().deltas[-1].counts.group.changed == 1
    pipeline.compact(days=1)
    assert pipeline.verification().problems == []


def test_the_snapshots_never_hold_a_leaver(pipeline: Pipeline) -> None:
    pipeline.commit(an_enrolment(2, person=2, group=1), gone=True)
    pipeline.compact(days=1)
    snapshot = (pipeline.folder() / pipeline.manifest().snapshot.path).read_text(encoding="utf-8")
    assert id_of(2) not in snapshot
    assert pipeline.verification().problems == []


def test_no_tombstones_are_stored_for_other_export_shapes(pipeline: Pipeline) -> None:
    pipeline.target(export_path="Eksport.xml", export_shape="absent")
    pipeline.compact(seconds=1)
    pipeline.commit(an_enrolment(2, person=2, group=1), gone=True)
    pipeline.compact(days=1)
    assert id_of(2) not in export(pipeline)
    assert pipeline.connection.execute("select count(*) from imsfeed.tombstone").fetchone() == (0,)
