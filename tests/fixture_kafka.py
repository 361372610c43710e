"""The broker of the tests: Apache Kafka itself where Java and Maven are, otherwise the embedded one.

KAFKA_BOOTSTRAP_SERVERS names another. With CI=true Java and Maven must be there: what CI has tested, it has tested
against Kafka.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.broker import running_broker, wait_for_metadata
from deploy.local.process import free_port, running_process

POM = Path(__file__).parent / "kafka" / "pom.xml"
CACHE = Path(__file__).parent / ".kafka"
OLDEST_JAVA = 17
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
    if lacking := _lacking():
        return f"Kafka: {'missing' if _kafka_is_a_must() else 'the embedded broker'}, since {lacking}"
    return "Kafka: Apache Kafka, of tests/kafka/pom.xml"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of the broker."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    lacking = _lacking()
    if lacking and _kafka_is_a_must():
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
    classpath = f"{_jars()}/*"
    broker, controller = free_port(), free_port()
    properties = directory / "server.properties"
    properties.write_text(SERVER_PROPERTIES.format(broker=broker, controller=controller, directory=directory))
    format_storage = ["java", "-cp", classpath, "kafka.tools.StorageTool", "format"]
    _run([*format_storage, "-t", "aW1zZmVlZC10ZXN0cy1rYQ", "-c", str(properties)])
    log, servers = directory / "kafka.log", f"127.0.0.1:{broker}"
    with running_process(["java", "-Xmx512m", "-cp", classpath, "kafka.Kafka", str(properties)], log) as process:
        wait_for_metadata(servers, process, log, within=START_SECONDS)
        yield servers


def _jars() -> Path:
    """The directory of Kafka's jars; Maven resolves them once for each content of the pom."""
    jars = CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    if not jars.is_dir():
        CACHE.mkdir(exist_ok=True)
        unfinished = CACHE / f"unfinished-{uuid.uuid4().hex[:12]}"
        _run(["mvn", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"])
        _put_in_place(unfinished, jars)
    return jars


def _put_in_place(unfinished: Path, jars: Path) -> None:
    try:
        unfinished.rename(jars)
    except OSError:
        if not jars.is_dir():
            raise
        shutil.rmtree(unfinished)  # another run was first


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{done.stdout}", pytrace=False)


def _kafka_is_a_must() -> bool:
    return os.environ.get("CI") == "true"


@functools.cache
def _lacking() -> str | None:
    """What Apache Kafka would need and is not here."""
    java = shutil.which("java")
    if not java or not shutil.which("mvn"):
        return "java or mvn is not on the PATH"
    said = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < OLDEST_JAVA:
        return f"java is not version {OLDEST_JAVA} or newer"
    return None
