"""The first publication, worked out part by part: the same as everything worked out in one step."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from consumers.compact.timing import IMMEDIATELY
from consumers.database.notifications import CHANNEL
from consumers.facts import suppressions
from consumers.publication import gathering
from consumers.publication.first_publication import publish_first
from consumers.published import published_store
from ims.publication.login_holders import LoginHolders, with_logins
from ims.publication.logins import Before, assigned
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Fact, Facts
from ims.targets.target_settings import TargetSettings
from ims.xml.writer import fragment
from tests.integration.consumers.publication.test_random_changes import SWITCHED_ON, TABLES, emptied
from tests.support.builders import (
    ORGNR,
    a_birth_number,
    a_d_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
    facts_of,
)
from tests.support.pipeline import NOON, Pipeline
from tests.unit.ims.rules.random_facts import FACTS

WANTED = {
    "plain": a_target(),
    "with schools as groups": a_target(org_groups=True),
    "by code, all without a national id too": a_target(group_id="{code}", include_without_national_id=True),
    "PIFU-IMS": a_target(dialect="pifu", person_id="running"),
}
"""Targets that need different things of groups and persons."""


@pytest.fixture(autouse=True)
def parts_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "CHUNK", 2)


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    yield pipeline
    pipeline.close()


def rows(facts: Facts) -> list[Fact]:
    return [an_owner(), *(fact for table in TABLES for fact in getattr(facts, table).values())]


def everything_in_one_step(facts: Facts, target: TargetSettings) -> Roster:
    facts = msgspec.structs.replace(facts, owner=an_owner())
    roster = roster_of(facts, target, orgnr=ORGNR, today=NOON.date(), persons=facts.persons, groups=facts.groups)
    assignment = assigned(Before(), roster.records, roster.subjects, LoginHolders(), reserve=False)
    return with_logins(roster, assignment.records, assignment.denied.keys(), {}, target)


def published_rows(pipeline: Pipeline) -> list[tuple[object, ...]]:
    query = "select kind, id, member, person_id, group_id, xml from imsfeed.published order by 1, 2, 3"
    return pipeline.connection.execute(query).fetchall()


def expected_rows(roster: Roster, target: TargetSettings) -> list[tuple[object, ...]]:
    return [
        (int(key.kind), key.id, key.member, *roster.subjects[key], fragment(record, dialect=target.dialect))
        for key, record in sorted(roster.records.items())
    ]


def check_that_it_is_the_same(pipeline: Pipeline, facts: Facts, target: TargetSettings) -> None:
    roster = everything_in_one_step(facts, target)
    assert published_rows(pipeline) == expected_rows(roster, target)
    excluded = pipeline.connection.execute("select kind, id, reason, since from imsfeed.exclusion").fetchall()
    assert {(RecordKind(kind), id_): (reason, since) for kind, id_, reason, since in excluded} == {
        key: (reason.value, NOON) for key, reason in roster.excluded.items()
    }
    warnings = pipeline.connection.execute("select kind, id, warning from imsfeed.warning").fetchall()
    assert {(RecordKind(kind), id_, warning) for kind, id_, warning in warnings} == {
        (*key, warning.value) for key, all_ in roster.warnings.items() for warning in all_
    }


def a_school_owner() -> Facts:
    """Return two schools, six groups, and many kinds of persons; same-id persons are in different parts of two."""
    protected_twin = a_person(9, national_id=a_birth_number(4), protected=True)
    return facts_of(
        *(a_school(1), a_school(2)),
        *(a_group(number, school=1 + number % 2) for number in range(1, 5)),
        a_group(5, code="B1"),
        a_group(6, active=False, name="x" * 300),
        *(a_person(number) for number in range(1, 8)),
        a_person(8, national_id=a_birth_number(1)),
        protected_twin,
        a_person(10, national_id=None),
        a_person(11, national_id=a_d_number(1), given_name="A" * 200),
        *(an_employee(person, person=person, school=1 + person % 2) for person in (1, 2, 11)),
        *(
            an_enrolment(10 * person + group, person=person, group=group, role="teacher" if person == 2 else "learner")
            for person in range(1, 12)
            for group in (1 + person % 6, 1 + (person + 1) % 6)
        ),
    )


@pytest.mark.parametrize("wanted", WANTED)
def test_a_publication_in_parts_equals_the_whole(pipeline: Pipeline, wanted: str) -> None:
    facts, target = a_school_owner(), pipeline.target(**msgspec.structs.asdict(WANTED[wanted]))
    pipeline.commit(*rows(facts))
    pipeline.compact()
    check_that_it_is_the_same(pipeline, facts, target)
    manifest = pipeline.manifest()
    assert manifest.snapshot.counts.person == sum(kind == 1 for kind, *_ in published_rows(pipeline)) > 3
    assert pipeline.verification().problems == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS, target=SWITCHED_ON)
def test_a_publication_in_parts_equals_the_whole_for_any_facts(
    state_dsn: str, tmp_path: Path, facts: Facts, target: TargetSettings
) -> None:
    emptied(state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path)
    try:
        pipeline.target(**msgspec.structs.asdict(target))
        pipeline.commit(*rows(facts))
        assert publish_first(pipeline.connection, target_id(pipeline), NOON)
        check_that_it_is_the_same(pipeline, facts, target)
    finally:
        pipeline.close()


def test_a_same_id_person_in_another_part_is_suppressed_too(pipeline: Pipeline) -> None:
    facts = facts_of(a_group(1), *(a_person(n, national_id=a_birth_number(n % 5)) for n in range(1, 8)))
    facts = msgspec.structs.replace(facts, enrolments={n: an_enrolment(n, person=n) for n in range(1, 8)})
    pipeline.target()
    pipeline.commit(*rows(facts))
    pipeline.connection.execute(
        "insert into imsfeed.suppression (owner_id, person_id, kind, ordered_by, known)"
        " values (1, 6, 'suppressed', 'test', true)"
    )
    assert suppressions.in_force(pipeline.connection, 1, [1, 6])["suppressed"] == {6}
    pipeline.compact()
    published = {person for kind, _, _, person, _, _ in published_rows(pipeline) if kind == 1}
    assert published == {3, 4, 5}, "1 and 6 are suppressed, 2 and 7 have one national id"


def test_compact_reports_progress_after_every_part(pipeline: Pipeline) -> None:
    """An owner of a million persons takes longer than the silence after which /healthz calls compact stalled."""
    ticks: list[float] = []
    pipeline.metrics.ticked = ticks.append
    pipeline.target()
    pipeline.commit(*rows(a_school_owner()))
    pipeline.compactor.step(NOON)
    assert len(ticks) == 6, "eleven persons in parts of two"


def test_the_snapshot_and_the_manifest_follow_immediately(pipeline: Pipeline, state_dsn: str) -> None:
    pipeline.target()
    pipeline.commit(*rows(a_school_owner()))
    with psycopg.connect(state_dsn, autocommit=True) as listening:
        listening.execute(f"listen {CHANNEL}")
        assert pipeline.compactor.step(NOON) == IMMEDIATELY
        assert not list(listening.notifies(timeout=0))
        pipeline.compactor.step(NOON)
        assert [notify.channel for notify in listening.notifies(timeout=5, stop_after=1)] == [CHANNEL]
    pipeline.compactor.step(NOON)
    assert pipeline.manifest().snapshot.seq == 0


def test_a_failed_store_publishes_nothing(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = a_school_owner()
    pipeline.target()
    pipeline.commit(*rows(facts))
    store, calls = published_store.store_fragments, iter(range(100))

    def failing(*arguments: object) -> None:
        if next(calls) == 3:
            raise psycopg.OperationalError("the server closed the connection unexpectedly")
        store(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as context:
        context.setattr(published_store, "store_fragments", failing)
        with pytest.raises(psycopg.OperationalError, match="closed"):
            publish_first(pipeline.connection, target_id(pipeline), NOON)
    assert published_rows(pipeline) == []
    assert publish_first(pipeline.connection, target_id(pipeline), NOON)
    check_that_it_is_the_same(pipeline, facts, a_target())


def test_no_part_publishes_a_running_number_that_is_a_national_id(pipeline: Pipeline) -> None:
    number = a_d_number(7)
    pipeline.target(include_without_national_id=True)
    pipeline.commit(an_owner(), a_school(), a_group(), a_person(1), a_person(7, national_id=number))
    pipeline.commit(a_person(int(number), national_id=None), an_enrolment(1), an_enrolment(7, person=7))
    pipeline.commit(an_enrolment(9, person=int(number)))
    pipeline.compact()
    persons = [person for kind, _, _, person, _, _ in published_rows(pipeline) if kind == RecordKind.PERSON]
    assert persons == [1]


def target_id(pipeline: Pipeline) -> int:
    row = pipeline.connection.execute("select target_id from imsfeed.target").fetchone()
    assert row is not None
    return int(row[0])
