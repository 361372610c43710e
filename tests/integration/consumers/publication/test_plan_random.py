"""Plans against publications: for any facts and settings, the next publication does what the plan shows."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from consumers.database import targets_table
from consumers.publication import gathering
from consumers.publication.plan import Plan, plan
from ims.records.vocabulary import RecordKind
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings
from tests.integration.consumers.publication.test_random_changes import SWITCHED_ON, TABLES, differences, emptied
from tests.support.builders import an_owner
from tests.support.pipeline import Pipeline
from tests.unit.ims.rules.random_facts import FACTS


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / str(number) for number in range(10_000))


def members(pipeline: Pipeline) -> set[int]:
    rows = pipeline.connection.execute("select distinct person_id from imsfeed.published where kind = 3").fetchall()
    return {person for (person,) in rows}


def ids(pipeline: Pipeline) -> dict[int, str]:
    return dict(pipeline.connection.execute("select person_id, id from imsfeed.published where kind = 1").fetchall())


def planned(pipeline: Pipeline, target: TargetSettings) -> Plan:
    row = targets_table.find_target(pipeline.connection, "lms")
    return plan(pipeline.connection, row, target, pipeline.now)


Published = dict[tuple[int, str, str], str]


def published(pipeline: Pipeline) -> Published:
    rows = pipeline.connection.execute("select kind, id, member, xml from imsfeed.published").fetchall()
    return {(kind, id_, member): xml for kind, id_, member, xml in rows}


def changed_between(before: Published, after: Published) -> dict[tuple[str, str], int]:
    """Count the new, changed and removed records of each kind; another role is one removed and one new."""
    counts = Counter[tuple[str, str]]()
    for key in before.keys() | after.keys():
        kind, old, new = RecordKind(key[0]).name.lower(), before.get(key), after.get(key)
        if old is not None and new is not None and (old == new or role(old) == role(new)):
            counts[kind, "changed"] += old != new
        else:
            counts[kind, "gone"] += old is not None
            counts[kind, "new"] += new is not None
    return {key: count for key, count in counts.items() if count}


def role(xml: str) -> str | None:
    found = re.search('<role roletype="([^"]*)"', xml)
    return found and found[1]


def excluded(pipeline: Pipeline) -> dict[tuple[str, str], int]:
    rows: list[Any] = pipeline.connection.execute(
        "select kind, reason, count(*) from imsfeed.exclusion group by 1, 2"
    ).fetchall()
    return {(RecordKind(kind).name.lower(), reason): count for kind, reason, count in rows}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=FACTS, after=FACTS, first=SWITCHED_ON, second=SWITCHED_ON)
def test_the_next_publication_does_what_the_plan_said(
    state_dsn: str,
    folders: Iterator[Path],
    monkeypatch: pytest.MonkeyPatch,
    before: Facts,
    after: Facts,
    first: TargetSettings,
    second: TargetSettings,
) -> None:
    emptied(state_dsn)
    monkeypatch.setattr(gathering, "CHUNK", 2)
    pipeline = Pipeline(state_dsn, next(folders))
    try:
        targets_table.apply_settings(pipeline.connection, [first], "test")
        pipeline.commit(an_owner(), *(fact for table in TABLES for fact in getattr(before, table).values()))
        publication = planned(pipeline, first)
        pipeline.compact()
        snapshot = msgspec.structs.asdict(pipeline.manifest().snapshot.counts)
        assert {line.kind: line.count for line in publication.changes} == {k: n for k, n in snapshot.items() if n}
        assert {(one.kind, one.reason.value): one.count for one in publication.excluded} == excluded(pipeline)
        for table in TABLES:
            written, removed = differences(before, after, table)
            for facts, gone in ((written, False), (removed, True)):
                if facts:
                    pipeline.commit(*facts, gone=gone)
        found = planned(pipeline, second)
        was, were, called = published(pipeline), members(pipeline), ids(pipeline)
        targets_table.apply_settings(pipeline.connection, [second], "test")
        pipeline.compact(seconds=1)
        pipeline.approve()
        pipeline.approve(seconds=1)
        assert {(line.kind, line.what): line.count for line in found.changes} == changed_between(
            was, published(pipeline)
        )
        assert found.losing_last_membership == sorted(were - members(pipeline))
        now = ids(pipeline)
        assert found.changed_ids == sorted(p for p, id_ in now.items() if called.get(p, id_) != id_)
        assert {(one.kind, one.reason.value): one.count for one in found.excluded} == excluded(pipeline)
        assert planned(pipeline, second).changes == []
    finally:
        pipeline.close()
