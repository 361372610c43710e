"""A small school with a source, reconciled once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.reconciling import ReconciledPipeline, fill


@pytest.fixture
def pipeline(state_dsn: str, source_dsn: str, tmp_path: Path) -> Iterator[ReconciledPipeline]:
    pipeline = ReconciledPipeline(state_dsn, tmp_path / "feed", source_dsn)
    yield fill(pipeline)
    pipeline.close()
