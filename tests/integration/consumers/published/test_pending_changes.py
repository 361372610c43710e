"""Pending changes do not grow without end while a target waits or is halted."""

from datetime import UTC, datetime
from typing import Any

from consumers.database.sessions import Connection
from consumers.published.published_store import delete_published_changes, merge_repeated_changes, pending_changes_count
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import Pipeline


def rows(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select kind, id, committed_at from imsfeed.pending_change where owner_id = 9 order by change_id"
    ).fetchall()


def change(connection: Connection, kind: str, id_: int, minutes: int, hour: int = 12) -> None:
    connection.execute(
        "insert into imsfeed.pending_change (owner_id, kind, id, committed_at, noted_at)"
        " values (9, %s, %s, %s, now() - %s * interval '1 minute')",
        (kind, id_, datetime(2026, 10, 15, hour, tzinfo=UTC), minutes),
    )


def test_old_changes_about_the_same_person_are_merged(pipeline: Pipeline) -> None:
    connection = pipeline.connection
    for hour in (3, 2, 4):
        change(connection, "person", 1, 60, hour)
    change(connection, "group", 1, 60)
    change(connection, "person", 2, 60)
    change(connection, "person", 2, 1)
    change(connection, "person", 2, 1)
    assert merge_repeated_changes(connection) == 2
    assert [(kind, id_, at.hour) for kind, id_, at in rows(connection)] == [
        ("person", 1, 2),
        ("group", 1, 12),
        ("person", 2, 12),
        ("person", 2, 12),
        ("person", 2, 12),
    ]


def test_no_changes_are_kept_for_a_target_that_waits(pipeline: Pipeline) -> None:
    pipeline.target()
    pipeline.commit(an_owner(orgnr=None), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    assert pending_changes_count(pipeline.connection) == 0
    assert delete_published_changes(pipeline.connection) == 0, "compact has deleted them"
    pipeline.commit(an_owner())
    pipeline.compact(minutes=1)
    assert len(pipeline.snapshot()) == 3


def test_a_halted_target_gets_its_merged_changes(pipeline: Pipeline) -> None:
    pipeline.target()
    pipeline.commit(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
    pipeline.compact()
    away = pipeline.folder().with_name("away")
    pipeline.folder().rename(away)
    for number in range(20):
        pipeline.commit(a_person(1, family_name=f"Ny {number}"))
    pipeline.commit(an_enrolment(1), gone=True)
    pipeline.connection.execute("update imsfeed.pending_change set noted_at = noted_at - interval '1 hour'")
    pipeline.compact(hours=1)
    assert pending_changes_count(pipeline.connection) == 1
    away.rename(pipeline.folder())
    pipeline.compact(minutes=1)
    assert pipeline.manifest().deltas[-1].counts.person.gone == 1
