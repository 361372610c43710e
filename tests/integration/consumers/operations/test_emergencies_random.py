"""Emergency orders among random changes: the deltas give what the rules say, without the persons ordered to leave."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.database import targets_table
from consumers.facts import suppressions
from consumers.operations.emergencies import order
from ims.records.vocabulary import RecordKind
from ims.rules.overrides import with_same_national_id
from ims.rules.roster import roster_of
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings
from tests.integration.consumers.publication.test_random_changes import (
    SWITCHED_ON,
    TABLES,
    changed,
    emptied,
    everything_again,
)
from tests.support.builders import ORGNR, an_owner
from tests.support.pipeline import Pipeline
from tests.unit.ims.rules.random_facts import FACTS

PERSONS = st.frozensets(st.integers(1, 5), max_size=2)


class Orders(NamedTuple):
    """Persons with an emergency order: suppressed before the first publication or later, or ordered to leave now."""

    suppressed_early: frozenset[int]
    suppressed_late: frozenset[int]
    leaving: frozenset[int]


class Changes(NamedTuple):
    """The facts before and after, the order in which the tables change, and the days that pass."""

    before: Facts
    after: Facts
    tables: list[str]
    days: int


ORDERS = st.builds(Orders, PERSONS, PERSONS, PERSONS)
CHANGES = st.builds(Changes, FACTS, FACTS, st.permutations(TABLES), st.integers(0, 3))


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / str(number) for number in range(10_000))


def in_force(pipeline: Pipeline, kind: suppressions.Kind) -> frozenset[int]:
    return frozenset(one.person for one in suppressions.all_in_force(pipeline.connection) if one.kind == kind)


def ordered(pipeline: Pipeline, kind: suppressions.Kind, persons: frozenset[int]) -> None:
    for person in persons:
        order(pipeline.connection, kind, 1, person, "test", "test")


def agrees_with_the_rules(pipeline: Pipeline, known: Facts, target: TargetSettings) -> None:
    facts = msgspec.structs.replace(
        known,
        owner=an_owner(),
        suppressed=in_force(pipeline, "suppressed"),
        leave_now=in_force(pipeline, "leave_now"),
    )
    today = pipeline.now.date()
    now = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    rows = pipeline.connection.execute("select kind, id, member, person_id from imsfeed.published").fetchall()
    assert {row[:3] for row in rows} == {(int(key.kind), key.id, key.member) for key in now.records}
    assert not with_same_national_id(facts, facts.suppressed | facts.leave_now) & {row[3] for row in rows}
    reasons = pipeline.connection.execute("select id, reason from imsfeed.exclusion where kind = 1").fetchall()
    assert dict(reasons) == {id_: reason for (kind, id_), reason in now.excluded.items() if kind is RecordKind.PERSON}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=SWITCHED_ON, changes=CHANGES, orders=ORDERS)
def test_emergency_orders_give_what_the_rules_say(
    state_dsn: str, folders: Iterator[Path], target: TargetSettings, changes: Changes, orders: Orders
) -> None:
    before, after, tables, days = changes
    emptied(state_dsn)
    pipeline = Pipeline(state_dsn, next(folders))
    try:
        targets_table.apply_settings(pipeline.connection, [target], "test")
        pipeline.commit(an_owner(), *(fact for table in TABLES for fact in getattr(before, table).values()))
        ordered(pipeline, "suppressed", orders.suppressed_early)
        pipeline.compact()
        ordered(pipeline, "leave_now", orders.leaving)
        pipeline.compact(seconds=1)
        changed(pipeline, before, after, tables)
        ordered(pipeline, "suppressed", orders.suppressed_late)
        pipeline.compact(days=days)
        pipeline.approve()
        head = pipeline.manifest().head_seq
        everything_again(pipeline)
        assert pipeline.manifest().head_seq == head
        assert in_force(pipeline, "suppressed") == orders.suppressed_early | orders.suppressed_late
        assert in_force(pipeline, "leave_now") <= orders.leaving
        agrees_with_the_rules(pipeline, after, target)
        assert pipeline.verification().problems == []
    finally:
        pipeline.close()
