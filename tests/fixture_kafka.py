"""The broker of the tests: Apache Kafka itself where Java and Maven are, otherwise the embedded one.

KAFKA_BOOTSTRAP_SERVERS names another. With CI=true Java and Maven must be there: what CI has tested, it has tested
against Kafka.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.broker import running_broker, wait_for_metadata
from deploy.local.process import free_port, running_process
from tests import java

POM = Path(__file__).parent / "kafka" / "pom.xml"
START_SECONDS = 60

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={directory}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def pytest_report_header() -> str:
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return f"Kafka: {given}, of the environment"
    if lacking := java.lacking():
        return f"Kafka: {'missing' if kafka_is_a_must() else 'the embedded broker'}, since {lacking}"
    return "Kafka: Apache Kafka, of tests/kafka/pom.xml"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of the broker."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    lacking = java.lacking()
    if lacking and kafka_is_a_must():
        pytest.exit(f"with CI=true the tests run against Apache Kafka, but {lacking}; install it", returncode=4)
    directory = tmp_path_factory.mktemp("kafka")
    with running_broker(directory / "broker.log") if lacking else running_kafka(directory) as servers:
        yield servers


@pytest.fixture
def topic() -> str:
    """The name of a topic that does not exist."""
    return f"test-{uuid.uuid4().hex[:12]}"


@contextmanager
def running_kafka(directory: Path) -> Iterator[str]:
    """Run one node of Apache Kafka (KRaft) with its data and its log in a directory."""
    classpath = f"{java.jars(POM)}/*"
    broker, controller = free_port(), free_port()
    properties = directory / "server.properties"
    properties.write_text(SERVER_PROPERTIES.format(broker=broker, controller=controller, directory=directory))
    format_storage = ["java", "-cp", classpath, "kafka.tools.StorageTool", "format"]
    java.run([*format_storage, "-t", "aW1zZmVlZC10ZXN0cy1rYQ", "-c", str(properties)])
    log, servers = directory / "kafka.log", f"127.0.0.1:{broker}"
    with running_process(["java", "-Xmx512m", "-cp", classpath, "kafka.Kafka", str(properties)], log) as process:
        wait_for_metadata(servers, process, log, within=START_SECONDS)
        yield servers


def kafka_is_a_must() -> bool:
    """Whether the tests may not run against anything but Apache Kafka."""
    return os.environ.get("CI") == "true"
