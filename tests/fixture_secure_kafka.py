"""Apache Kafka with TLS and every login that we support, each on a listener of its own.

Not the embedded broker: it knows no SCRAM. Where Java and Maven are missing these tests are left out, unless CI=true.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from deploy.local.broker import wait_for_metadata
from deploy.local.process import free_port, running_process
from ims.runtime.settings import Settings
from tests import java
from tests.fixture_kafka import POM, START_SECONDS, kafka_is_a_must

USER, PASSWORD = "imsfeed", "correct-horse-battery"
LISTENERS = ("SCRAM", "PLAIN", "OAUTH", "CERTIFICATE", "OPEN", "CONTROLLER")
REAUTHENTICATE_SECONDS = 3

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{CONTROLLER}
listeners={listeners}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=OPEN
listener.security.protocol.map=SCRAM:SASL_SSL,PLAIN:SASL_SSL,OAUTH:SASL_SSL,CERTIFICATE:SSL,OPEN:PLAINTEXT,\
CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/authority.pem
listener.name.certificate.ssl.client.auth=required
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
listener.name.scram.scram-sha-256.sasl.jaas.config={scram}
listener.name.scram.scram-sha-512.sasl.jaas.config={scram}
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config={plain}
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config={oauth}
listener.name.oauth.oauthbearer.connections.max.reauth.ms={reauthenticate_ms}
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""
_MODULES = "org.apache.kafka.common.security"


class SecureKafka(NamedTuple):
    """The broker: its ports by listener, and a folder with ``authority.pem``, ``client.pem`` and ``client.key``."""

    folder: Path
    ports: dict[str, int]
    authority: trustme.CA

    def environment(self, listener: str, **changes: str) -> dict[str, str]:
        """The settings with which one is let in at a listener."""
        login = {
            "SCRAM": {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"},
            "PLAIN": {"KAFKA_SASL_MECHANISM": "PLAIN"},
            "OAUTH": {"KAFKA_SASL_MECHANISM": "OAUTHBEARER"},
            "CERTIFICATE": {
                "KAFKA_TLS_CERTIFICATE_FILE": f"{self.folder}/client.pem",
                "KAFKA_TLS_KEY_FILE": f"{self.folder}/client.key",
            },
        }[listener]
        password = {"KAFKA_SASL_USERNAME": USER, "KAFKA_SASL_PASSWORD": PASSWORD}
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{self.ports[listener]}",
            "KAFKA_SECURITY_PROTOCOL": "SSL" if listener == "CERTIFICATE" else "SASL_SSL",
            "KAFKA_TLS_CA_FILE": f"{self.folder}/authority.pem",
            **login,
            **(password if listener in {"SCRAM", "PLAIN"} else {}),
            **changes,
        }

    def settings(self, listener: str, **changes: str) -> Settings:
        """The same as settings."""
        return Settings.model_validate({
            name.lower(): value for name, value in self.environment(listener, **changes).items() if value
        })


@pytest.fixture(scope="session")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    lacking = java.lacking()
    if lacking and not kafka_is_a_must():
        pytest.skip(f"Kafka with TLS and logins needs Apache Kafka, and {lacking}")
    folder = tmp_path_factory.mktemp("secure-kafka")
    kafka = SecureKafka(folder, {name: free_port() for name in LISTENERS}, trustme.CA())
    _write_certificates(kafka)
    properties = folder / "server.properties"
    properties.write_text(_properties(kafka))
    classpath, log = f"{java.jars(POM)}/*", folder / "kafka.log"
    users = [f"--add-scram=SCRAM-SHA-{size}=[name={USER},password={PASSWORD}]" for size in (256, 512)]
    format_storage = ["java", "-cp", classpath, "kafka.tools.StorageTool", "format", *users]
    java.run([*format_storage, "-t", "aW1zZmVlZC1zZWN1cmUta2E", "-c", str(properties)])
    with running_process(["java", "-Xmx512m", "-cp", classpath, "kafka.Kafka", str(properties)], log) as process:
        wait_for_metadata(f"127.0.0.1:{kafka.ports['OPEN']}", process, log, within=START_SECONDS)
        yield kafka


def _properties(kafka: SecureKafka) -> str:
    listeners = [f"{name}://localhost:{port}" for name, port in kafka.ports.items()]
    values: dict[str, Any] = {
        "listeners": ",".join(listeners),
        "advertised": ",".join(listeners[:-1]),
        "folder": kafka.folder,
        "scram": f"{_MODULES}.scram.ScramLoginModule required;",
        "plain": f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "oauth": f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
        "reauthenticate_ms": REAUTHENTICATE_SECONDS * 1000,
    }
    return _PROPERTIES.format(**values, **kafka.ports)


def _write_certificates(kafka: SecureKafka) -> None:
    kafka.authority.cert_pem.write_to_path(str(kafka.folder / "authority.pem"))
    broker, client = kafka.authority.issue_cert("localhost"), kafka.authority.issue_cert("client@imsfeed.example")
    # Java reads keys in this form only.
    key = serialization.load_pem_private_key(broker.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (kafka.folder / "broker.pem").write_bytes(b"".join([key, *(part.bytes() for part in broker.cert_chain_pems)]))
    client.private_key_pem.write_to_path(str(kafka.folder / "client.key"))
    for part in client.cert_chain_pems:
        part.write_to_path(str(kafka.folder / "client.pem"), append=True)
