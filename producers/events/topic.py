"""The topic: created with what capture needs, or checked."""

import contextlib
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError

from ims.errors import InvalidSettingsError
from ims.runtime.kafka_connection import kafka_options, unreachable_error
from ims.runtime.settings import Settings
from producers.events.oversized_rows import LARGEST_MESSAGE

BOOTSTRAP_MS: Final = 10_000
"""Longest time for one attempt to reach the brokers; a stop waits for it to end."""
_DAY_MS: Final = 86_400_000
_MAX_BYTES: Final = "max.message.bytes"


def ensure_topic(settings: Settings) -> int:
    """Create the topic unless it exists.

    Returns:
        The largest message that the topic takes, in bytes.

    Raises:
        InvalidSettingsError: the topic has another number of partitions, so that owners would move between them; or the
            connection's settings contradict each other.
        KafkaUnreachableError: no broker was reached, or none accepted the login.
        kafka.errors.KafkaError: Kafka refuses the request.
    """
    options = kafka_options(settings)
    try:
        admin = KafkaAdminClient(**options, client_id="imsfeed-capture", bootstrap_timeout_ms=BOOTSTRAP_MS)
    except KafkaTimeoutError:
        raise unreachable_error(settings) from None
    try:
        if settings.kafka_topic not in admin.list_topics():
            _create_topic(admin, settings)
        (topic,) = admin.describe_topics([settings.kafka_topic])
        largest = _largest_message(admin, settings.kafka_topic)
    finally:
        admin.close()
    partitions = len(topic["partitions"])
    if partitions != settings.kafka_partitions:
        raise InvalidSettingsError(
            f"topic {settings.kafka_topic} has {partitions} partitions and KAFKA_PARTITIONS is"
            f" {settings.kafka_partitions}; set it to {partitions}, or KAFKA_TOPIC to a new topic and"
            " run `imsfeed resync all`"
        )
    return largest


def _largest_message(admin: Any, topic: str) -> int:  # noqa: ANN401 - kafka-python is untyped
    """Return the largest message that *topic* takes, in bytes, if capture may read the topic's configuration."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {_MAX_BYTES: None})
    try:
        found = admin.describe_configs([wanted], config_filter="all")
        size = int(found["topic"][topic][_MAX_BYTES]["value"])
    except (KafkaError, LookupError, TypeError, ValueError):
        return LARGEST_MESSAGE  # if the topic takes less, the broker refuses a message, and capture tries a lower limit
    return min(size, LARGEST_MESSAGE)


def _create_topic(admin: Any, settings: Settings) -> None:  # noqa: ANN401 - kafka-python is untyped
    topic = {
        "num_partitions": settings.kafka_partitions,
        "replication_factor": settings.kafka_replication_factor,
        "configs": {
            "cleanup.policy": "delete",
            "retention.ms": str(settings.kafka_retention_days * _DAY_MS),
            _MAX_BYTES: str(LARGEST_MESSAGE),
        },
    }
    with contextlib.suppress(TopicAlreadyExistsError):  # another capture has just created it
        admin.create_topics({settings.kafka_topic: topic})
    admin.wait_for_topics([settings.kafka_topic])
