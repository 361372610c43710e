"""Many persons who become protected leave at once, and it is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.holds import holds_store
from consumers.operations.status_report import report
from tests.support.builders import a_person
from tests.support.feed_words import next_delta
from tests.support.held_school import gone, school
from tests.support.pipeline import Pipeline


@pytest.fixture
def published(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    school(pipeline)
    yield pipeline
    pipeline.close()


def test_many_protected_persons_leave_at_once_and_are_counted(published: Pipeline) -> None:
    published.commit(*(a_person(n, protected=True) for n in range(1, 21)))
    assert next_delta(published) == gone(*range(1, 21))
    assert list(holds_store.protected_departures(published.connection, published.now).values()) == [20]
    published.compact(minutes=1)
    assert next(iter(published.metrics.protected_departures.collect())).samples[0].value == 20
    listed = [one.id for one in report(published.connection).targets[0].excluded if one.reason == "person_protected"]
    assert listed == list(range(1, 21))


def test_leavers_for_another_reason_raise_no_such_alarm(published: Pipeline) -> None:
    published.commit(*(a_person(n, given_name="") for n in range(1, 9)))
    published.compact(seconds=1)
    assert holds_store.protected_departures(published.connection, published.now) == {}
