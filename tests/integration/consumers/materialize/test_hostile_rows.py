"""Rows that PostgreSQL refuses, among rows that it takes."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from consumers.materialize import quarantine_store
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_person
from tests.support.pipeline import Pipeline, row_of

HOSTILE = 5


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    pipeline.close()


def deliver(pipeline: Pipeline, **columns: Any) -> None:
    """Deliver nine persons in one batch; the *columns* are those of the hostile one."""
    pipeline.deliver(
        *(
            encode(
                Envelope(
                    source=Source(schema="public", table="person", epoch=1),
                    op="c",
                    after={**row_of(a_person(number)), **(columns if number == HOSTILE else {})},
                    transaction=Transaction(f"7:{number}", 1, 1, last=True),
                )
            )
            for number in range(1, 10)
        )
    )


def persons(pipeline: Pipeline) -> list[int]:
    return [number for (number,) in pipeline.connection.execute("select id from imsfeed.person order by id")]


def raise_for_the_hostile_row(pipeline: Pipeline, state: str) -> None:
    """Make the server refuse the hostile row with this SQLSTATE."""
    pipeline.connection.execute(
        sql.SQL(
            "create function imsfeed.refuse() returns trigger language plpgsql as $$"
            " begin if new.given_name = 'hostile' then raise exception using errcode = {}; end if; return new; end $$"
        ).format(state)
    )
    pipeline.connection.execute(
        "create trigger refuse before insert or update on imsfeed.person for each row execute function imsfeed.refuse()"
    )


def digits(count: int) -> str:
    """Return digits that PostgreSQL cannot compress into an index."""
    return "".join(random.Random(7).choices("0123456789", k=count))


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"given_name": "A\0da"}, "person.given_name is not a str"),
        ({"id": 2**63}, "person.id is not a int"),
        ({"id": "9" * 5_000}, "person.id is not a int"),
        ({"given_name": None}, "person.given_name is null"),
    ],
    ids=["nul", "number", "long number", "null"],
)
def test_a_hostile_value_is_put_aside_and_the_others_applied(
    pipeline: Pipeline, columns: dict[str, Any], why: str
) -> None:
    deliver(pipeline, **columns)
    assert persons(pipeline) == [1, 2, 3, 4, 6, 7, 8, 9]
    (message,) = quarantine_store.all_quarantined(pipeline.connection)
    assert (message.offset, message.reason, message.detail) == (HOSTILE - 1, "impossible_value", why)


@pytest.mark.parametrize(
    "columns", [{"email": "x" * 4_000_000}, {"national_id": digits(9_000)}], ids=["email", "number"]
)
def test_a_very_long_text_is_applied(pipeline: Pipeline, columns: dict[str, Any]) -> None:
    deliver(pipeline, **columns)
    assert persons(pipeline) == list(range(1, 10))


@pytest.mark.parametrize("state", ["09000", "20000", "21000", "22P05", "23514", "23505", "38000", "44000"])
def test_a_row_refused_by_its_class_is_put_aside(pipeline: Pipeline, state: str) -> None:
    raise_for_the_hostile_row(pipeline, state)
    deliver(pipeline, given_name="hostile")
    assert persons(pipeline) == [1, 2, 3, 4, 6, 7, 8, 9]
    (message,) = quarantine_store.all_quarantined(pipeline.connection)
    assert message.detail == f"PostgreSQL refused it: {state}"


@pytest.mark.parametrize("state", ["54001", "P0001", "XX000", "ZZ999"])
def test_a_row_refused_by_a_limit_or_trigger_is_put_aside(pipeline: Pipeline, state: str) -> None:
    raise_for_the_hostile_row(pipeline, state)
    deliver(pipeline, given_name="hostile")
    assert persons(pipeline) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert pipeline.store.quarantine_size() == 1


@pytest.mark.parametrize("state", ["40001", "42P01", "53100", "57014"])
def test_nothing_is_put_aside_for_what_no_row_causes(pipeline: Pipeline, state: str) -> None:
    raise_for_the_hostile_row(pipeline, state)
    with pytest.raises(psycopg.Error):
        deliver(pipeline, given_name="hostile")
    assert persons(pipeline) == []
    assert pipeline.store.quarantine_size() == 0
