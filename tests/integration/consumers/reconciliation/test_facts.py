"""The comparison of the facts with the source: it finds every difference, and ignores changes on their way."""

from itertools import count
from pathlib import Path

import pytest

from consumers.reconciliation.run import Run, reconcile
from ims.source.mapping import REFERENCE_MAPPING, parse_mapping
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.reconciling import ReconciledPipeline, compare_facts


@pytest.mark.parametrize(
    ("by_hand", "said"),
    [
        ("update imsfeed.person set given_name = 'Eva' where id = 1", "person 1: differs in given_name"),
        ("delete from imsfeed.enrolment where id = 3", "enrolment 3: is missing"),
        (
            "insert into imsfeed.school select owner_id, 99, 'N', null, 'V', source_epoch from imsfeed.school",
            "school 99: is not in the source",
        ),
    ],
)
def test_a_differing_fact_is_named_by_table_number_and_column(
    pipeline: ReconciledPipeline, by_hand: str, said: str
) -> None:
    pipeline.execute(by_hand)
    found = pipeline.night()["source"]
    assert (found.outcome, found.details) == ("differs", [said])
    assert found.repair == "none: this role may not ask for it; run `imsfeed resync 1`"
    assert pipeline.differences("source") == 1


def test_a_resync_is_requested_once_where_permitted(pipeline: ReconciledPipeline) -> None:
    pipeline.source.execute(
        "create schema imsfeed; create table imsfeed.resync"
        " (owner_id int, requested_at timestamptz, requested_by text, done_at timestamptz)"
    )
    pipeline.execute("delete from imsfeed.enrolment where id = 3")
    assert pipeline.night()["source"].repair == "a resync of owner 1 is asked for"
    pipeline.compact(hours=1)
    rows = pipeline.source.execute("select owner_id, requested_by from imsfeed.resync").fetchall()
    assert rows == [(1, "reconciliation")]


def test_a_change_on_its_way_is_waited_for(pipeline: ReconciledPipeline) -> None:
    pipeline.connection.execute("update imsfeed.topic_partition set commit_lsn = 1")
    pipeline.progress = pipeline.store.progress(0) or pipeline.progress
    pipeline.write(a_person(2, given_name="Ny"))

    def arrives(seconds: float) -> bool:
        pipeline.commit(a_person(2, given_name="Ny"))
        return seconds == 0  # a second comparison, needed only if the first one came too early, is stopped

    assert compare_facts(pipeline, arrives).outcome == "ok"


def test_a_row_changed_during_the_comparison_is_compared_again(pipeline: ReconciledPipeline) -> None:
    pipeline.connection.execute("update imsfeed.topic_partition set commit_lsn = 1")
    pipeline.progress = pipeline.store.progress(0) or pipeline.progress
    paused: list[float] = []

    def changes_meanwhile(seconds: float) -> bool:
        if not paused:
            pipeline.change(a_person(2, given_name="Ny"))
        paused.append(seconds)
        return False

    assert compare_facts(pipeline, changes_meanwhile).outcome == "ok"
    assert len(paused) == 2  # until the position was passed, and before the second look


def test_a_constantly_changing_row_is_no_difference(pipeline: ReconciledPipeline) -> None:
    names = (f"Ny {number}" for number in count())

    def changes_again(_seconds: float) -> bool:
        pipeline.write(a_person(2, given_name=next(names)))
        return False

    pipeline.write(a_person(2, given_name="Ny"))
    assert compare_facts(pipeline, changes_again).outcome == "ok"


def test_a_lagging_state_leaves_the_comparison_unfinished(pipeline: ReconciledPipeline) -> None:
    pipeline.connection.execute("update imsfeed.topic_partition set commit_lsn = 1")
    assert compare_facts(pipeline, lambda _seconds: True).outcome == "unfinished"


def test_an_incomplete_source_transaction_is_waited_for(pipeline: ReconciledPipeline) -> None:
    pipeline.write(a_person(1, given_name="Ny"), a_person(2, given_name="Ny"))
    pipeline.commit(a_person(1, given_name="Ny"), whole=False)

    def arrives(seconds: float) -> bool:
        pipeline.commit(a_person(2, given_name="Ny"))
        return seconds == 0  # a second comparison, needed only if the first one came too early, is stopped

    assert compare_facts(pipeline, arrives).outcome == "ok"


def test_differently_written_equal_values_are_no_difference(pipeline: ReconciledPipeline) -> None:
    pipeline.change(a_group(3), an_enrolment(9, person=1, group=3))
    pipeline.source.execute("update course_group set ends_on = 'infinity', starts_on = '-infinity' where id = 3")
    pipeline.change(*(a_person(number, feide_name=None) for number in (1, 2, 3)))
    pipeline.source.execute("alter table person alter feide_name type char(40)")
    pipeline.source.execute("update person set feide_name = 'ada@fjordvik.no' where id = 1")
    pipeline.commit(a_group(3, starts_on=None, ends_on=None), a_person(1, feide_name="ada@fjordvik.no".ljust(40)))
    assert compare_facts(pipeline, lambda _seconds: False).outcome == "ok"


def test_a_row_that_cannot_be_a_fact_is_no_difference(pipeline: ReconciledPipeline) -> None:
    pipeline.source.execute("alter table person alter protected type text")
    pipeline.source.execute("update person set protected = 'perhaps' where id = 1")
    assert compare_facts(pipeline, lambda _seconds: False).outcome == "ok"


def test_rows_that_cannot_be_read_are_counted_beside_the_result(pipeline: ReconciledPipeline) -> None:
    pipeline.source.execute("alter table person alter protected type text")
    pipeline.source.execute("update person set protected = 'perhaps' where id = 1")
    (detail,) = compare_facts(pipeline, lambda _seconds: False).details
    assert detail.startswith("person: 1 rows cannot be read and were not compared")


def test_a_comparison_of_nothing_is_not_ok(pipeline: ReconciledPipeline) -> None:
    pipeline.source.execute("alter table person rename given_name to fornavn")
    found = compare_facts(pipeline, lambda _seconds: False)
    assert (found.outcome, found.differences) == ("unfinished", None)
    assert "no row of person can be read by this mapping" in found.details[0]
    pipeline.source.execute("delete from owner; delete from school; delete from person; delete from employee")
    pipeline.source.execute("delete from course_group; delete from enrolment")
    found = compare_facts(pipeline, lambda _seconds: False)
    assert (found.outcome, found.details) == (
        "unfinished",
        ("the source has no row of owner 1, so that nothing was compared",),
    )


def test_another_mapping_than_the_facts_were_made_with_compares_nothing(pipeline: ReconciledPipeline) -> None:
    mapping = parse_mapping("[person]\nvalues.protected = { J = true }")
    run = Run(lambda _seconds: False)
    found = reconcile(pipeline.connection, pipeline.settings, mapping, 1, pipeline.now, run)[2]
    assert (found.outcome, found.differences) == ("unfinished", None)
    assert "the facts were made with another mapping" in found.details[0]
    pipeline.connection.execute("update imsfeed.topic_partition set mapping_digest = null")
    assert pipeline.reconcile()[2].outcome == "unfinished"


def test_a_role_that_is_read_only_by_default_requests_a_resync(pipeline: ReconciledPipeline) -> None:
    pipeline.source.execute(
        "create schema imsfeed; create table imsfeed.resync"
        " (owner_id int, requested_at timestamptz, requested_by text, done_at timestamptz);"
        " alter role current_user set default_transaction_read_only = on"
    )
    try:
        pipeline.execute("delete from imsfeed.enrolment where id = 3")
        found = pipeline.reconcile()[2]
    finally:
        pipeline.source.execute("alter role current_user reset default_transaction_read_only")
    assert (found.details, found.repair) == (("enrolment 3: is missing",), "a resync of owner 1 is asked for")


def test_a_role_that_may_store_nothing_shows_the_differences(pipeline: ReconciledPipeline) -> None:
    pipeline.execute("update imsfeed.person set given_name = 'Eva' where id = 1")
    pipeline.connection.execute("set default_transaction_read_only = on")
    found = pipeline.reconcile()
    assert found[2].details == ("person 1: differs in given_name",)
    assert (found[0].repair or "").startswith("not stored, and no repair begun")


def test_without_a_source_the_comparison_is_skipped(state_dsn: str, tmp_path: Path) -> None:
    pipeline = ReconciledPipeline(state_dsn, tmp_path / "feed", None)
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    found = pipeline.last()
    assert (found["source"].outcome, found["source"].details) == ("skipped", ["RECONCILE_SOURCE_DSN is not set"])
    pipeline.close()


def test_an_unreachable_source_leaves_the_comparison_unfinished(pipeline: ReconciledPipeline) -> None:
    nowhere = {"reconcile_source_dsn": "postgresql://reader:secret@127.0.0.1:1/none"}
    settings = pipeline.settings.model_validate(pipeline.settings.model_dump() | nowhere)
    found = reconcile(pipeline.connection, settings, REFERENCE_MAPPING, 1, pipeline.now, Run(lambda _seconds: False))
    assert found[2].outcome == "unfinished"
    assert "secret" not in str(found)
