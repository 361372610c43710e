"""The nightly proof finds what was planted, sets the repair going, and is not alarmed by what is on its way."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from typer.testing import CliRunner

from consumers.compact.process import Compactor
from consumers.database import targets_table
from consumers.reconciliation import source_reader
from consumers.reconciliation.facts import FactsComparison
from consumers.reconciliation.nightly import NightlyReconciliation
from consumers.reconciliation.results_store import Checked, ReconciliationStatus, latest
from consumers.reconciliation.rules import check_rules
from consumers.reconciliation.run import Run, reconcile
from consumers.reconciliation.source_reader import SourceReader
from deploy.cli import app
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.runtime.lifecycle import Stop
from ims.source.facts import Fact
from ims.source.mapping import REFERENCE_MAPPING
from tests.support.builders import a_group, a_person, a_school, an_employee, an_enrolment, an_owner
from tests.support.pipeline import Immediately, Pipeline, row_of, table_of

FAR = 1 << 40
"""A position that no source of a test reaches."""


class Proved(Pipeline):
    """A pipeline with a source, and the nightly proof beside it."""

    def __init__(self, dsn: str, folder: Path, source_dsn: str | None) -> None:
        super().__init__(dsn, folder)
        self.settings = self.settings.model_validate(
            self.settings.model_dump() | {"reconcile_source_dsn": source_dsn, "kafka_topic": "test"}
        )
        self._lsn = count(FAR)
        reconciliation = NightlyReconciliation(
            self.settings, REFERENCE_MAPPING, self.metrics, Immediately(), Stop(), again_seconds=0
        )
        self.compactor = Compactor(self.settings, self.metrics, self.connection, Immediately(), None, reconciliation)
        self.source = psycopg.connect(source_dsn or dsn, autocommit=True)

    def close(self) -> None:
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

    def published(self, *facts: Fact) -> None:
        """Rows that are written to the source and arrive."""
        self.write(*facts)
        self.commit(*facts)

    def night(self) -> dict[str, ReconciliationStatus]:
        """A day goes by: snapshot, proof, and what follows from it."""
        self.compact(days=1)
        return self.last()

    def last(self) -> dict[str, ReconciliationStatus]:
        (target,) = self.connection.execute("select target_id from imsfeed.target").fetchone() or (0,)
        return {one.check: one for one in latest(self.connection, target)}

    def reconcile(self) -> list[Checked]:
        """Prove at once."""
        return reconcile(self.connection, self.settings, REFERENCE_MAPPING, 1, self.now, Run(lambda _seconds: False))

    def differences(self, check: str) -> float:
        """What the metric says, which is set now and then."""
        self.compact(seconds=31)
        return float(self.metrics.reconciliation_differences.labels(check)._value.get())

    def execute(self, query: str, *parameters: Any) -> None:
        """Change the state database by hand."""
        assert self.connection.execute(query.encode(), parameters).rowcount == 1


def fill(pipeline: Proved) -> Proved:
    """Groups 1 and 2, learner 1 in both, learner 2 in group 2, teacher 3 of group 1; a first night has gone by."""
    pipeline.target()
    pipeline.published(an_owner(), a_school(1), a_group(1), a_group(2), a_person(1), a_person(2), a_person(3))
    pipeline.published(an_enrolment(1, person=1, group=1), an_enrolment(2, person=1, group=2))
    pipeline.published(an_enrolment(3, person=2, group=2), an_employee(1, person=3))
    pipeline.published(an_enrolment(4, person=3, group=1, role="teacher"))
    pipeline.compact()
    pipeline.night()
    return pipeline


@pytest.fixture
def pipeline(state_dsn: str, source_dsn: str, tmp_path: Path) -> Iterator[Proved]:
    pipeline = Proved(state_dsn, tmp_path / "feed", source_dsn)
    yield fill(pipeline)
    pipeline.close()


def id_of(person: int) -> str:
    national_id = a_person(person).national_id
    assert national_id is not None
    return national_id.reveal()


def outcomes(found: dict[str, ReconciliationStatus]) -> dict[str, tuple[str, int | None]]:
    return {check: (one.outcome, one.differences) for check, one in found.items()}


ALL_OK = {"files": ("ok", 0), "rules": ("ok", 0), "source": ("ok", 0)}


def test_a_feed_in_order_is_reconciled_after_every_scheduled_snapshot(pipeline: Proved) -> None:
    attempts = pipeline.metrics.reconciliation_attempts._value.get()
    pipeline.published(an_enrolment(1, person=1, group=1, status="withdrawn"))
    assert outcomes(pipeline.night()) == ALL_OK
    pipeline.compact(hours=2)
    assert pipeline.metrics.reconciliation_attempts._value.get() == attempts + 1
    assert (
        pipeline.metrics.reconciliation_last_success_timestamp_seconds._value.get()
        >= pipeline.now.timestamp() - 3 * 3600
    )
    assert pipeline.reconciliation().problems == []


def test_a_record_changed_by_hand_is_published_right_next(pipeline: Proved) -> None:
    pipeline.execute(
        "update imsfeed.published set xml = replace(xml, '>Ada<', '>Eva<') where kind = 1 and person_id = 1"
    )
    with structlog.testing.capture_logs() as logs:
        found = pipeline.night()
    assert (found["rules"].outcome, found["rules"].details) == ("differs", ["person 1"])
    assert pipeline.differences("rules") == 1
    (said,) = [line for line in logs if line["event"] == "reconciliation" and line["check"] == "rules"]
    assert (said["log_level"], said["details"]) == ("error", ["person 1"])
    assert id_of(1) not in str(logs)
    delta = pipeline.delta(pipeline.manifest().head_seq)
    assert [(record.key, status) for record, status in delta] == [
        (RecordKey(RecordKind.PERSON, id_of(1)), RecStatus.CHANGED)
    ]
    pipeline.compact(hours=1)
    assert outcomes(pipeline.last()) == ALL_OK
    pipeline.compact(minutes=1)
    assert pipeline.differences("rules") == 0


def test_a_record_against_the_rules_is_removed_once_approved(pipeline: Proved) -> None:
    pipeline.execute(
        "insert into imsfeed.published select target_id, kind, 'group-1', member, person_id, 1, xml"
        " from imsfeed.published where kind = 3 and person_id = 2"
    )
    assert pipeline.night()["rules"].details == ["person 2"]
    assert pipeline.manifest().state == "held"
    pipeline.approve()
    pipeline.compact(minutes=1)
    gone = RecordKey(RecordKind.MEMBERSHIP, "group-1", id_of(2))
    delta = pipeline.delta(pipeline.manifest().head_seq)
    assert [(record.key, status) for record, status in delta] == [(gone, RecStatus.GONE)]


def test_a_snapshot_that_contradicts_its_deltas_begins_one_epoch(pipeline: Proved) -> None:
    epoch = pipeline.manifest().epoch
    pipeline.execute("delete from imsfeed.published where kind = 3 and person_id = 2")
    found = pipeline.night()
    wrong = pipeline.last()["files"]
    assert (found["files"].outcome, wrong.differences) == ("differs", 1)
    assert "1 x a membership record is missing" in wrong.details[0]
    assert pipeline.differences("files") == 1
    pipeline.compact(minutes=1)
    published = pipeline.manifest()
    assert published.epoch != epoch
    assert (published.epoch_seq, published.snapshot.seq, published.head_seq) == (1, 1, 2)
    (again,) = pipeline.delta(2)
    assert (again.record.key, again.recstatus) == (
        RecordKey(RecordKind.MEMBERSHIP, "group-2", id_of(2)),
        RecStatus.NEW,
    )
    pipeline.compact(hours=1)
    assert outcomes(pipeline.last()) == ALL_OK
    assert outcomes(pipeline.night()) == ALL_OK
    assert pipeline.manifest().epoch == published.epoch


def test_a_new_epoch_has_nothing_to_repair_in_right_records(pipeline: Proved) -> None:
    epoch = pipeline.manifest().epoch
    pipeline.execute("update imsfeed.published set xml = replace(xml, 'Ada', 'Eva') where kind = 1 and person_id = 1")
    pipeline.execute("update imsfeed.person set given_name = 'Eva' where id = 1")
    pipeline.source.execute("update person set given_name = 'Eva' where id = 1")
    assert outcomes(pipeline.night()) == ALL_OK | {"files": ("differs", 1)}
    pipeline.compact(minutes=1)
    published = pipeline.manifest()
    assert (published.epoch != epoch, published.snapshot.seq, published.head_seq) == (True, 1, 1)
    pipeline.compact(hours=1)
    assert outcomes(pipeline.last()) == ALL_OK
    assert pipeline.manifest().epoch == published.epoch


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"<enterprise/>"), Path.unlink])
def test_a_changed_or_removed_file_is_left_to_a_person(pipeline: Proved, damage: Callable[[Path], object]) -> None:
    pipeline.published(an_enrolment(1, person=1, group=1, status="withdrawn"))
    pipeline.compact(minutes=5)
    pipeline.published(a_group(2, name="Ny"))
    pipeline.compact(minutes=5)
    epoch = pipeline.manifest().epoch
    damage(pipeline.folder() / "deltas/1.xml")
    found = pipeline.night()
    assert found["files"].differences == 1
    assert found["files"].details[0].startswith("deltas/1.xml: ")
    assert found["files"].repair is None
    assert pipeline.manifest().epoch == epoch


def test_an_altered_snapshot_is_found(pipeline: Proved) -> None:
    path = pipeline.folder() / pipeline.manifest().snapshot.path
    path.write_bytes(path.read_bytes().replace(b">Ada<", b">Eva<"))
    assert pipeline.night()["files"].details == [f"snapshots/{path.name}: its digest is not the one recorded"]


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
def test_a_wrong_fact_is_named_by_table_number_and_column(pipeline: Proved, by_hand: str, said: str) -> None:
    pipeline.execute(by_hand)
    found = pipeline.night()["source"]
    assert (found.outcome, found.details) == ("differs", [said])
    assert found.repair == "none: run `imsfeed resync 1`"
    assert pipeline.differences("source") == 1


def test_a_resync_is_asked_for_once_where_that_is_allowed(pipeline: Proved) -> None:
    pipeline.source.execute(
        "create schema imsfeed; create table imsfeed.resync"
        " (owner_id int, requested_at timestamptz, requested_by text, done_at timestamptz)"
    )
    pipeline.execute("delete from imsfeed.enrolment where id = 3")
    assert pipeline.night()["source"].repair == "a resync of owner 1 is asked for"
    pipeline.compact(hours=1)
    rows = pipeline.source.execute("select owner_id, requested_by from imsfeed.resync").fetchall()
    assert rows == [(1, "reconciliation")]


def facts_proof(pipeline: Proved, pause: Callable[[float], bool]) -> Checked:
    with source_reader.connect(pipeline.settings.reconcile_source_dsn.get_secret_value()) as session:  # type: ignore[union-attr]
        reader = SourceReader(session, "public", "imsfeed", REFERENCE_MAPPING)
        return FactsComparison(pipeline.connection, reader, "test", 0, pause).check(1, again_seconds=0)


def test_what_is_on_its_way_is_waited_for(pipeline: Proved) -> None:
    pipeline.connection.execute("update imsfeed.topic_partition set commit_lsn = 1")
    pipeline.progress = pipeline.store.progress(0) or pipeline.progress
    pipeline.write(a_person(2, given_name="Ny"))

    def arrives(seconds: float) -> bool:
        pipeline.commit(a_person(2, given_name="Ny"))
        return seconds == 0  # it would be compared before it is there, and once more

    assert facts_proof(pipeline, arrives).outcome == "ok"


def test_rows_that_changed_meanwhile_are_compared_again(pipeline: Proved) -> None:
    pipeline.connection.execute("update imsfeed.topic_partition set commit_lsn = 1")
    pipeline.progress = pipeline.store.progress(0) or pipeline.progress
    paused: list[float] = []

    def changes_meanwhile(seconds: float) -> bool:
        if not paused:
            pipeline.published(a_person(2, given_name="Ny"))
        paused.append(seconds)
        return False

    assert facts_proof(pipeline, changes_meanwhile).outcome == "ok"
    assert len(paused) == 2  # until the position was passed, and before the second look


def test_a_row_that_always_changes_is_left_alone(pipeline: Proved) -> None:
    names = (f"Ny {number}" for number in count())

    def changes_again(_seconds: float) -> bool:
        pipeline.write(a_person(2, given_name=next(names)))
        return False

    pipeline.write(a_person(2, given_name="Ny"))
    assert facts_proof(pipeline, changes_again).outcome == "ok"


def test_a_state_that_does_not_follow_is_unfinished(pipeline: Proved) -> None:
    pipeline.connection.execute("update imsfeed.topic_partition set commit_lsn = 1")
    assert facts_proof(pipeline, lambda _seconds: True).outcome == "unfinished"


def test_a_partly_arrived_source_transaction_is_waited_for(pipeline: Proved) -> None:
    pipeline.write(a_person(1, given_name="Ny"), a_person(2, given_name="Ny"))
    pipeline.commit(a_person(1, given_name="Ny"), whole=False)

    def arrives(seconds: float) -> bool:
        pipeline.commit(a_person(2, given_name="Ny"))
        return seconds == 0  # it would be compared before it is there, and once more

    assert facts_proof(pipeline, arrives).outcome == "ok"


def test_values_that_only_look_different_are_the_same(pipeline: Proved) -> None:
    pipeline.published(a_group(3), an_enrolment(9, person=1, group=3))
    pipeline.source.execute("update course_group set ends_on = 'infinity', starts_on = '-infinity' where id = 3")
    pipeline.published(*(a_person(number, feide_name=None) for number in (1, 2, 3)))
    pipeline.source.execute("alter table person alter feide_name type char(40)")
    pipeline.source.execute("update person set feide_name = 'ada@fjordvik.no' where id = 1")
    pipeline.commit(a_group(3, starts_on=None, ends_on=None), a_person(1, feide_name="ada@fjordvik.no".ljust(40)))
    assert facts_proof(pipeline, lambda _seconds: False).outcome == "ok"


def test_a_row_that_cannot_be_a_fact_is_left_alone(pipeline: Proved) -> None:
    pipeline.source.execute("alter table person alter protected type text")
    pipeline.source.execute("update person set protected = 'perhaps' where id = 1")
    assert facts_proof(pipeline, lambda _seconds: False).outcome == "ok"


def test_changes_that_are_not_published_yet_are_no_difference(pipeline: Proved) -> None:
    pipeline.published(
        a_person(1, given_name="Ny"), an_enrolment(3, person=2, group=2, status="withdrawn"), a_group(2, name="X")
    )
    assert {one.check: one.outcome for one in pipeline.reconcile()} == {"files": "ok", "rules": "ok", "source": "ok"}
    pipeline.execute("update imsfeed.published set xml = replace(xml, 'Ada', 'Eva') where kind = 1 and person_id = 3")
    assert check_rules(pipeline.connection, 1).details == ("person 3",)


def test_who_waits_for_approval_is_no_difference(pipeline: Proved) -> None:
    limits = {"hold_hour_persons": 0, "hold_hour_persons_percent": 0}
    targets_table.set_settings(pipeline.connection, "lms", limits, "test")
    pipeline.compact(seconds=1)
    pipeline.published(an_enrolment(3, person=2, group=2, status="withdrawn"))
    pipeline.compact(seconds=1)
    assert pipeline.manifest().state == "held"
    assert check_rules(pipeline.connection, 1).outcome == "ok"
    pipeline.execute("update imsfeed.hold set ended_at = now()")
    assert check_rules(pipeline.connection, 1).details == ("person 2",)


def test_dates_that_are_not_published_yet_are_no_difference(pipeline: Proved) -> None:
    pipeline.published(an_enrolment(3, person=2, group=2, ends_on=pipeline.now.date()))
    pipeline.compact(minutes=5)
    pipeline.now = pipeline.now.replace(day=pipeline.now.day + 2)
    assert check_rules(pipeline.connection, 1).outcome == "ok"


def test_without_a_source_the_check_is_passed_over(state_dsn: str, tmp_path: Path) -> None:
    pipeline = Proved(state_dsn, tmp_path / "feed", None)
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    found = pipeline.last()
    assert (found["source"].outcome, found["source"].details) == ("skipped", ["RECONCILE_SOURCE_DSN is not set"])
    pipeline.close()


def test_a_source_that_is_away_is_unfinished_and_tried_again(pipeline: Proved) -> None:
    nowhere = {"reconcile_source_dsn": "postgresql://proof:secret@127.0.0.1:1/none"}
    settings = pipeline.settings.model_validate(pipeline.settings.model_dump() | nowhere)
    found = reconcile(pipeline.connection, settings, REFERENCE_MAPPING, 1, pipeline.now, Run(lambda _seconds: False))
    assert found[2].outcome == "unfinished"
    assert "secret" not in str(found)


def test_the_reconciliation_never_waits_for_the_targets_lock(pipeline: Proved, state_dsn: str) -> None:
    with psycopg.connect(state_dsn) as other:
        other.execute("select from imsfeed.target for update")
        assert check_rules(pipeline.connection, 1).outcome == "ok"


def test_the_command_exits_with_1_if_anything_differs(
    pipeline: Proved, state_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "STATE_DSN": state_dsn,
        "FEED_DIRECTORY": str(pipeline.settings.feed_directory),
        "KAFKA_PARTITIONS": "1",
        "KAFKA_TOPIC": "test",
    }.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["reconcile", "lms"])
    assert (result.exit_code, result.stdout.splitlines()[:2]) == (
        0,
        ["files: ok (0 differences)", "rules: ok (0 differences)"],
    )
    pipeline.execute("delete from imsfeed.published where kind = 1 and person_id = 3")
    result = CliRunner().invoke(app, ["reconcile", "lms"])
    assert result.exit_code == 1
    assert "  person 3\n  repair: the next publication compares everything again\n" in result.stdout
    status = CliRunner().invoke(app, ["status"], env={"COLUMNS": "200"})
    assert "Proof of 1/lms, rules: differs (1)" in status.stdout
