"""`imsfeed export-events` from a real topic of several partitions, and the replay of its file."""

from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from consumers.replay import events_file
from consumers.replay.events_file import MessageLine
from consumers.replay.replay import Replay
from deploy.cli import main
from ims.source.facts import Fact
from tests.support.builders import a_group, a_person, a_school, a_target, an_enrolment, an_owner
from tests.support.events import Scenario

PARTITIONS = 3


def a_topic(servers: str, name: str, scenario: Scenario) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    for line in scenario.lines():
        assert isinstance(line, MessageLine)
        producer.send(name, line.value, partition=line.partition)
    producer.flush()
    producer.close()


def test_a_topic_is_written_and_replays(
    kafka: str,
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    scenario = Scenario()
    rows: list[Fact] = [an_owner(), a_school(1), a_group(1), *map(a_person, range(1, 40))]
    scenario.commit(0, *rows, *(an_enrolment(n, person=n) for n in range(1, 40)), op="r", partition=1)
    scenario.commit(0, an_owner(owner_id=2, orgnr="200000005"), op="r", partition=2)
    scenario.commit(5, an_enrolment(3, person=3), op="d", partition=1)
    a_topic(kafka, topic, scenario)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_TOPIC", topic)
    monkeypatch.setenv("BATCH_LIMIT", "7")
    monkeypatch.setattr("sys.argv", ["imsfeed", "export-events"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    written = capsysbinary.readouterr().out
    assert b"Testesen" not in written
    result = Replay([a_target(), a_target(owner=2)], tmp_path).run(events_file.read(written.splitlines(), "export"))
    assert result.messages == len(scenario.text)
    assert [target.deltas for target in result.targets] == [1, 0]
    assert list(result.targets[0].published.values()) == [38, 1, 38]
