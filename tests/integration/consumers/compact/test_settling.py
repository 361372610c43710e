"""Changes that must be published together, of which one has settled and the other has not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consumers.compact.process import Compactor
from consumers.compact.timing import IDLE_SECONDS, SOON
from consumers.database import sessions
from consumers.publication.delta import publish_delta
from ims.records.vocabulary import RecStatus
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import group, member, person
from tests.support.pipeline import Immediately, Pipeline

SETTLE_SECONDS = 1_000.0
AGED_SECONDS = 1_500
"""More than the settling time, but less than five of them."""


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path)
    pipeline.target()
    yield pipeline
    pipeline.close()


def let_settle(pipeline: Pipeline) -> None:
    """Let all changes so far settle."""
    pipeline.connection.execute(
        "update imsfeed.pending_change set noted_at = noted_at - make_interval(secs => %s)", (AGED_SECONDS,)
    )


def publish(pipeline: Pipeline) -> None:
    """Publish the changes that have settled."""
    assert publish_delta(pipeline.connection, 1, pipeline.now, SETTLE_SECONDS) is not None


def test_a_renumbered_person_is_not_removed_while_the_change_settles(pipeline: Pipeline) -> None:
    published = a_person(1)
    pipeline.commit(an_owner(), a_school(1), a_group(1), published, an_enrolment(1))
    pipeline.compact(seconds=1)
    renumbered = a_person(2, national_id=published.national_id, family_name=published.family_name)
    pipeline.commit(published, gone=True, whole=False)
    pipeline.commit(renumbered, an_enrolment(1, person=2))
    let_settle(pipeline)
    pipeline.commit(a_person(2, national_id=published.national_id, given_name="Berta"))
    publish(pipeline)
    pipeline.compact(minutes=2)
    assert {(record.key, recstatus) for record, recstatus in pipeline.delta(1)} == {(person(1), RecStatus.CHANGED)}
    assert pipeline.verification().problems == []


def test_a_person_who_takes_over_an_id_is_not_new(pipeline: Pipeline) -> None:
    published = a_person(1)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), published, an_enrolment(1))
    pipeline.compact(seconds=1)
    without = a_person(1, national_id=None)
    taking_over = a_person(2, national_id=a_birth_number(1), family_name="Annesen")
    pipeline.commit(without, taking_over, an_enrolment(2, person=2, group=2))
    let_settle(pipeline)
    pipeline.commit(without)
    publish(pipeline)
    pipeline.compact(minutes=2)
    assert {(record.key, recstatus) for record, recstatus in pipeline.delta(1)} == {
        (person(1), RecStatus.CHANGED),
        (member("group-1", 1), RecStatus.GONE),
        (member("group-2", 1), RecStatus.NEW),
    }
    assert pipeline.verification().problems == []


def test_a_membership_is_never_published_before_its_group(pipeline: Pipeline) -> None:
    people = a_person(1), a_person(2)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2, active=False), *people)
    pipeline.commit(*(an_enrolment(n, person=n, group=1) for n in (1, 2)))
    pipeline.commit(*(an_enrolment(10 + n, person=n, group=2) for n in (1, 2)))
    pipeline.compact(seconds=1)
    pipeline.commit(a_person(1, given_name="Berta"))
    let_settle(pipeline)
    pipeline.commit(a_group(2))
    publish(pipeline)
    pipeline.compact(minutes=2)
    assert {(record.key, recstatus) for record, recstatus in pipeline.delta(1)} == {
        (person(1), RecStatus.CHANGED),
        (group("group-2"), RecStatus.NEW),
        (member("group-2", 1), RecStatus.NEW),
        (member("group-2", 2), RecStatus.NEW),
    }
    assert pipeline.verification().problems == []


def a_slow_compactor(pipeline: Pipeline) -> Compactor:
    settings = pipeline.settings.model_copy(update={"settle_seconds": SETTLE_SECONDS})
    return Compactor(settings, pipeline.metrics, pipeline.connection, Immediately())


@pytest.fixture
def two_changes(pipeline: Pipeline) -> Pipeline:
    """A settled change of one person, and an unsettled one of another."""
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), a_person(2))
    pipeline.commit(*(an_enrolment(n, person=n, group=1) for n in (1, 2)))
    pipeline.compact(seconds=1)
    pipeline.commit(a_person(1, given_name="Berta"))
    let_settle(pipeline)
    pipeline.commit(a_person(2, given_name="Carla"))
    return pipeline


def test_after_a_publication_compact_waits_for_the_next_change(two_changes: Pipeline) -> None:
    compactor = a_slow_compactor(two_changes)
    assert compactor.step(two_changes.now) <= SOON
    assert two_changes.manifest().head_seq == 1
    assert compactor.step(two_changes.now) == IDLE_SECONDS, "the other change settles for long"


def test_a_target_locked_by_another_process_is_tried_again_soon(two_changes: Pipeline) -> None:
    compactor = a_slow_compactor(two_changes)
    with sessions.connect(two_changes.settings.state(), "other") as other, other.transaction():
        other.execute("select from imsfeed.target for update")
        assert compactor.step(two_changes.now) <= SOON
        assert two_changes.manifest().head_seq == 0
    compactor.step(two_changes.now)
    assert two_changes.manifest().head_seq == 1


def test_a_target_changed_by_another_process_is_tried_again_soon(
    two_changes: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that sees the target as it was before the other process's commit may not lock it."""

    @contextmanager
    def changed_meanwhile(connection: sessions.Connection) -> Iterator[None]:
        with sessions.repeatable_read(connection):
            connection.execute("select from imsfeed.target")
            with sessions.connect(two_changes.settings.state(), "other") as other:
                other.execute("update imsfeed.target set review = review")
            yield

    compactor = a_slow_compactor(two_changes)
    with monkeypatch.context() as patched:
        patched.setattr("consumers.publication.delta.repeatable_read", changed_meanwhile)
        assert compactor.step(two_changes.now) <= SOON
    assert two_changes.manifest().head_seq == 0
    compactor.step(two_changes.now)
    assert two_changes.manifest().head_seq == 1
