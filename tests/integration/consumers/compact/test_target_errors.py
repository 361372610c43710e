"""One target's trouble is that target's: the others are published as fast as ever, and people see which one fails."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg.types.json import Jsonb

from consumers.compact.target_errors import TargetErrors
from consumers.database.targets_table import find_target
from consumers.feed.feed_directory import FeedDirectory
from consumers.operations.emergencies import order
from consumers.operations.status_report import TargetStatus, report
from consumers.publication.delta import publish_delta
from tests.support.builders import a_person
from tests.support.pipeline import Pipeline

SICK = "a-sick"
"""Sorts before ``lms``, so that it is done first."""


@pytest.fixture
def both(published: Pipeline) -> Pipeline:
    """Two published targets of one owner."""
    published.target(name=SICK)
    published.compact(seconds=1)
    assert published.manifest(SICK).head_seq == 0
    return published


def rename(pipeline: Pipeline, name: str) -> None:
    pipeline.commit(a_person(2, family_name=name))
    pipeline.compact(seconds=1)


def status(pipeline: Pipeline, name: str = SICK) -> TargetStatus:
    return next(one for one in report(pipeline.connection).targets if one.name == name)


def failing(pipeline: Pipeline) -> float:
    return float(pipeline.metrics.targets_failing._value.get())


def no_space(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FeedDirectory, *_: Any, **__: Any) -> None:
        if self.path == folder:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, *_, **__)

    original = FeedDirectory.link
    monkeypatch.setattr(FeedDirectory, "link", full)


def folder_as_manifest(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir(mode=0o750)


def file_as_folder(folder: Path, _: pytest.MonkeyPatch) -> None:
    (folder / "deltas").rmdir()
    (folder / "deltas").write_text("")


def raising(error: BaseException) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def plant(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def instead(connection: Any, target_id: int, *rest: Any, **more: Any) -> Any:
            if target_id == find_target(connection, SICK).target_id:
                raise error
            return publish_delta(connection, target_id, *rest, **more)

        monkeypatch.setattr("consumers.compact.target_update.publish_delta", instead)

    return plant


@pytest.mark.parametrize(
    "trouble",
    [
        no_space,
        file_as_folder,
        raising(OSError(errno.ESTALE, "Stale file handle")),
        raising(PermissionError(errno.EACCES, "Permission denied")),
        raising(RecursionError()),
        raising(KeyError("a programming error")),
        raising(psycopg.errors.DataError()),
        raising(psycopg.errors.QueryCanceled()),
        raising(psycopg.errors.LockNotAvailable()),
    ],
)
def test_one_targets_error_stops_no_other(
    both: Pipeline, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    trouble(both.folder(SICK), monkeypatch)
    rename(both, "Ny")
    assert both.manifest().head_seq == 1
    assert failing(both) == 1
    (error,) = [one for one in status(both).errors if one.part == "feed"]
    assert error.attempts >= 1
    assert status(both, "lms").errors == []


def test_a_folder_where_the_manifest_should_be_halts_its_target_alone(
    both: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_as_manifest(both.folder(SICK), monkeypatch)
    rename(both, "Ny")
    both.compact(minutes=1)
    assert both.manifest().head_seq == 1
    assert "the manifest cannot be read" in (status(both).halt_reason or "")


def test_orders_to_leave_go_out_beside_a_failing_target(both: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    no_space(both.folder(SICK), monkeypatch)
    rename(both, "Ny")
    ordered = order(both.connection, "suppressed", 1, 1, "Ada", "a test")
    assert [(one.target.settings.name, one.failing is not None) for one in ordered.targets] == [
        (SICK, True),
        ("lms", False),
    ]
    both.compact(seconds=1)
    assert both.manifest().head_seq == 2


def test_a_new_order_to_leave_is_tried_at_once(both: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        raising(KeyError())(both.folder(SICK), broken)
        for _ in range(8):
            rename(both, f"Ny {both.now}")
        order(both.connection, "leave_now", 1, 1, "Ada", "a test")
        both.compact(milliseconds=1)
        assert both.manifest(SICK).head_seq == 1


def test_a_failing_target_is_tried_less_and_less_often(both: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(KeyError())(both.folder(SICK), monkeypatch)
    with structlog.testing.capture_logs() as logs:
        for number in range(120):
            rename(both, f"Ny {number}")
    waits = [line["wait_seconds"] for line in logs if line["event"] == "target failed"]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert len(waits) <= 8
    assert both.manifest().head_seq == 120


def test_a_target_works_again_once_the_cause_is_gone(both: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        no_space(both.folder(SICK), broken)
        rename(both, "Ny")
        rename(both, "Nyere")
    both.compact(minutes=1)
    assert (failing(both), status(both).errors) == (0, [])
    assert both.manifest(SICK).head_seq == both.manifest().head_seq
    assert both.verification(SICK).problems == []


def test_a_failing_snapshot_is_shown_and_delays_no_delta(both: Pipeline) -> None:
    (both.folder(SICK) / "snapshots/2026-10-16-0.xml").write_text("another's")
    both.compact(hours=16)
    rename(both, "Ny")
    assert both.manifest(SICK).head_seq == 1
    assert [one.part for one in status(both).errors] == ["full files"]
    assert failing(both) == 1


@pytest.mark.parametrize("column", ["settings", "published_settings"])
def test_settings_that_cannot_be_read_stop_no_other_target(both: Pipeline, column: str) -> None:
    both.connection.execute(
        f"update imsfeed.target set {column} = {column} || %s where name = %s",  # noqa: S608 - our own names
        (Jsonb({"of_a_later_version": 1}), SICK),
    )
    rename(both, "Ny")
    assert both.manifest().head_seq == 1
    assert failing(both) == 1
    (unreadable,) = report(both.connection).unreadable
    assert (unreadable.name, "of_a_later_version" in unreadable.why) == (SICK, True)
    assert order(both.connection, "leave_now", 1, 1, "Ada", "a test").unreadable == [SICK]
    both.target(name=SICK)
    both.compact(minutes=1)
    assert both.manifest(SICK).head_seq == 1
    assert failing(both) == 0


def test_expired_files_that_cannot_be_removed_stop_nothing(both: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: FeedDirectory, *_: Any) -> int:
        if self.path == both.folder(SICK):
            raise PermissionError(errno.EACCES, "Permission denied")
        return 0

    monkeypatch.setattr(FeedDirectory, "sweep", refuse)
    both.compact(minutes=11)
    rename(both, "Ny")
    assert [both.manifest(name).head_seq for name in (SICK, "lms")] == [1, 1]
    assert [one.part for one in status(both).errors] == ["expired files"]


def test_a_folder_that_others_can_read_halts_its_target_alone(both: Pipeline) -> None:
    (both.folder(SICK) / "manifest.json").chmod(0o644)
    both.compactor._check._permitted.clear()
    both.compactor._check._checked_at.clear()
    rename(both, "Ny")
    assert both.manifest().head_seq == 1
    assert "has mode 0644" in status(both).errors[0].error
    (both.folder(SICK) / "manifest.json").chmod(0o640)
    both.compact(minutes=1)
    assert both.manifest(SICK).head_seq == 1


def test_a_lost_session_is_not_lost_on_the_same_target_again(both: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that ends its own session ends it at every attempt: the targets after it must have their turn."""
    errors = TargetErrors()
    both.compactor._errors = errors

    def instead(connection: Any, target_id: int, *rest: Any, **more: Any) -> Any:
        if target_id == find_target(connection, SICK).target_id:
            connection.execute("select pg_terminate_backend(pg_backend_pid())")
        return publish_delta(connection, target_id, *rest, **more)

    monkeypatch.setattr("consumers.compact.target_update.publish_delta", instead)
    both.commit(a_person(2, family_name="Ny"))
    with pytest.raises(psycopg.OperationalError):
        both.compactor.step(both.now)
    later = Pipeline(both.settings.state(), both.settings.feed_directory)
    later.compactor._errors = errors
    later.compactor.step(both.now)
    assert later.manifest().head_seq == 1
    later.close()
