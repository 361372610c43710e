"""The nightly reconciliation finds planted differences, repairs what it can, and reports the others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from deploy.cli import app
from ims.records.vocabulary import RecStatus
from tests.support.builders import a_group, an_enrolment
from tests.support.feed_words import id_of, member, person
from tests.support.reconciling import ReconciledPipeline, outcomes

ALL_OK = {"files": ("ok", 0), "rules": ("ok", 0), "source": ("ok", 0)}


def test_a_correct_feed_is_reconciled_after_every_scheduled_snapshot(pipeline: ReconciledPipeline) -> None:
    attempts = pipeline.metrics.reconciliation_attempts._value.get()
    pipeline.change(an_enrolment(1, person=1, group=1, status="withdrawn"))
    assert outcomes(pipeline.night()) == ALL_OK
    pipeline.compact(hours=2)
    assert pipeline.metrics.reconciliation_attempts._value.get() == attempts + 1
    assert (
        pipeline.metrics.reconciliation_last_success_timestamp_seconds._value.get()
        >= pipeline.now.timestamp() - 3 * 3600
    )
    assert pipeline.verification().problems == []


def test_a_wrong_published_record_is_corrected_by_the_next_delta(pipeline: ReconciledPipeline) -> None:
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
    assert [(record.key, status) for record, status in delta] == [(person(1), RecStatus.CHANGED)]
    pipeline.compact(hours=1)
    assert outcomes(pipeline.last()) == ALL_OK
    pipeline.compact(minutes=1)
    assert pipeline.differences("rules") == 0


def test_a_superfluous_published_record_is_removed_after_approval(pipeline: ReconciledPipeline) -> None:
    pipeline.execute(
        "insert into imsfeed.published select target_id, kind, 'group-1', member, person_id, 1, xml"
        " from imsfeed.published where kind = 3 and person_id = 2"
    )
    assert pipeline.night()["rules"].details == ["person 2"]
    assert pipeline.manifest().state == "held"
    pipeline.approve()
    pipeline.compact(minutes=1)
    gone = member("group-1", 2)
    delta = pipeline.delta(pipeline.manifest().head_seq)
    assert [(record.key, status) for record, status in delta] == [(gone, RecStatus.GONE)]


def test_a_snapshot_that_contradicts_its_deltas_begins_a_new_epoch(pipeline: ReconciledPipeline) -> None:
    epoch = pipeline.manifest().epoch
    pipeline.execute("delete from imsfeed.published where kind = 3 and person_id = 2")
    found = pipeline.night()
    wrong = pipeline.last()["files"]
    assert (found["files"].outcome, wrong.differences) == ("differs", 1)
    assert "1 x a membership record that the earlier snapshot and deltas give is missing" in wrong.details[0]
    assert pipeline.differences("files") == 1
    pipeline.compact(minutes=1)
    published = pipeline.manifest()
    assert published.epoch != epoch
    assert (published.epoch_seq, published.snapshot.seq, published.head_seq) == (1, 1, 2)
    (again,) = pipeline.delta(2)
    assert (again.record.key, again.recstatus) == (
        member("group-2", 2),
        RecStatus.NEW,
    )
    pipeline.compact(hours=1)
    assert outcomes(pipeline.last()) == ALL_OK
    assert outcomes(pipeline.night()) == ALL_OK
    assert pipeline.manifest().epoch == published.epoch


def test_a_membership_without_its_person_begins_one_epoch_only(pipeline: ReconciledPipeline) -> None:
    epoch = pipeline.manifest().epoch
    pipeline.execute("delete from imsfeed.published where kind = 1 and person_id = 2")
    assert outcomes(pipeline.night())["files"] == ("differs", 1)
    pipeline.compact(minutes=1)
    published = pipeline.manifest()
    assert published.epoch != epoch
    # The epoch's first snapshot still has the membership without its person; a delta adds the person.
    pipeline.compact(hours=1)
    assert outcomes(pipeline.last()) == ALL_OK
    assert pipeline.manifest().epoch == published.epoch


def test_a_new_epoch_with_correct_records_needs_no_delta(pipeline: ReconciledPipeline) -> None:
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
def test_a_changed_or_removed_file_is_not_repaired(
    pipeline: ReconciledPipeline, damage: Callable[[Path], object]
) -> None:
    pipeline.change(an_enrolment(1, person=1, group=1, status="withdrawn"))
    pipeline.compact(minutes=5)
    pipeline.change(a_group(2, name="Ny"))
    pipeline.compact(minutes=5)
    epoch = pipeline.manifest().epoch
    damage(pipeline.folder() / "deltas/1.xml")
    found = pipeline.night()
    assert found["files"].differences == 1
    assert found["files"].details[0].startswith("deltas/1.xml: ")
    assert found["files"].repair is None
    assert pipeline.manifest().epoch == epoch


def test_an_altered_snapshot_is_found(pipeline: ReconciledPipeline) -> None:
    path = pipeline.folder() / pipeline.manifest().snapshot.path
    path.write_bytes(path.read_bytes().replace(b">Ada<", b">Eva<"))
    assert pipeline.night()["files"].details == [
        f"snapshots/{path.name}: its digest differs from the one in the state database"
    ]


def test_the_reconcile_command_exits_with_1_on_a_difference(
    pipeline: ReconciledPipeline, state_dsn: str, monkeypatch: pytest.MonkeyPatch
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
    assert "Reconciliation of 1/lms, rules: differs (1)" in status.stdout
