"""PostgreSQL reads our array literal as it reads the list that psycopg sends."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, LiteralString

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.database import sessions
from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection

TRICKY = [
    "", " ", "NULL", "null", "{}", "{a,b}", ",", '"', "\\", '\\"', "\\n", "\n", "\t\r\f\b\v", "\x01\x1f\x7f\x85",
    " a ", "a,b", "'", "''", "%s", "$1", "æøå", "Šuoŋŋal", "名前", "🎓", "\u2028", "\ufeff",
]  # fmt: skip

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.sampled_from(TRICKY)
COLUMNS: list[tuple[LiteralString, st.SearchStrategy[Any]]] = [
    ("text[]", TEXTS),
    ("text[]", st.text(alphabet='\\"{},nu \n', max_size=6)),
    ("bigint[]", st.integers(-(2**63), 2**63 - 1)),
    ("boolean[]", st.booleans()),
    ("date[]", st.dates()),
    ("timestamptz[]", st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))),  # noqa: DTZ001 - hypothesis adds the zone
]


@pytest.fixture
def connection(state_dsn: str) -> Iterator[Connection]:
    with sessions.connect(state_dsn, "test") as connection:
        yield connection


@pytest.mark.parametrize(("kind", "elements"), COLUMNS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_array_is_read_as_it_was_written(
    connection: Connection, kind: LiteralString, elements: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.none() | elements, max_size=20))
    query = f"select a, a is not distinct from b from (select %s::{kind}, %s::{kind}) t(a, b)"  # noqa: S608 - a type of ours
    assert connection.execute(query, (array_literal(values), values)).fetchone() == (values, True)


def test_every_tricky_text_is_read_as_it_was_written(connection: Connection) -> None:
    texts = [*TRICKY, None, *(a + b for a in TRICKY for b in TRICKY)]
    assert connection.execute("select %s::text[]", (array_literal(texts),)).fetchone() == (texts,)


def test_the_first_and_the_last_day_are_read_back(connection: Connection) -> None:
    days = [date.min, None, date.max]
    assert connection.execute("select %s::date[]", (array_literal(days),)).fetchone() == (days,)


def test_a_nul_is_refused_before_it_is_sent(connection: Connection) -> None:
    with pytest.raises(psycopg.DataError):
        connection.execute("select %s::text[]", (array_literal(["a\0b"]),))
