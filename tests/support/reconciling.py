"""A pipeline with a source and the nightly reconciliation beside it, and the findings of that."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from consumers.compact.process import Compactor
from consumers.reconciliation import source_reader
from consumers.reconciliation.facts import FactsComparison
from consumers.reconciliation.nightly import NightlyReconciliation
from consumers.reconciliation.results_store import Checked, ReconciliationStatus, latest
from consumers.reconciliation.run import Run, reconcile
from consumers.reconciliation.source_reader import SourceReader
from ims.runtime.lifecycle import Stop
from ims.source.facts import Fact
from ims.source.mapping import REFERENCE_MAPPING
from tests.support.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Immediately, Pipeline, row_of, table_of

_FAR = 1 << 40
"""A position beyond that of any test's source."""


class ReconciledPipeline(Pipeline):
    """A pipeline with a source and the nightly reconciliation beside it. Without *source_dsn* none is configured."""

    def __init__(self, dsn: str, folder: Path, source_dsn: str | None) -> None:
        super().__init__(dsn, folder)
        self.settings = self.settings.model_validate(
            self.settings.model_dump() | {"reconcile_source_dsn": source_dsn, "kafka_topic": "test"}
        )
        self._lsn = count(_FAR)
        reconciliation = NightlyReconciliation(
            self.settings, REFERENCE_MAPPING, self.metrics, Immediately(), Stop(), again_seconds=0
        )
        self.compactor = Compactor(self.settings, self.metrics, self.connection, Immediately(), None, reconciliation)
        self.source = psycopg.connect(source_dsn or dsn, autocommit=True)

    def close(self) -> None:
        """End the sessions."""
        self.source.close()
        super().close()

    def write(self, *facts: Fact) -> None:
        """Insert rows into the source, or replace them."""
        for fact in facts:
            row = row_of(fact)
            key = sql.SQL(", ").join(sql.Identifier(name) for name in ("owner_id", "id") if name in row)
            changes = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in row)
            self.source.execute(
                sql.SQL("insert into {} ({}) values ({}) on conflict ({}) do update set {}").format(
                    sql.Identifier(table_of(fact)),
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join(sql.Placeholder() for _ in row),
                    key,
                    changes,
                ),
                list(row.values()),
            )

    def change(self, *facts: Fact) -> None:
        """Write rows to the source, and let them arrive in the state database."""
        self.write(*facts)
        self.commit(*facts)

    def night(self) -> dict[str, ReconciliationStatus]:
        """Let a day pass, with its snapshot, reconciliation and repairs, and return the findings."""
        self.compact(days=1)
        return self.last()

    def last(self) -> dict[str, ReconciliationStatus]:
        """Return the findings of the last reconciliation, by check."""
        (target,) = self.connection.execute("select target_id from imsfeed.target").fetchone() or (0,)
        return {one.check: one for one in latest(self.connection, target)}

    def reconcile(self) -> list[Checked]:
        """Reconcile the target now."""
        return reconcile(self.connection, self.settings, REFERENCE_MAPPING, 1, self.now, Run(lambda _seconds: False))

    def differences(self, check: str) -> float:
        """Return the metric's value of a check, after the metric has been set again."""
        self.compact(seconds=31)
        return float(self.metrics.reconciliation_differences.labels(check)._value.get())

    def execute(self, query: str, *parameters: Any) -> None:
        """Change the state database by hand."""
        assert self.connection.execute(query.encode(), parameters).rowcount == 1


def fill(pipeline: ReconciledPipeline) -> ReconciledPipeline:
    """Publish groups 1 and 2, learner 1 in both, learner 2 in group 2, teacher 3 of group 1; let a first night pass."""
    pipeline.target()
    pipeline.change(an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2), a_person(3))
    pipeline.change(an_enrolment(1, person=1, group=1), an_enrolment(2, person=1, group=2))
    pipeline.change(an_enrolment(3, person=2, group=2), an_employee(1, person=3))
    pipeline.change(an_enrolment(4, person=3, group=1, role="teacher"))
    pipeline.compact()
    pipeline.night()
    return pipeline


def outcomes(found: dict[str, ReconciliationStatus]) -> dict[str, tuple[str, int | None]]:
    """Return the outcome and the number of differences of each check."""
    return {check: (one.outcome, one.differences) for check, one in found.items()}


def compare_facts(pipeline: ReconciledPipeline, pause: Callable[[float], bool]) -> Checked:
    """Compare the owner's facts with the source; *pause* is called in place of every wait."""
    with source_reader.connect(pipeline.settings.reconcile_source_dsn.get_secret_value()) as session:  # type: ignore[union-attr]
        reader = SourceReader(session, "public", "imsfeed", REFERENCE_MAPPING)
        return FactsComparison(pipeline.connection, reader, "test", 0, pause).check(1, again_seconds=0)
