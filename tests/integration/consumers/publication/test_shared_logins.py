"""Logins that several persons have, or that pass between them, published from the state database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumers.database import targets_table
from consumers.operations.exclusions_reader import read_report, read_status
from ims.records.model import PersonRecord
from ims.records.vocabulary import RecStatus
from ims.rules.eligibility import Reason
from ims.rules.normalisation import RecordWarning
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline

ADA, BO, DI = "ada@fjordvik.example", "bo@fjordvik.example", "di@fjordvik.example"


@pytest.fixture(params=["ims", "pifu"])
def pipeline(state_dsn: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path)
    pipeline.target(dialect=request.param, export_path="Eksport.xml", export_shape="tombstones")
    pipeline.commit(an_owner(), a_school(1), a_group(1), *(an_enrolment(n, person=n) for n in range(1, 5)))
    yield pipeline
    pipeline.close()


def a_learner(number: int, login: str | None, **changes: Any) -> Any:
    return a_person(number, feide_name=login, email=None, **changes)


def logins(pipeline: Pipeline, seq: int) -> list[tuple[str | None, RecStatus | None]]:
    records = [(one.record, one.recstatus) for one in pipeline.delta(seq)]
    return [(record.login, recstatus) for record, recstatus in records if isinstance(record, PersonRecord)]


def test_a_swap_is_two_deltas_of_one_publication(pipeline: Pipeline) -> None:
    pipeline.commit(a_learner(1, ADA), a_learner(2, BO))
    pipeline.compact()
    pipeline.commit(a_learner(1, BO), a_learner(2, ADA))
    pipeline.compact(seconds=1)
    assert logins(pipeline, 1) == [("imsfeed-1", RecStatus.CHANGED), (ADA, RecStatus.CHANGED)]
    assert logins(pipeline, 2) == [(BO, RecStatus.CHANGED)]
    assert pipeline.verification().problems == []


def test_a_shared_login_is_given_to_the_second_when_the_first_gives_it_up(pipeline: Pipeline) -> None:
    pipeline.commit(a_learner(1, ADA), a_learner(2, ADA.upper()), a_learner(3, ADA))
    pipeline.compact()
    row = targets_table.find_target(pipeline.connection, "lms")
    report = read_report(pipeline.connection, row, datetime.now(UTC))
    assert [(one.id, one.warning, one.others) for one in report.warned] == [
        (2, RecordWarning.LOGIN_TAKEN, ("1 Ada Testesen 1",)),
        (3, RecordWarning.LOGIN_TAKEN, ("1 Ada Testesen 1",)),
    ]
    assert read_status(pipeline.connection, row, 2).warnings == (RecordWarning.LOGIN_TAKEN,)
    pipeline.commit(a_learner(1, DI))
    pipeline.compact(seconds=1)
    assert logins(pipeline, 1) == [(DI, RecStatus.CHANGED), (ADA, RecStatus.CHANGED)]


def test_a_leavers_login_is_reserved_for_a_year(pipeline: Pipeline) -> None:
    pipeline.commit(a_learner(1, ADA), a_learner(2, BO))
    pipeline.compact()
    pipeline.commit(an_enrolment(1), gone=True)
    pipeline.compact(seconds=1)
    pipeline.commit(a_learner(3, ADA))
    pipeline.compact(seconds=1)
    assert logins(pipeline, 2) == [(None, RecStatus.NEW)]
    pipeline.compact(days=364)
    pipeline.compact(days=1)
    assert logins(pipeline, pipeline.manifest().head_seq) == [(ADA, RecStatus.CHANGED)]


def test_both_registrations_with_one_number_are_listed_together(pipeline: Pipeline) -> None:
    pipeline.commit(a_learner(1, ADA))
    pipeline.compact()
    pipeline.commit(a_learner(2, BO, national_id=a_birth_number(1)))
    pipeline.compact(seconds=1)
    assert pipeline.manifest().head_seq == 0, "the one who did nothing keeps all access"
    row = targets_table.find_target(pipeline.connection, "lms")
    report = read_report(pipeline.connection, row, datetime.now(UTC))
    shared = [(one.id, one.others) for one in report.excluded if one.reason is Reason.DUPLICATE_ID]
    assert shared == [(2, ("1 Ada Testesen 1",))]
    assert [(one.id, one.warning, one.others) for one in report.warned] == [
        (1, RecordWarning.REGISTERED_TWICE, ("2 Ada Testesen 2",))
    ]
