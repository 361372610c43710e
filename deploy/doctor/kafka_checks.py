"""Checks of Kafka: it answers, and the topic keeps every change event long enough and unchanged."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import GroupIdNotFoundError, KafkaError

from deploy.doctor.finding import Area, Finding, Findings
from ims.errors import InvalidSettingsError
from ims.runtime.kafka_connection import kafka_options
from ims.runtime.settings import Settings
from producers.events.oversized_rows import LARGEST_MESSAGE
from producers.events.publisher import refuse_slow_crc

_AREA: Final = Area("kafka")
_DAY_MS: Final = 86_400_000
_ANSWER_MS: Final = 5_000
_REMEDY: Final = "check KAFKA_BOOTSTRAP_SERVERS, the network and Kafka"


def check_kafka(settings: Settings) -> Findings:
    """Check the Kafka client, the brokers and the topic."""
    yield _crc()
    silent = [server for server in settings.bootstrap_servers if not _listens(server)]
    if len(silent) == len(settings.bootstrap_servers):
        yield _AREA.error("reachable", f"no answer from {', '.join(silent)}", _REMEDY)
        yield _AREA.skipped("topic", "Kafka does not answer")
        return
    if silent:
        yield _AREA.warning("bootstrap servers", f"no answer from {', '.join(silent)}", _REMEDY)
    try:
        with _admin(settings) as admin:
            brokers = len(admin.describe_cluster()["brokers"])
            yield _AREA.judge("reachable", brokers > 0, f"{brokers} brokers", "start Kafka")
            if settings.kafka_topic not in admin.list_topics():
                yield _AREA.warning(
                    "topic", f"{settings.kafka_topic} does not exist", "start capture: it creates the topic"
                )
                return
            (topic,) = admin.describe_topics([settings.kafka_topic])
            config = _config(admin, settings.kafka_topic)
            yield from check_topic(topic, config, settings, brokers)
            yield _group(admin, settings)
    except (KafkaError, OSError) as error:
        yield _AREA.error("reachable", type(error).__name__, _REMEDY)
        yield _AREA.skipped("topic", "Kafka does not answer")


def check_topic(topic: dict[str, Any], config: dict[str, str], settings: Settings, brokers: int) -> Findings:
    """Check the topic's partitions, replicas and configuration.

    Args:
        topic: the admin client's description of the topic.
        config: the topic's configuration by name; what the broker does not report is not checked.
        settings: what imsfeed relies on.
        brokers: number of brokers.
    """
    partitions = topic["partitions"]
    yield _AREA.judge(
        "partitions",
        len(partitions) == settings.kafka_partitions,
        f"{len(partitions)}, and KAFKA_PARTITIONS is {settings.kafka_partitions}",
        f"set KAFKA_PARTITIONS to {len(partitions)}; or set KAFKA_TOPIC to a new topic and run `imsfeed resync all`",
    )
    replicas = min((len(_field(partition, "replicas", "replica_nodes")) for partition in partitions), default=0)
    yield _AREA.judge(
        "replicas",
        replicas >= min(settings.kafka_replication_factor, 2) and (replicas > 1 or brokers == 1),
        f"{replicas} on {brokers} brokers",
        "give the topic three replicas: with only one, every change event is on a single disk",
        otherwise="warning",
    )
    yield from _durability(config, replicas)
    yield from _sizes(config, settings)


def check_group(group: dict[str, Any], settings: Settings) -> Finding:
    """Return a finding with the members of the consumer group and the partitions of each; warn if there is none.

    Args:
        group: the admin client's description of the group.
        settings: the settings with the group's name.
    """
    if group["error"] and GroupIdNotFoundError.__name__ not in group["error"]:
        return _AREA.skipped("consumer group", group["error"])
    members = [
        f"{member['group_instance_id'] or member['client_host'].lstrip('/')} has {_partitions(member) or 'none'}"
        for member in group["members"]
    ]
    return _AREA.judge(
        "consumer group",
        bool(members),
        f"{settings.kafka_group}: {len(members)} members{': ' if members else ''}{'; '.join(sorted(members))}",
        "start materialize: no process applies change events",
        otherwise="warning",
    )


def _partitions(member: dict[str, Any]) -> str:
    """Return the numbers of a member's partitions, in order and separated by commas."""
    assignment = member["member_assignment"] or {"assigned_partitions": []}
    numbers = [number for topic in assignment["assigned_partitions"] for number in topic["partitions"]]
    return ", ".join(map(str, sorted(numbers)))


def _group(admin: Any, settings: Settings) -> Finding:  # noqa: ANN401 - kafka-python is untyped
    try:
        return check_group(admin.describe_groups([settings.kafka_group])[settings.kafka_group], settings)
    except (KafkaError, ValueError) as error:  # ValueError: the demo's broker answers in another format
        return _AREA.skipped("consumer group", type(error).__name__)


def _durability(config: dict[str, str], replicas: int) -> Findings:
    synced = config.get("min.insync.replicas")
    if synced is not None:
        enough = int(synced) >= min(2, replicas)
        yield _AREA.judge(
            "min.insync.replicas",
            enough and int(synced) <= replicas,
            synced,
            f"set it to {max(1, min(2, replicas))}: an acknowledged message should be on two brokers if there are two,"
            " and more in-sync replicas than exist can never be had",
            otherwise="warning" if int(synced) <= replicas else "error",
        )
    policy = config.get("cleanup.policy")
    if policy is not None:
        fix = "set cleanup.policy to delete: compaction removes changes that have not been applied"
        yield _AREA.judge("cleanup.policy", policy == "delete", policy, fix)
    kind = config.get("message.timestamp.type")
    if kind is not None:
        yield _AREA.ok("message.timestamp.type", f"{kind}; imsfeed uses the events' own times")


def _sizes(config: dict[str, str], settings: Settings) -> Findings:
    retention = config.get("retention.ms")
    if retention is not None:
        days = settings.kafka_retention_days
        long_enough = int(retention) < 0 or int(retention) >= days * _DAY_MS
        text = "unlimited" if int(retention) < 0 else f"{int(retention) / _DAY_MS:.1f} days"
        fix = f"set retention.ms to {days * _DAY_MS}: a change removed before it is applied is lost"
        yield _AREA.judge("retention.ms", long_enough, text, fix)
    bytes_ = config.get("retention.bytes")
    if bytes_ is not None:
        fix = "set retention.bytes to -1: a busy day must not remove changes that have not been applied"
        yield _AREA.judge("retention.bytes", int(bytes_) < 0, bytes_, fix, otherwise="warning")
    largest = config.get("max.message.bytes")
    if largest is not None:
        fix = f"set max.message.bytes to {LARGEST_MESSAGE}: a row that is larger is sent without its largest texts"
        yield _AREA.judge("max.message.bytes", int(largest) >= LARGEST_MESSAGE, largest, fix, otherwise="warning")


def _crc() -> Any:  # noqa: ANN401 - a Finding
    try:
        refuse_slow_crc()
    except InvalidSettingsError as error:
        return _AREA.error("crc32c", str(error), "install kafka-python[crc32c]")
    return _AREA.ok("crc32c", "compiled")


def _listens(server: str) -> bool:
    # kafka-python leaves the socket of a refused connection open, so it is used only once the port is known to listen.
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_MS / 1000):
            return True
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _admin(settings: Settings) -> Iterator[Any]:
    admin = KafkaAdminClient(
        **kafka_options(settings),
        client_id="imsfeed-doctor",
        bootstrap_timeout_ms=_ANSWER_MS,
        request_timeout_ms=_ANSWER_MS,
    )
    try:
        yield admin
    finally:
        admin.close()


def _config(admin: Any, topic: str) -> dict[str, str]:  # noqa: ANN401 - kafka-python is untyped
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic)]
    answer = admin.describe_configs(asked, config_filter="all")
    return {name: str(data["value"]) for by_topic in answer.values() for name, data in by_topic[topic].items()}


def _field(partition: dict[str, Any], *names: str) -> Any:  # noqa: ANN401 - kafka-python is untyped
    return next(partition[name] for name in names if name in partition)
