"""What cannot be told one without the other, of which one has rested and the other not yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consumers.compact.process import Compactor
from consumers.compact.timing import IDLE_SECONDS, SOON
from consumers.database import sessions
from consumers.publication.delta import Publication, publish_delta
from ims.records.vocabulary import RecStatus
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.feed_words import group, member, person
from tests.support.pipeline import Immediately, Pipeline

SETTLE_SECONDS = 1_000.0
RESTED_SECONDS = 1_500


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path)
    pipeline.target()
    yield pipeline
    pipeline.close()


def settled_for(pipeline: Pipeline) -> None:
    """Let all that was committed so far rest for the settling time, but not for five of them."""
    pipeline.connection.execute(
        "update imsfeed.pending_change set noted_at = noted_at - make_interval(secs => %s)", (RESTED_SECONDS,)
    )


def publication(pipeline: Pipeline) -> Publication:
    found = publish_delta(pipeline.connection, 1, pipeline.now, SETTLE_SECONDS)
    assert found is not None
    return found


def test_who_gets_another_running_number_is_not_taken_out_while_that_one_rests(pipeline: Pipeline) -> None:
    published = a_person(1)
    pipeline.commit(an_owner(), a_school(1), a_group(1), published, an_enrolment(1))
    pipeline.compact(seconds=1)
    renumbered = a_person(2, national_id=published.national_id, family_name=published.family_name)
    pipeline.commit(published, gone=True, whole=False)
    pipeline.commit(renumbered, an_enrolment(1, person=2))
    settled_for(pipeline)
    pipeline.commit(a_person(2, national_id=published.national_id, given_name="Berta"))
    publication(pipeline)
    pipeline.compact(minutes=2)
    assert {(record.key, recstatus) for record, recstatus in pipeline.delta(1)} == {(person(1), RecStatus.CHANGED)}
    assert pipeline.verification().problems == []


def test_who_takes_over_an_id_is_not_new_while_the_one_who_had_it_rests(pipeline: Pipeline) -> None:
    published = a_person(1)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2), published, an_enrolment(1))
    pipeline.compact(seconds=1)
    without = a_person(1, national_id=None)
    taking_over = a_person(2, national_id=a_birth_number(1), family_name="Annesen")
    pipeline.commit(without, taking_over, an_enrolment(2, person=2, group=2))
    settled_for(pipeline)
    pipeline.commit(without)
    publication(pipeline)
    pipeline.compact(minutes=2)
    assert {(record.key, recstatus) for record, recstatus in pipeline.delta(1)} == {
        (person(1), RecStatus.CHANGED),
        (member("group-1", 1), RecStatus.GONE),
        (member("group-2", 1), RecStatus.NEW),
    }
    assert pipeline.verification().problems == []


def test_nobody_becomes_a_member_of_a_group_that_the_importer_has_not_heard_of(pipeline: Pipeline) -> None:
    people = a_person(1), a_person(2)
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_group(2, active=False), *people)
    pipeline.commit(*(an_enrolment(n, person=n, group=1) for n in (1, 2)))
    pipeline.commit(*(an_enrolment(10 + n, person=n, group=2) for n in (1, 2)))
    pipeline.compact(seconds=1)
    pipeline.commit(a_person(1, given_name="Berta"))
    settled_for(pipeline)
    pipeline.commit(a_group(2))
    publication(pipeline)
    pipeline.compact(minutes=2)
    assert {(record.key, recstatus) for record, recstatus in pipeline.delta(1)} == {
        (person(1), RecStatus.CHANGED),
        (group("group-2"), RecStatus.NEW),
        (member("group-2", 1), RecStatus.NEW),
        (member("group-2", 2), RecStatus.NEW),
    }
    assert pipeline.verification().problems == []


def a_patient_compactor(pipeline: Pipeline) -> Compactor:
    settings = pipeline.settings.model_copy(update={"settle_seconds": SETTLE_SECONDS})
    return Compactor(settings, pipeline.metrics, pipeline.connection, Immediately())


@pytest.fixture
def two_changes(pipeline: Pipeline) -> Pipeline:
    """One change that has rested, and one of somebody else that has not."""
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), a_person(2))
    pipeline.commit(*(an_enrolment(n, person=n, group=1) for n in (1, 2)))
    pipeline.compact(seconds=1)
    pipeline.commit(a_person(1, given_name="Berta"))
    settled_for(pipeline)
    pipeline.commit(a_person(2, given_name="Carla"))
    return pipeline


def test_after_a_cut_the_next_change_is_waited_for_and_not_for_somebody_to_wake_us(two_changes: Pipeline) -> None:
    compactor = a_patient_compactor(two_changes)
    assert compactor.step(two_changes.now) <= SOON
    assert two_changes.manifest().head_seq == 1
    assert compactor.step(two_changes.now) == IDLE_SECONDS, "the other change rests for long"


def test_a_target_that_another_process_works_on_is_looked_at_again_soon(two_changes: Pipeline) -> None:
    compactor = a_patient_compactor(two_changes)
    with sessions.connect(two_changes.settings.state(), "other") as other, other.transaction():
        other.execute("select from imsfeed.target for update")
        assert compactor.step(two_changes.now) <= SOON
        assert two_changes.manifest().head_seq == 0
    compactor.step(two_changes.now)
    assert two_changes.manifest().head_seq == 1


def test_a_target_that_another_process_has_just_changed_is_looked_at_again_soon(
    two_changes: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that sees the target as it was before the other's commit may not lock it."""

    @contextmanager
    def changed_meanwhile(connection: sessions.Connection) -> Iterator[None]:
        with sessions.repeatable_read(connection):
            connection.execute("select from imsfeed.target")
            with sessions.connect(two_changes.settings.state(), "other") as other:
                other.execute("update imsfeed.target set review = review")
            yield

    compactor = a_patient_compactor(two_changes)
    with monkeypatch.context() as patched:
        patched.setattr("consumers.publication.delta.repeatable_read", changed_meanwhile)
        assert compactor.step(two_changes.now) <= SOON
    assert two_changes.manifest().head_seq == 0
    compactor.step(two_changes.now)
    assert two_changes.manifest().head_seq == 1
