"""`imsfeed leave-now` and `suppress`: what they print, what they refuse, and what the audit keeps."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from consumers.database.notifications import CHANNEL
from ims.errors import InvalidSettingsError
from tests.support.builders import a_birth_number
from tests.support.emergencies import WHY, a_small_school, audit, done, refused
from tests.support.feed_words import next_delta
from tests.support.pipeline import Pipeline


@pytest.fixture
def pipeline(state_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("STATE_DSN", state_dsn)
    pipeline = Pipeline(state_dsn, tmp_path / "feed")
    a_small_school(pipeline)
    yield pipeline
    pipeline.close()


def test_a_repeated_suppression_still_belongs_to_its_first_orderer(pipeline: Pipeline) -> None:
    done("suppress", "1", "1", *WHY, "--name", "Kari")
    assert "already, since" in done("suppress", "1", "1", *WHY, "--name", "Ola")
    refused("suppress", "1", "1", *WHY, "--undo", "--name", "Kari")
    done("suppress", "1", "1", *WHY, "--undo", "--name", "Ola")
    assert len(audit(pipeline)) == 3


def test_undoing_a_suppression_needs_a_name() -> None:
    assert isinstance(refused("suppress", "1", "1", *WHY, "--undo"), InvalidSettingsError)


def test_the_command_says_what_each_target_will_publish(pipeline: Pipeline) -> None:
    pipeline.target(name="idm")
    pipeline.target(name="narrow", excluded_groups=(1, 2))
    pipeline.compact(seconds=1)
    pipeline.target(name="idm", enabled=False)
    pipeline.target(name="later", enabled=False)
    pipeline.target(name="first")
    printed = done("suppress", "1", "1", *WHY)
    assert "  lms: the next delta removes the person" in printed
    assert "  idm: disabled: nothing is published, and the feed still HAS the person; inform the importer" in printed
    assert "  narrow: does not have the person" in printed
    assert "  later: does not have the person" in printed
    assert "  first: waiting: nothing is published yet, and nothing about this person will be" in printed


def test_status_counts_and_lists_suppressed_persons(pipeline: Pipeline) -> None:
    done("suppress", "1", "1", *WHY)
    done("leave-now", "1", "2", *WHY)
    assert "Suppressed: 1; removed ahead of the source: 1" in done("status")
    printed = done("status", "--json")
    assert re.search(r'"person": 1,\s*"kind": "suppressed"', printed)
    done("leave-now", "1", "2", *WHY, "--undo")
    assert "removed ahead of the source: 0" in done("status")
    assert pipeline.manifest().head_seq == 0


def test_the_report_shows_only_a_suppressed_persons_running_number(pipeline: Pipeline) -> None:
    done("suppress", "1", "1", *WHY)
    pipeline.compact(seconds=1)
    printed = done("report", "lms", "--format", "csv")
    assert "person;1;;;" in printed
    assert "Testesen 1" not in printed
    assert "(person_suppressed)" in done("why", "lms", "1")


@pytest.mark.parametrize("undo", [(), ("--undo", "--name", "Ola")])
def test_an_owner_that_does_not_exist_is_an_error(undo: tuple[str, ...]) -> None:
    assert isinstance(refused("suppress", "9", "1", *WHY, *undo), InvalidSettingsError)


def test_an_order_not_in_force_cannot_be_undone(pipeline: Pipeline) -> None:
    error = refused("leave-now", "1", "1", *WHY, "--undo")
    assert not isinstance(error, InvalidSettingsError)
    assert "person 1 of owner 1 has no leave-now order" in str(error)
    assert audit(pipeline) == []


@pytest.mark.parametrize("blank", [("--reason", "  "), ("--reason", "x", "--name", " \t")])
def test_a_blank_reason_or_name_orders_nothing(pipeline: Pipeline, blank: tuple[str, ...]) -> None:
    assert isinstance(refused("suppress", "1", "1", *blank), InvalidSettingsError)
    assert audit(pipeline) == []
    assert next_delta(pipeline) == set()


def test_a_national_id_is_refused_and_masked_in_a_reason(pipeline: Pipeline) -> None:
    number = a_birth_number(1)
    error = refused("suppress", "1", number, *WHY)
    assert isinstance(error, InvalidSettingsError)
    assert number.lstrip("0") not in str(error)
    done("suppress", "1", "1", "--reason", f"it is {number}")
    assert audit(pipeline)[0][2] == "it is ***********"


def test_the_audit_cannot_be_changed(pipeline: Pipeline) -> None:
    done("suppress", "1", "1", *WHY)
    for statement in ("update imsfeed.suppression_audit set who = 'x'", "delete from imsfeed.suppression_audit"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            pipeline.connection.execute(statement)


@pytest.mark.parametrize("undo", [(), ("--undo",)])
def test_an_order_wakes_compact(pipeline: Pipeline, undo: tuple[str, ...]) -> None:
    done("leave-now", "1", "1", *WHY)
    pipeline.connection.execute(f"listen {CHANNEL}")
    done("leave-now", "1", "1", *WHY, *undo)
    assert [heard.channel for heard in pipeline.connection.notifies(timeout=10, stop_after=1)] == [CHANNEL]
