"""The comparison of the published records with the rules: pending changes and holds are no differences."""

import psycopg

from consumers.database import targets_table
from consumers.reconciliation.rules import check_rules
from tests.support.builders import a_group, a_person, an_enrolment
from tests.support.reconciling import ReconciledPipeline


def test_pending_changes_are_no_difference(pipeline: ReconciledPipeline) -> None:
    pipeline.change(
        a_person(1, given_name="Ny"), an_enrolment(3, person=2, group=2, status="withdrawn"), a_group(2, name="X")
    )
    assert {one.check: one.outcome for one in pipeline.reconcile()} == {"files": "ok", "rules": "ok", "source": "ok"}
    pipeline.execute("update imsfeed.published set xml = replace(xml, 'Ada', 'Eva') where kind = 1 and person_id = 3")
    assert check_rules(pipeline.connection, 1).details == ("person 3",)


def test_a_person_on_hold_is_no_difference(pipeline: ReconciledPipeline) -> None:
    limits = {"hold_hour_persons": 0, "hold_hour_persons_percent": 0}
    targets_table.set_settings(pipeline.connection, "lms", limits, "test")
    pipeline.compact(seconds=1)
    pipeline.change(an_enrolment(3, person=2, group=2, status="withdrawn"))
    pipeline.compact(seconds=1)
    assert pipeline.manifest().state == "held"
    assert check_rules(pipeline.connection, 1).outcome == "ok"
    pipeline.execute("update imsfeed.hold set ended_at = now()")
    assert check_rules(pipeline.connection, 1).details == ("person 2",)


def test_reached_but_unpublished_dates_are_no_difference(pipeline: ReconciledPipeline) -> None:
    pipeline.change(an_enrolment(3, person=2, group=2, ends_on=pipeline.now.date()))
    pipeline.compact(minutes=5)
    pipeline.now = pipeline.now.replace(day=pipeline.now.day + 2)
    assert check_rules(pipeline.connection, 1).outcome == "ok"


def test_the_comparison_never_waits_for_the_targets_lock(pipeline: ReconciledPipeline, state_dsn: str) -> None:
    with psycopg.connect(state_dsn) as other:
        other.execute("select from imsfeed.target for update")
        assert check_rules(pipeline.connection, 1).outcome == "ok"
