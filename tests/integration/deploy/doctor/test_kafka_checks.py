"""The checks of Kafka and of the topic."""

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from deploy.doctor.kafka_checks import check_group, check_kafka, check_topic
from ims.runtime import kafka_internals
from ims.runtime.settings import Settings
from producers.events.topic import ensure_topic
from tests.integration.deploy.doctor.findings import lines


@pytest.fixture
def settings(kafka: str, topic: str) -> Settings:
    """Settings of a topic that exists, as capture creates it."""
    settings = Settings(kafka_bootstrap_servers=kafka, kafka_topic=topic, kafka_partitions=2)
    ensure_topic(settings)
    return settings


def test_a_fault_of_the_topic_is_found(settings: Settings) -> None:
    right = {"cleanup.policy": "delete", "retention.ms": str(14 * 86_400_000), "max.message.bytes": str(1 << 24)}
    wrong = {"cleanup.policy": "compact", "retention.ms": "3600000", "max.message.bytes": "1000"}
    assert {lines(check_kafka(settings))[check][0] for check in right} == {"ok"}
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    resource = ConfigResource(ConfigResourceType.TOPIC, settings.kafka_topic)
    try:
        resource.configs = wrong
        admin.alter_configs([resource])
        found = lines(check_kafka(settings))
        assert {check: found[check][0] for check in wrong} == {
            "cleanup.policy": "error",
            "retention.ms": "error",
            "max.message.bytes": "warning",
        }
        resource.configs = right
        admin.alter_configs([resource])
    finally:
        admin.close()
    assert {lines(check_kafka(settings))[check][0] for check in right} == {"ok"}
    assert lines(check_kafka(settings.model_copy(update={"kafka_partitions": 3})))["partitions"][0] == "error"
    assert lines(check_kafka(settings.model_copy(update={"kafka_topic": "none"})))["topic"][0] == "warning"


def test_too_few_replicas_on_several_brokers_are_found() -> None:
    settings = Settings(kafka_partitions=2)
    topic = {"partitions": [{"replica_nodes": [1]}, {"replica_nodes": [2]}]}
    found = lines(check_topic(topic, {"min.insync.replicas": "2"}, settings, brokers=3))
    assert found["replicas"][0] == "warning"
    assert found["min.insync.replicas"][0] == "error"  # no message could ever be acknowledged
    topic = {"partitions": [{"replica_nodes": [1, 2, 3]}, {"replica_nodes": [3, 2, 1]}]}
    found = lines(check_topic(topic, {"min.insync.replicas": "1", "retention.bytes": "5"}, settings, brokers=3))
    assert (found["replicas"][0], found["min.insync.replicas"][0]) == ("ok", "warning")
    assert found["retention.bytes"][0] == "warning"


def test_a_missing_checksum_library_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_internals, "checksum_is_compiled", lambda _record_util: False)
    assert lines(check_kafka(settings))["crc32c"][0] == "error"


def test_a_consumer_group_without_members_is_found(settings: Settings) -> None:
    empty = settings.model_copy(update={"kafka_group": "without-members"})
    assert lines(check_kafka(empty))["consumer group"][0] == "warning"


def test_a_group_that_may_not_be_described_is_no_error(settings: Settings) -> None:
    found = check_group({"error": "[Error 30] GroupAuthorizationFailedError", "members": []}, settings)
    assert found.status == "skipped"
