"""A hostile manifest halts its own target, at every start of compact too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.database.targets_table import find_target
from ims.feed.conflicts import HaltReason
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline
from tests.unit.consumers.feed.test_hostile_files import HOSTILE


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Two published targets of one owner."""
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    pipeline.target()
    pipeline.target(name="a-sick")
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def test_a_hostile_manifest_halts_its_target_alone(pipeline: Pipeline) -> None:
    path = pipeline.folder("a-sick") / "manifest.json"
    good = path.read_text()
    contents = (*HOSTILE.values(), good.replace("snapshots/", "snapshots/\\u0000").encode())
    for head, content in enumerate(contents, 1):
        path.write_bytes(content)
        started = Pipeline(pipeline.settings.state(), pipeline.settings.feed_directory)
        started.now = pipeline.now
        started.compact(minutes=1)
        started.close()
        assert find_target(pipeline.connection, "a-sick").position.halt_reason is HaltReason.UNREADABLE
        pipeline.commit(a_person(1, family_name=f"Ny {head}"))
        pipeline.compact(minutes=1)
        assert pipeline.manifest().head_seq == head
