"""A folder belongs to one target for good: no second one, and no command, writes another owner's persons there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.database.targets_table import TargetRow, find_target
from consumers.feed.folder_owner import MARK
from consumers.feed.republish import begin_epoch, republish
from consumers.operations.status_report import report
from ims.errors import FeedError, InvalidSettingsError
from ims.feed.conflicts import HaltReason
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Owner 1 has a published target; owner 2 has another number."""
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def second(pipeline: Pipeline) -> TargetRow:
    return find_target(pipeline.connection, "2/lms")


def add_second(pipeline: Pipeline, orgnr: str = "100000008") -> None:
    """Create the second owner's target, and then let the owner arrive with *orgnr*."""
    pipeline.target(owner=2)
    pipeline.commit(an_owner(owner_id=2, orgnr=orgnr), a_school(1, owner_id=2), a_group(1, owner_id=2))
    pipeline.commit(a_person(2, owner_id=2), an_enrolment(1, owner_id=2, person=2))


def feed(pipeline: Pipeline) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in pipeline.folder().rglob("*.*") if path.name != "manifest.json"}


@pytest.mark.parametrize("orgnr", ["100000008", "100 000 008"])
def test_a_second_target_waits_with_the_reason(pipeline: Pipeline, orgnr: str) -> None:
    before = feed(pipeline)
    add_second(pipeline, orgnr)
    pipeline.compact(minutes=1)
    pipeline.approve(minutes=1)
    row = second(pipeline)
    assert (row.state, row.position.halt_reason) == ("waiting", HaltReason.FOLDER_TAKEN)
    reason = report(pipeline.connection).targets[1].halt_reason or ""
    assert "belongs to another target" in reason
    assert "--new-epoch" not in reason
    assert feed(pipeline) == before


def test_a_second_target_is_published_once_its_number_is_right(pipeline: Pipeline) -> None:
    add_second(pipeline)
    pipeline.compact(minutes=1)
    pipeline.commit(an_owner(owner_id=2, orgnr="100000016"))
    pipeline.compact(minutes=1)
    assert (second(pipeline).state, second(pipeline).position.halt_reason) == ("ok", None)


def test_a_second_target_is_refused_where_it_is_made(pipeline: Pipeline) -> None:
    pipeline.commit(an_owner(owner_id=2))
    with pytest.raises(InvalidSettingsError, match="2/lms would have the folder 100000008/lms of target 1/lms"):
        pipeline.target(owner=2)
    pipeline.target(owner=2, name="lms2")


@pytest.mark.parametrize("command", [republish, begin_epoch])
def test_no_command_takes_another_targets_folder(pipeline: Pipeline, command: object) -> None:
    """Even if the second one was published by an earlier version, which kept no record of the folders."""
    add_second(pipeline, "100000016")
    pipeline.compact(minutes=1)
    pipeline.connection.execute("update imsfeed.target set orgnr = '100000008' where owner_id = 2")
    before = feed(pipeline)
    with pytest.raises(FeedError, match="belongs to another target"):
        command(pipeline.connection, pipeline.settings.feed_directory, second(pipeline).target_id, pipeline.now, "Ada")  # type: ignore[operator]
    pipeline.compact(minutes=5)
    assert second(pipeline).position.halt_reason is HaltReason.FOLDER_TAKEN
    assert feed(pipeline) == before


def test_the_mark_in_the_folder_survives_the_state_database(pipeline: Pipeline) -> None:
    """In a new database the second owner arrives first: nothing is recorded of the folders any more."""
    pipeline.connection.execute("truncate imsfeed.target, imsfeed.owner cascade")
    before = feed(pipeline)
    add_second(pipeline)
    pipeline.compact(minutes=1)
    assert second(pipeline).position.halt_reason is HaltReason.FOLDER_TAKEN
    assert feed(pipeline) == before


def test_a_feed_of_an_unknown_epoch_without_a_mark_is_taken_only_by_its_owner(pipeline: Pipeline) -> None:
    (pipeline.folder() / MARK).unlink()
    pipeline.connection.execute("update imsfeed.target set epoch = 'another', announced_at = null")
    pipeline.compact(minutes=1)
    row = find_target(pipeline.connection, "lms")
    assert row.position.halt_reason is HaltReason.OWNER_UNKNOWN
    root = pipeline.settings.feed_directory
    for owner in (None, 2):
        with pytest.raises(FeedError, match="nothing in it says whose feed it is"):
            begin_epoch(pipeline.connection, root, row.target_id, pipeline.now, "Ada", owner)
    begin_epoch(pipeline.connection, root, row.target_id, pipeline.now, "Ada", 1)
    assert pipeline.verification().problems == []


def test_a_folder_of_an_earlier_version_is_marked(pipeline: Pipeline) -> None:
    (pipeline.folder() / MARK).unlink()
    pipeline.connection.execute("truncate imsfeed.feed_folder")
    pipeline.compact(minutes=1)
    assert (pipeline.folder() / MARK).read_text() == '{"owner":1,"target":"lms"}\n'
    assert pipeline.manifest().state == "ok"
