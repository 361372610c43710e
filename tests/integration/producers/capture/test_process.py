"""Capture from end to end: a source, a broker, and a consumer of the topic."""

import os
import time

import pytest
from prometheus_client import CollectorRegistry

from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from ims.source.events import Position, Row, is_news
from producers.capture import process as capture
from producers.events.topic import ensure_topic
from producers.source.catalog import Connection
from tests.support.capturing import PARTITIONS, Captured, Topic, add_persons, capturing
from tests.support.waiting import until


def test_existing_rows_are_loaded_and_later_changes_streamed(
    source: Connection, settings: Settings, published: Topic
) -> None:
    add_persons(source, 1, 2)
    with capturing(settings):
        add_persons(source, 3)
        until(lambda: (1, "c", 3) in published.rows(), what="the new person is published")
    assert published.rows() == [(1, "r", 1), (1, "r", 2), (1, "c", 3)]
    loaded = [(partition, change) for partition, change in published.changes if change.loading]
    assert {(partition, change.table) for partition, change in loaded if change.ends_transaction} == {
        (partition, "heartbeat") for partition in range(PARTITIONS)
    }
    query = "select epoch, loaded_at is not null, (loaded_lsn - '0/0')::bigint from imsfeed.capture"
    epoch, is_loaded, lsn = source.execute(query).fetchone() or (0, False, 0)
    assert {change.position.epoch for _, change in published.changes} == {epoch}
    assert is_loaded
    # The first commit that is streamed may begin at exactly this position.
    assert all(change.position.lsn < lsn for _, change in loaded)


def test_a_loaded_row_looks_like_a_streamed_one(source: Connection, settings: Settings, published: Topic) -> None:
    add_persons(source, 1)
    source.execute("update person set birth_date = '1990-01-08', protected = true")
    with capturing(settings):
        source.execute("update person set email = null")
        until(lambda: len(published.rows()) == 2, what="the change is published")
    (_, loaded), (_, streamed) = [item for item in published.read() if item[1].table == "person"]
    assert loaded.after is not None
    assert loaded.after["birth_date"] == "1990-01-08"
    assert loaded.after == streamed.after
    assert list(loaded.after) == list(streamed.after or ())


def test_a_row_of_several_megabytes_is_published(source: Connection, settings: Settings, published: Topic) -> None:
    with capturing(settings):
        name = os.urandom(2_000_000).hex()
        source.execute("insert into school (owner_id, id, name) values (1, 7, %s)", (name,))
        until(
            lambda: len(published.read()) >= 1 and any(c.table == "school" for _, c in published.changes),
            what="the row",
        )
    (change,) = [change for _, change in published.changes if change.table == "school"]
    assert (change.after or {})["name"] == name


def test_a_person_moved_to_another_owner_changes_partition(
    source: Connection, settings: Settings, published: Topic
) -> None:
    add_persons(source, 7)
    with capturing(settings):
        source.execute("update person set owner_id = 2")
        until(lambda: len(published.rows()) == 3, what="the move is published")
    assert sorted(published.rows()) == [(1, "d", 7), (1, "r", 7), (2, "c", 7)]


def test_a_transaction_over_two_owners_ends_in_both_partitions(
    source: Connection, settings: Settings, published: Topic
) -> None:
    with capturing(settings):
        with source.transaction():
            add_persons(source, 1, 2, owner=1)
            add_persons(source, 3, 4, owner=2)
        until(lambda: len(published.rows()) == 4, what="all four are published")
    persons = [(partition, change) for partition, change in published.read() if change.table == "person"]
    assert {(partition, change.position.ordinal) for partition, change in persons if change.ends_transaction} == {
        (1, 2),
        (2, 4),
    }


def test_a_stop_loses_nothing_and_duplicates_are_recognised(
    source: Connection, settings: Settings, published: Topic
) -> None:
    with capturing(settings):
        # The stop may come in the middle of this transaction, which is then sent again from its beginning.
        add_persons(source, *range(200))
    add_persons(source, *range(200, 300))
    with capturing(settings):
        until(lambda: {row for _, _, row in published.rows()} == set(range(300)), what="all 300 are published")
    last: dict[int, Position] = {}
    news: list[Row] = []
    for partition, change in published.read():
        if is_news(last.get(partition), change):
            last[partition] = change.position
            news.append(change.after or {})
    assert [row["id"] for row in news if "id" in row] == list(range(300))


def test_a_broken_connection_loses_nothing(source: Connection, settings: Settings, published: Topic) -> None:
    with capturing(settings) as running:
        for start in range(0, 100, 20):
            add_persons(source, *range(start, start + 20))
            source.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots"
                " where slot_name = %s and active_pid is not null",
                [settings.source_slot],
            )
        until(lambda: {row for _, _, row in published.rows()} == set(range(100)), what="all 100 are published")
        assert running.value("replication_reconnects_total") >= 1


def test_a_second_capture_stands_by_and_takes_over(source: Connection, settings: Settings, published: Topic) -> None:
    with capturing(settings):
        second = Captured(settings)
        try:
            until(lambda: second.value("replication_reconnects_total") > 0, what="the second one has tried")
        except BaseException:
            second.end()
            raise
    try:
        add_persons(source, 1)
        until(lambda: published.rows() == [(1, "c", 1)], within=90, what="the second one has taken over")
    finally:
        second.end()


def test_a_lost_slot_ends_capture_with_the_remedy(source: Connection, settings: Settings) -> None:
    with capturing(settings):
        pass
    source.execute("select pg_drop_replication_slot(%s)", [settings.source_slot])
    with pytest.raises(InvalidSettingsError, match="imsfeed resync all"):
        capture.run(settings, Stop(), CaptureMetrics(CollectorRegistry()), lambda _ready: None)


def test_a_wrong_number_of_partitions_is_refused(settings: Settings) -> None:
    ensure_topic(settings)
    ensure_topic(settings)
    more = settings.model_copy(update={"kafka_partitions": PARTITIONS + 1})
    with pytest.raises(InvalidSettingsError, match=rf"has {PARTITIONS} partitions and KAFKA_PARTITIONS is 4"):
        ensure_topic(more)


@pytest.mark.usefixtures("source")
def test_the_heartbeat_reaches_every_partition(settings: Settings, published: Topic) -> None:
    started = time.time()
    with capturing(settings) as running:

        def beaten() -> set[int]:
            published.read()
            return {
                partition for partition, change in published.changes if (change.table, change.op) == ("heartbeat", "u")
            }

        until(lambda: beaten() == set(range(PARTITIONS)), what="a beat has come through each partition")
        assert running.value("heartbeat_written_timestamp_seconds") >= started
        until(lambda: running.value("slot_active") == 1, what="the slot is seen to be read")
