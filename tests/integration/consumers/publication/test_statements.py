"""A small publication needs few statements on the state database: each one is a round trip."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from consumers.publication.delta import publish_delta
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline

PERSONS = range(1, 30)
MOST = {"a changed name": 27, "a leaver": 30, "a new person": 28, "a changed id": 31}
"""Statements, ``begin`` and ``commit`` included."""


@pytest.fixture(params=["ims", "pifu"])
def pipeline(state_dsn: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path)
    pipeline.target(dialect=request.param, hold_hour_persons=100, hold_day_persons=100)
    pipeline.commit(an_owner(), a_school(1), a_group(1), *map(a_person, PERSONS), *map(enrolled, PERSONS))
    pipeline.compact()
    yield pipeline
    pipeline.close()


def enrolled(person: int) -> Any:
    return an_enrolment(person, person=person)


def statements(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> int:
    """Publish, and return the number of statements, ``begin`` and ``commit`` included."""
    asked = []
    real = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *others: Any, **options: Any) -> Any:
        asked.append(query)
        return real(self, query, *others, **options)

    with monkeypatch.context() as context:
        context.setattr(psycopg.Cursor, "execute", counted)
        publication = publish_delta(pipeline.connection, 1, pipeline.now, 0)
    assert publication is not None
    assert len(publication.entries) == 1
    return len(asked) + 2


def test_a_changed_name_needs_few_statements(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.commit(a_person(1, given_name="Ny"))
    assert statements(pipeline, monkeypatch) <= MOST["a changed name"]


def test_a_leaver_needs_few_statements(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.commit(an_enrolment(2, person=2), gone=True)
    assert statements(pipeline, monkeypatch) <= MOST["a leaver"]


def test_a_new_person_needs_few_statements(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.commit(a_person(40), an_enrolment(40, person=40))
    assert statements(pipeline, monkeypatch) <= MOST["a new person"]


def test_a_changed_id_needs_few_statements(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.commit(a_person(3, national_id=a_birth_number(77)))
    assert statements(pipeline, monkeypatch) <= MOST["a changed id"]
