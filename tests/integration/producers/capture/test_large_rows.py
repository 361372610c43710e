"""Large values: of columns that are not mapped, which are never sent, and of others, which stop no other row."""

import os

import pytest
from kafka import KafkaAdminClient

from ims.runtime.settings import Settings
from ims.source.events import read_too_large
from producers.events import topic as topics
from producers.source.catalog import Connection
from tests.support.capturing import PARTITIONS, Topic, add_persons, capturing, persons_in, persons_of
from tests.support.waiting import until


@pytest.mark.parametrize("identity", ["default", "full"])
def test_a_large_photo_that_is_not_mapped_stops_nothing(
    source: Connection, settings: Settings, published: Topic, identity: str
) -> None:
    source.execute("alter table person add column photo bytea")
    source.execute(f"alter table person replica identity {identity}".encode())
    add_persons(source, 1, 2)
    source.execute("update person set photo = %s where id = 1", [os.urandom(20_000_000)])
    with capturing(settings) as running:
        source.execute("update person set photo = %s where id = 2", [os.urandom(20_000_000)])
        source.execute("update person set family_name = 'Ny' where id = 2")
        until(lambda: persons_in(published.facts()) == persons_of(source), what="the facts are the source's")
        assert running.value("replication_reconnects_total") == 0
    assert not any("photo" in (change.after or {}) | (change.before or {}) for change in published.persons())


def test_a_row_too_large_for_kafka_stops_no_other(
    source: Connection, settings: Settings, published: Topic, capsys: pytest.CaptureFixture[str]
) -> None:
    add_persons(source, 1)
    source.execute("update person set email = %s, protected = true", [os.urandom(9_000_000).hex()])
    with capturing(settings) as running:
        source.execute("update person set mobile = %s", [os.urandom(10_000_000).hex()])
        add_persons(source, 2)
        until(lambda: (1, "c", 2) in published.rows(), within=60, what="the row after it is published")
        assert running.value("replication_reconnects_total") == 0
        assert running.value("oversized_rows_total") == 2
    loaded, updated, _ = published.persons()
    assert [read_too_large((change.after or {})["protected"]) for change in (loaded, updated)] == [None, None]
    assert (loaded.after or {})["protected"] is True
    assert read_too_large((loaded.after or {})["email"]) == "18000002 bytes in the row with owner_id 1, id 1"
    assert read_too_large((updated.after or {})["mobile"]) == "20000002 bytes in the row with owner_id 1, id 1"
    printed = [line for line in capsys.readouterr().out.splitlines() if "row too large for Kafka" in line]
    assert len(printed) == 2
    assert all(word in printed[0] for word in ("person", "owner_id 1, id 1", "email", "18000002"))


@pytest.mark.parametrize("readable", [True, False], ids=["limit known", "limit unknown"])
def test_a_topic_with_a_lower_limit_stops_nothing(
    source: Connection, settings: Settings, published: Topic, readable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    configuration = {"num_partitions": PARTITIONS, "configs": {"max.message.bytes": "300000"}}
    admin.create_topics({settings.kafka_topic: configuration})
    admin.close()
    if not readable:
        monkeypatch.setattr(topics, "_largest_message", lambda _admin, _topic: 2_000_000)
    with capturing(settings):
        add_persons(source, 1)
        source.execute("update person set email = %s", [os.urandom(900_000).hex()])
        add_persons(source, 2)
        until(lambda: (1, "c", 2) in published.rows(), within=60, what="the row after it is published")
    (change,) = [change for change in published.persons() if change.op == "u"][-1:]
    assert read_too_large((change.after or {})["email"]) is not None
