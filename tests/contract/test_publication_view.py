"""The questions of a publication: PostgreSQL and memory give the same answers for any facts and histories."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from consumers.database import targets_table
from consumers.database.targets_table import TargetRow
from consumers.facts.pending_changes import Days, Pending, as_changed
from consumers.holds import holds_store
from consumers.publication.postgres_view import PostgresView
from consumers.publication.view import Ids, View
from consumers.published.logins_store import digest
from consumers.replay.memory_target import MemoryTarget
from consumers.replay.memory_view import MemoryView
from ims.holds.limits import PublishedCounts
from ims.publication.gathered import Scope
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings
from tests.integration.consumers.publication.test_random_changes import (
    SWITCHED_ON,
    TABLES,
    changed,
    differences,
    emptied,
)
from tests.support.builders import an_owner
from tests.support.pipeline import Pipeline
from tests.unit.ims.rules.random_facts import FACTS, LOGINS

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every example is a state database of its own, and takes a second."""
NUMBERS = st.frozensets(st.integers(0, 7), max_size=5)
TIGHT = {name: 0 for name in TargetSettings.__struct_fields__ if name.startswith("hold_")}


class Asked(NamedTuple):
    """The running numbers in the questions, and the days that have passed, with days of lead and grace."""

    persons: frozenset[int]
    groups: frozenset[int]
    schools: frozenset[int]
    passed: int
    lead: int
    grace: int


ASKED = st.builds(Asked, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 4), st.integers(0, 2), st.integers(0, 2))


class Both(NamedTuple):
    """A state in PostgreSQL and the same state in memory, with all ids that occur in it."""

    postgres: PostgresView
    memory: MemoryView
    ids: list[str]
    today: date

    def agree(self, question: str, *arguments: Any) -> Any:
        """Return the answer to a question, and check that both views give it."""
        one, other = (plain(getattr(view, question)(*arguments)) for view in (self.postgres, self.memory))
        assert one == other, question
        return one


def plain(answer: object) -> object:
    """Return the answer without its order, which has no meaning."""
    if isinstance(answer, Scope):
        return sorted(answer.persons), sorted(answer.groups)
    return sorted(answer) if isinstance(answer, list) else answer


def in_memory(pipeline: Pipeline, row: TargetRow, facts: Facts) -> MemoryView:
    """Return a view in memory with the content of the state database."""
    target, connection = MemoryTarget(row.target_id, row.settings, ""), pipeline.connection
    target.position = row.position
    rows = connection.execute("select kind, id, member, xml, person_id, group_id from imsfeed.published").fetchall()
    for kind, id_, member, xml, person, group in rows:
        key = RecordKey(RecordKind(kind), id_, member)
        target.published[key], target.subjects[key] = xml, (person, group)
    excluded = connection.execute("select kind, id, reason from imsfeed.exclusion").fetchall()
    target.excluded = {(RecordKind(kind), id_): Reason(reason) for kind, id_, reason in excluded}
    logins = {digest(login): login for login in LOGINS + [f"ada{n}@example.org" for n in range(1, 6)]}
    for person, sha256, holder in connection.execute("select person_id, login, holder_id from imsfeed.login_conflict"):
        target.denied[person] = {**target.denied.get(person, {}), logins[bytes(sha256)]: holder}
    for sha256, person, day in connection.execute("select login, person_id, left_on from imsfeed.former_login"):
        target.former_logins[logins[bytes(sha256)]] = (person, day)
    target.waiting = holds_store.waiting(connection, row.target_id)
    target.departures = holds_store.departures(connection, row.target_id, pipeline.now - timedelta(days=9))
    return MemoryView(facts, target)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / str(number) for number in range(10_000))


def ask_about_facts(both: Both, persons: frozenset[int], groups: frozenset[int]) -> None:
    both.agree("facts", persons, groups)
    both.agree("facts", persons, ())
    both.agree("facts", persons, None)
    both.agree("course_groups")
    both.agree("with_same_national_id", persons)


def ask_about_changes(both: Both, changes: Pending, days: Days) -> None:
    for passed in (None, days):
        groups = both.agree("affected_groups", changes, passed)
        both.agree("affected_persons", changes, groups, passed)
    both.agree("everything")


def ask_about_published(both: Both, scope: Scope, some: frozenset[int]) -> None:
    both.agree("published", scope)
    ids = [id_ for number, id_ in enumerate(both.ids) if number % 8 in some]
    for old_ids in (False, True):
        both.agree("related", Ids(ids, ids[::2], ids, old_ids=old_ids, free_logins=LOGINS[::2]))
    both.agree("login_holders", LOGINS)
    both.agree("published_ids", scope.persons, scope.groups)
    for enough in (0, 2, 100):
        both.agree("published_counts", PublishedCounts(enough, enough))


def ask_about_holds(both: Both, scope: Scope, now: datetime) -> None:
    both.agree("held", scope)
    both.agree("held", Scope([], []))
    both.agree("departures", now)
    both.agree("departures", now + timedelta(days=1))


@settings(
    max_examples=40, deadline=None, phases=NO_SHRINKING, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    before=FACTS,
    after=FACTS,
    target=SWITCHED_ON,
    tight=st.booleans(),
    asked=ASKED,
    turns=st.permutations(TABLES),
)
def test_postgresql_and_memory_give_the_same_answers(
    state_dsn: str,
    folders: Iterator[Path],
    before: Facts,
    after: Facts,
    target: TargetSettings,
    tight: bool,
    asked: Asked,
    turns: list[str],
) -> None:
    emptied(state_dsn)
    pipeline = Pipeline(state_dsn, next(folders))
    try:
        wanted = msgspec.structs.replace(target, **(TIGHT if tight else {}))
        targets_table.apply_settings(pipeline.connection, [wanted], "test")
        pipeline.commit(an_owner(), *(fact for table in TABLES for fact in getattr(before, table).values()))
        pipeline.compact()
        changed(pipeline, before, after, turns[:3])
        for table in turns[3:]:  # not published yet
            written, removed = differences(before, after, table)
            for facts, gone in ((written, False), (removed, True)):
                if facts:
                    pipeline.commit(*facts, gone=gone)
        both = views(pipeline)
        scope = Scope(sorted(asked.persons), sorted(asked.groups))
        ask_about_facts(both, asked.persons, asked.groups)
        changes = msgspec.structs.replace(as_changed(asked.persons, asked.groups), schools=asked.schools)
        since = both.today - timedelta(days=asked.passed)
        ask_about_changes(both, changes, Days(since, both.today, asked.lead, asked.grace, asked.passed))
        ask_about_published(both, scope, asked.schools)
        ask_about_holds(both, scope, pipeline.now)
    finally:
        pipeline.close()


def views(pipeline: Pipeline) -> Both:
    row = targets_table.all_targets(pipeline.connection)[0]
    postgres = PostgresView(pipeline.connection, row)
    everything = postgres.everything()
    facts = postgres.facts(range(10), range(10))  # including rows about persons who have not arrived
    memory = in_memory(pipeline, row, facts)
    texts = postgres.published(everything).texts
    numbers = (person.national_id for person in facts.persons.values())
    ids = {key.id for key in texts} | {one.reveal() for one in numbers if one is not None}
    return Both(postgres, memory, sorted(ids), pipeline.now.date())


def test_both_implementations_are_views() -> None:
    def accepts(_: type[View]) -> None: ...

    accepts(PostgresView)
    accepts(MemoryView)
