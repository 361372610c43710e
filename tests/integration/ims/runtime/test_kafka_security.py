"""The producer, the administration client and the consumer with TLS and a login, on Apache Kafka."""

import base64
import gc
import json
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from prometheus_client import CollectorRegistry

from consumers.materialize import kafka_source
from consumers.materialize.kafka_source import KafkaSource
from ims.runtime.bearer_token import FileToken
from ims.runtime.kafka_connection import KafkaUnreachableError
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers.capture import process as capture
from producers.events import publisher, topic
from producers.events.ordered_events import KafkaMessage
from producers.events.publisher import Publisher
from producers.events.topic import ensure_topic
from tests.support.fixtures.logs import Lines
from tests.support.fixtures.secure_kafka import PASSWORD, REAUTHENTICATE_SECONDS, SecureKafka
from tests.support.servers.token_endpoint import TokenEndpoint, running_endpoint
from tests.support.waiting import until

# kafka-python leaves some sockets of its TLS connections to the garbage collector, which may run at any time.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")


@pytest.fixture(autouse=True)
def leftover_sockets_are_collected() -> Iterator[None]:
    """Collect garbage here: otherwise the collector might run in the middle of a test of another file."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def endpoint(secure_kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoint]:
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_kafka.folder / "authority.pem"))
    with running_endpoint(secure_kafka.authority) as endpoint:
        endpoint.answer = json.dumps({"access_token": a_token(), "expires_in": 3600}).encode()
        yield endpoint


def round_trip(settings: Settings) -> bytes | None:
    """Create a topic, send a message, and return the message that is read."""
    settings = settings.model_copy(update={"kafka_topic": f"test-{uuid.uuid4().hex[:12]}", "kafka_partitions": 1})
    ensure_topic(settings)
    sender = Publisher(publisher.connect(settings), settings.kafka_topic, CaptureMetrics(CollectorRegistry()))
    source = KafkaSource(settings)
    try:
        sender.send(KafkaMessage(0, b"key", b"value", "person", "c", 0))
        sender.flush(30)
        source.assign({0: 0})
        messages = until(lambda: source.poll(1).get(0), what="the message is read")
        return messages[0].value if messages else None
    finally:
        sender.close()
        source.close()


def a_token(subject: str = "imsfeed", lasts: float = 3600) -> str:
    """Return a token without a signature, which the tests' broker accepts."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now, "exp": now + lasts})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_scram_password_over_tls_is_accepted(secure_kafka: SecureKafka, mechanism: str) -> None:
    assert round_trip(secure_kafka.settings("SCRAM", KAFKA_SASL_MECHANISM=mechanism)) == b"value"


def test_a_plain_password_over_tls_is_accepted(secure_kafka: SecureKafka) -> None:
    assert round_trip(secure_kafka.settings("PLAIN")) == b"value"


def test_a_client_certificate_is_accepted(secure_kafka: SecureKafka) -> None:
    assert round_trip(secure_kafka.settings("CERTIFICATE")) == b"value"


def test_a_token_file_is_read_again_when_the_broker_asks(
    secure_kafka: SecureKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = tmp_path / "token", FileToken.token
    tokens: list[str] = []

    def token(self: FileToken) -> str:
        tokens.append(read(self))
        return tokens[-1]

    monkeypatch.setattr(FileToken, "token", token)
    file.write_text(a_token() + "\n")
    settings = secure_kafka.settings("OAUTH", KAFKA_OAUTH_TOKEN_FILE=str(file))
    assert round_trip(settings) == b"value"
    producer = publisher.connect(settings)
    try:
        fresh = a_token(lasts=7200)
        file.write_text(fresh)
        until(lambda: fresh in tokens, within=10 * REAUTHENTICATE_SECONDS, what="the new token is read")
    finally:
        producer.close(timeout=0)


def test_a_token_from_an_endpoint_is_accepted(secure_kafka: SecureKafka, endpoint: TokenEndpoint) -> None:
    settings = secure_kafka.settings("OAUTH", **endpoint.settings)
    assert round_trip(settings) == b"value"
    assert set(endpoint.asked) == {f"Basic {base64.b64encode(b'imsfeed:open%2Fsesame').decode()}"}


def test_an_endpoint_without_a_token_is_named_in_the_log(
    secure_kafka: SecureKafka, endpoint: TokenEndpoint, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_source, "_BOOTSTRAP_MS", 500)
    endpoint.status = 401
    with pytest.raises(KafkaUnreachableError, match="the login is refused"):
        KafkaSource(secure_kafka.settings("OAUTH", **endpoint.settings))
    assert "KAFKA_OAUTH_TOKEN_URL answered 401" in json.dumps(lines())


class Refusal(NamedTuple):
    """Wrong settings for one of the broker's listeners, and what the error says about them."""

    listener: str
    changes: dict[str, str]
    text: str


WRONG = {
    "password": Refusal(
        "SCRAM", {"KAFKA_SASL_PASSWORD": "wrong-horse"}, "the login is refused; see KAFKA_SASL_MECHANISM"
    ),
    "plain password": Refusal("PLAIN", {"KAFKA_SASL_PASSWORD": "wrong-horse"}, "the login is refused"),
    "mechanism": Refusal("PLAIN", {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}, "the login is refused"),
    "authority": Refusal(
        "SCRAM", {"KAFKA_TLS_CA_FILE": "{other}"}, "not trusted (unable to get local issuer certificate)"
    ),
    "host": Refusal("SCRAM", {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:{port}"}, "not trusted (IP address mismatch"),
    "no tls": Refusal("SCRAM", {"KAFKA_BOOTSTRAP_SERVERS": "localhost:{open}"}, "no TLS ("),
    "no broker": Refusal("SCRAM", {"KAFKA_BOOTSTRAP_SERVERS": "localhost:1"}, "not reached (ConnectionRefusedError)"),
    "no certificate": Refusal(
        "CERTIFICATE", {"KAFKA_TLS_CERTIFICATE_FILE": "", "KAFKA_TLS_KEY_FILE": ""}, "_CERTIFICATE)"
    ),
}


@pytest.mark.parametrize("refusal", WRONG.values(), ids=list(WRONG))
def test_a_refused_login_is_retried_and_explained_without_the_secret(
    secure_kafka: SecureKafka,
    tmp_path: Path,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Refusal,
) -> None:
    other, ports = tmp_path / "other.pem", secure_kafka.ports
    trustme.CA().cert_pem.write_to_path(str(other))
    changes = {
        key: value.format(other=other, port=ports[refusal.listener], open=ports["OPEN"])
        for key, value in refusal.changes.items()
    }
    monkeypatch.setattr(kafka_source, "_BOOTSTRAP_MS", 500)
    monkeypatch.setattr(topic, "BOOTSTRAP_MS", 500)
    settings = secure_kafka.settings(refusal.listener, **changes)
    with pytest.raises(KafkaUnreachableError) as read:
        KafkaSource(settings)
    with pytest.raises(KafkaUnreachableError) as written:
        ensure_topic(settings)
    assert kafka_source.is_transient(read.value)
    assert capture.is_transient(written.value)
    assert refusal.text in str(read.value) == str(written.value)
    assert not any(secret in f"{read.value} {lines()}" for secret in (PASSWORD, "wrong-horse"))
