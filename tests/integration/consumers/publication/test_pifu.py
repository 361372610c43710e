"""A target that publishes PIFU-IMS, from facts in a real state database to files in a real folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from consumers.database import targets_table
from consumers.feed.snapshots import take_snapshot
from ims.records.model import PersonRecord, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.reader import read
from ims.xml.schema import problems
from ims.xml.writer import Properties
from tests.support.builders import ORGNR, a_group, a_person, a_school, a_target, an_employee, an_enrolment, an_owner
from tests.support.events import Replayer, Scenario
from tests.support.pipeline import Pipeline
from tests.unit.ims.xml.test_schema import THEIRS


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    pipeline.close()


@pytest.fixture
def published(pipeline: Pipeline) -> Pipeline:
    """Return learners 1 (without a national id) and 2, teacher 3, in group 1 of school 1; published in PIFU-IMS."""
    pipeline.target(dialect="pifu", include_without_national_id=True)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1, national_id=None), a_person(2), a_person(3))
    pipeline.commit(an_enrolment(1, person=1), an_enrolment(2, person=2), an_employee(1, person=3))
    pipeline.compact()
    return pipeline


def id_of(number: int) -> str:
    national_id = a_person(number).national_id
    assert national_id is not None
    return national_id.reveal()


def person(pipeline: Pipeline, id_: str) -> PersonRecord:
    record = pipeline.snapshot()[RecordKey(RecordKind.PERSON, id_)]
    assert isinstance(record, PersonRecord)
    return record


def files(pipeline: Pipeline) -> list[Path]:
    return sorted(pipeline.folder().glob("*/*.xml"))


def dialects(pipeline: Pipeline) -> list[str]:
    heads = [next(iter(read(path))) for path in files(pipeline)]
    return [head.dialect for head in heads if isinstance(head, Properties)]


def test_owner_and_schools_are_there_and_every_file_is_valid(published: Pipeline) -> None:
    published.commit(a_person(2, family_name="Li"))
    published.compact(days=1)
    assert {RecordKey(RecordKind.GROUP, f"org-{ORGNR}"), RecordKey(RecordKind.GROUP, "school-NO1")} < (
        published.snapshot().keys()
    )
    assert dialects(published) == ["pifu"] * 3
    assert [problems(path) for path in files(published)] == [[], [], []]
    assert published.verification().problems == []


@pytest.mark.skipif(
    not (THEIRS / "PIFU-IMS_SAS.xsd").exists(), reason="PIFU-IMS's own schema is not beside the checkout"
)
def test_every_file_is_valid_by_the_profiles_own_schema(published: Pipeline) -> None:
    published.commit(a_person(1), a_person(2, family_name="Li"))
    published.commit(a_group(1, active=False), a_group(2, kind="subject"))
    published.compact(days=1)
    schema = etree.XMLSchema(etree.parse(THEIRS / "PIFU-IMS_SAS.xsd"))
    for path in files(published):
        schema.assertValid(etree.parse(path))


def test_a_new_national_id_is_published_with_the_old_id(published: Pipeline) -> None:
    published.commit(a_person(1))
    published.compact(seconds=1)
    people = [read for read in published.delta(1) if isinstance(read.record, PersonRecord)]
    assert [(read.record.key.id, read.recstatus) for read in people] == [
        (id_of(1), RecStatus.NEW),
        ("1", RecStatus.GONE),
    ]
    for _ in range(2):
        published.commit(a_person(1, family_name="Li"))
        published.compact(days=1)
        assert person(published, id_of(1)).old_id == "1"
    assert published.verification().problems == []


def test_an_old_id_that_another_person_gets_is_dropped(published: Pipeline) -> None:
    """The first person had the second one's number by mistake; the two are never in one publication."""
    theirs = id_of(2)
    published.commit(a_person(2, national_id=id_of(9)))
    published.compact(seconds=1)
    published.commit(a_person(1, national_id=theirs))
    published.compact(days=1)
    assert person(published, id_of(9)).old_id is None
    assert person(published, theirs).old_id == "1"
    assert published.verification().problems == []


def test_plain_ims_enterprise_is_published_without_old_ids(pipeline: Pipeline) -> None:
    pipeline.target(include_without_national_id=True)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1, national_id=None), an_enrolment(1))
    pipeline.compact()
    pipeline.commit(a_person(1))
    pipeline.compact(days=1)
    assert dialects(pipeline) == ["ims"] * 3
    assert person(pipeline, id_of(1)).old_id is None


@pytest.mark.parametrize(("first", "then"), [("ims", "pifu"), ("pifu", "ims")])
def test_a_target_can_change_its_dialect(pipeline: Pipeline, first: str, then: str) -> None:
    pipeline.target(dialect=first)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), a_person(2))
    pipeline.commit(an_enrolment(1, person=1), an_enrolment(2, person=2))
    pipeline.compact()
    pipeline.target(dialect=then)
    pipeline.commit(an_enrolment(2, person=2), gone=True)
    pipeline.compact(days=1)
    pipeline.approve(seconds=1)
    assert sorted({*dialects(pipeline)}) == ["ims", "pifu"]
    assert {*map(tuple, map(problems, files(pipeline)))} == {()}
    assert pipeline.verification().problems == []


def test_a_snapshot_before_the_publication_has_the_former_dialect(published: Pipeline) -> None:
    (target,) = targets_table.all_targets(published.connection)
    published.target(dialect="ims", include_without_national_id=True)
    entry = take_snapshot(
        published.connection, published.settings.feed_directory, target.target_id, published.now, scheduled=None
    )
    assert problems(published.folder() / entry.path) == []
    assert dialects(published) == ["pifu"]


@pytest.mark.parametrize("then", ["ims", "pifu"])
def test_a_file_with_leavers_never_holds_those_of_another_dialect(published: Pipeline, then: str) -> None:
    settings = {"include_without_national_id": True, "export_path": "Eksport.xml", "export_shape": "tombstones"}
    published.target(dialect="pifu", **settings)
    published.compact(seconds=1)
    published.commit(an_enrolment(2, person=2), gone=True)
    published.compact(minutes=2)
    export = published.folder() / "Eksport.xml"
    assert id_of(2) in export.read_text(encoding="utf-8")
    assert problems(export) == []
    published.target(dialect=then, **settings)
    published.commit(a_group(1, name="Norsk B2"))
    published.compact(minutes=2)
    assert (id_of(2) in export.read_text(encoding="utf-8")) is (then == "pifu")
    assert problems(export) == []


def test_a_replay_publishes_old_ids_too(tmp_path: Path) -> None:
    story, replayer = Scenario(), Replayer(tmp_path / "feed")
    story.commit(0, an_owner(), a_school(1), a_group(1), a_person(1, national_id=None), an_enrolment(1), op="r")
    story.commit(10, a_person(1))
    story.commit(20, a_person(1, family_name="Li"))
    replayer.replay(story, a_target(dialect="pifu", include_without_national_id=True))
    for seq in (1, 2):
        (old_id,) = {
            record.old_id
            for record, recstatus in replayer.delta(seq)
            if isinstance(record, PersonRecord) and recstatus is not RecStatus.GONE
        }
        assert old_id == "1"
