"""The checks of the state database: its schema, its progress, and what waits in it."""

from typing import Any

import psycopg

from deploy.doctor.state_checks import check_state
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import lines
from tests.support.installation import Installation
from tests.support.waiting import until


def test_a_state_database_of_another_version_is_found(settings: Settings, state: psycopg.Connection[Any]) -> None:
    row = state.execute(
        "delete from imsfeed.schema_migration where name like '0011%' returning name, sha256, applied_at"
    ).fetchone()
    assert row is not None
    try:
        assert lines(check_state(settings))["migrations"] == ("error", f"missing: {row[0]}")
    finally:
        state.execute("insert into imsfeed.schema_migration values (%s, %s, %s)", row)
    state.execute("insert into imsfeed.schema_migration values ('9999_later.sql', '', now())")
    try:
        assert "newer version" in lines(check_state(settings))["migrations"][1]
    finally:
        state.execute("delete from imsfeed.schema_migration where name = '9999_later.sql'")


def test_a_stuck_path_is_found(healthy: Installation, settings: Settings, state: psycopg.Connection[Any]) -> None:
    healthy.stop("materialize", "compact")
    try:
        state.execute(
            "update imsfeed.topic_partition set heartbeat_at = now() - partition * interval '1 h',"
            " updated_at = now() - interval '1 h', open_owners = case partition when 1 then array[1] else '{}' end"
        )
        state.execute(
            "insert into imsfeed.pending_change (owner_id, kind, id, noted_at)"
            " values (1, 'person', 1, now() - interval '1 h')"
        )
        state.execute(
            "insert into imsfeed.quarantine (topic, partition, message_offset, reason, detail)"
            " values ('t', 0, 1, '', '')"
        )
        found = lines(check_state(settings))
        assert found["heartbeats"] == ("warning", "late in partitions 1")
        assert found["open transactions"] == ("error", "owners with one that has waited long: 1")
        assert found["quarantine"] == ("warning", "1 messages")
        assert found["pending changes"][0] == "error"
        other = settings.model_copy(update={"kafka_partitions": 3})
        assert lines(check_state(other))["partitions"] == ("warning", "not begun: 2")
    finally:
        state.execute("delete from imsfeed.quarantine")
        state.execute("update imsfeed.topic_partition set open_owners = '{}'")
        healthy.start("materialize", "compact")
    until(lambda: lines(check_state(settings))["pending changes"][0] == "ok", what="compact has published the change")


def test_no_heartbeat_is_called_fresh_before_the_first(state_dsn: str) -> None:
    fresh = Settings.model_validate({"state_dsn": state_dsn, "kafka_topic": "t", "kafka_partitions": 2})
    assert lines(check_state(fresh))["heartbeats"] == ("skipped", "none yet: no partition has been read")
    with psycopg.connect(state_dsn, autocommit=True) as connection:
        connection.execute(
            "insert into imsfeed.topic_partition (topic, partition, next_offset, heartbeat_at)"
            " values ('t', 0, 0, null), ('t', 1, 0, now())"
        )
    assert lines(check_state(fresh))["heartbeats"] == ("warning", "none yet in partitions 0")
