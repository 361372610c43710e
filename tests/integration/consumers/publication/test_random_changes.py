"""Deltas against the rules: after any changes in any order, they lead to the same records as a full publication."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from consumers.database import sessions, targets_table
from consumers.publication.postgres_view import PostgresView
from ims.rules.roster import roster_of
from ims.source.facts import Fact, Facts
from ims.targets.target_settings import TargetSettings
from tests.support.builders import ORGNR, an_owner
from tests.support.pipeline import Pipeline
from tests.unit.ims.rules.random_facts import FACTS, TARGETS

TABLES = ("schools", "persons", "employees", "groups", "enrolments")
SWITCHED_ON = TARGETS.map(lambda target: msgspec.structs.replace(target, enabled=True, accept_initial=True))


def emptied(dsn: str) -> None:
    with sessions.connect(dsn, "test") as connection:
        rows = connection.execute("select table_name from information_schema.tables where table_schema = 'imsfeed'")
        names = sql.SQL(", ").join(sql.Identifier("imsfeed", name) for (name,) in rows if "migration" not in name)
        connection.execute(sql.SQL("truncate {}").format(names))


def differences(before: Facts, after: Facts, table: str) -> tuple[list[Fact], list[Fact]]:
    """Return the table's new and changed rows, and the removed ones."""
    old, new = getattr(before, table), getattr(after, table)
    return [fact for id_, fact in new.items() if old.get(id_) != fact], [old[id_] for id_ in old.keys() - new.keys()]


def changed(pipeline: Pipeline, before: Facts, after: Facts, order: list[str]) -> None:
    """Commit the differences, a table at a time, and bring the feed up to date after each."""
    for table in order:
        written, removed = differences(before, after, table)
        if written:
            pipeline.commit(*written)
        if removed:
            pipeline.commit(*removed, gone=True)
        pipeline.compact(seconds=1)


def everything_again(pipeline: Pipeline) -> None:
    pipeline.connection.execute("update imsfeed.target set recompute = true")
    pipeline.compact(seconds=1)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / str(number) for number in range(10_000))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=FACTS,
    after=FACTS,
    first=SWITCHED_ON,
    second=SWITCHED_ON,
    days=st.integers(0, 3),
    order=st.permutations(TABLES),
)
def test_deltas_lead_to_what_working_out_everything_gives(
    state_dsn: str,
    folders: Iterator[Path],
    before: Facts,
    after: Facts,
    first: TargetSettings,
    second: TargetSettings,
    days: int,
    order: list[str],
) -> None:
    emptied(state_dsn)
    pipeline = Pipeline(state_dsn, next(folders))
    try:
        targets_table.apply_settings(pipeline.connection, [first], "test")
        pipeline.commit(an_owner(), *(fact for table in TABLES for fact in getattr(before, table).values()))
        pipeline.compact()
        changed(pipeline, before, after, order)
        pipeline.compact(days=days)
        head = pipeline.manifest().head_seq
        everything_again(pipeline)
        assert pipeline.manifest().head_seq == head
        targets_table.apply_settings(pipeline.connection, [second], "test")
        pipeline.compact(days=1)
        pipeline.approve()
        assert pipeline.manifest().state == "ok"
        pipeline.compact(days=1)
        facts = msgspec.structs.replace(after, owner=an_owner())
        today, target = pipeline.now.date(), targets_table.find_target(pipeline.connection, "lms")
        now = roster_of(
            facts,
            second,
            orgnr=ORGNR,
            today=today,
            persons=facts.persons,
            groups=facts.groups,
            published=PostgresView(pipeline.connection, target).published_ids(facts.persons, facts.groups),
        )
        assert pipeline.snapshot().keys() == now.records.keys()
        assert pipeline.verification().problems == []
    finally:
        pipeline.close()
