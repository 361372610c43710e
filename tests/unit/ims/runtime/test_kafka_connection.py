"""The options that kafka-python gets for its connections, and the settings that are refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import trustme

from ims.errors import InvalidSettingsError
from ims.runtime.bearer_token import EndpointToken, FileToken
from ims.runtime.kafka_connection import kafka_options
from ims.runtime.settings import Settings
from tests.support.paths import ROOT

LOGIN = {"kafka_sasl_username": "imsfeed", "kafka_sasl_password": "open-sesame\n"}
SCRAM = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "SCRAM-SHA-512", **LOGIN}
OAUTH = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER"}
ENDPOINT = {
    "kafka_oauth_token_url": "https://idp.example/token",
    "kafka_oauth_client_id": "imsfeed",
    "kafka_oauth_client_secret": "open-sesame",
}


def options(**settings: Any) -> dict[str, Any]:
    return kafka_options(Settings.model_validate(settings))


def test_the_default_connection_is_unencrypted() -> None:
    assert options() == {"bootstrap_servers": ["localhost:9092"], "security_protocol": "PLAINTEXT"}


def test_a_login_over_tls_has_the_password_without_line_end() -> None:
    made = options(**SCRAM)
    assert (made["security_protocol"], made["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (made["sasl_plain_username"], made["sasl_plain_password"]) == ("imsfeed", "open-sesame")
    assert (made["ssl_cafile"], made["ssl_password"]) == (None, "")
    assert "ssl_check_hostname" not in made


def test_a_token_comes_from_a_file_or_an_endpoint() -> None:
    assert isinstance(options(**OAUTH, kafka_oauth_token_file="/token")["sasl_oauth_token_provider"], FileToken)
    assert isinstance(options(**OAUTH, **ENDPOINT)["sasl_oauth_token_provider"], EndpointToken)


def test_scram_without_tls_is_allowed() -> None:
    assert options(**SCRAM | {"kafka_security_protocol": "SASL_PLAINTEXT"})["sasl_mechanism"] == "SCRAM-SHA-512"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kafka_security_protocol": "SASL_SSL"}, "KAFKA_SASL_MECHANISM"),
    (SCRAM | {"kafka_sasl_password": "\n"}, "needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
    (SCRAM | {"kafka_sasl_username": None}, "needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
    (SCRAM | {"kafka_security_protocol": "PLAINTEXT"}, "KAFKA_SASL_MECHANISM is set, but .* is PLAINTEXT"),
    (SCRAM | {"kafka_security_protocol": "SSL"}, "KAFKA_SASL_MECHANISM is set, but .* is SSL"),
    (LOGIN, "KAFKA_SASL_USERNAME is set, but .* is PLAINTEXT"),
    ({"kafka_tls_ca_file": "/ca.pem"}, "KAFKA_TLS_CA_FILE is set, but .* is PLAINTEXT"),
    (SCRAM | {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_mechanism": "PLAIN"}, "in the clear"),
    (OAUTH | ENDPOINT | {"kafka_security_protocol": "SASL_PLAINTEXT"}, "in the clear"),
    (OAUTH, "OAUTHBEARER needs KAFKA_OAUTH_TOKEN_FILE, or KAFKA_OAUTH_TOKEN_URL"),
    (OAUTH | ENDPOINT | {"kafka_oauth_client_secret": ""}, "OAUTHBEARER needs"),
    (OAUTH | ENDPOINT | {"kafka_oauth_token_file": "/token"}, "both set"),
    (OAUTH | ENDPOINT | {"kafka_oauth_token_url": "http://idp.example/token"}, "https://"),
    (OAUTH | ENDPOINT | {"kafka_oauth_token_url": "file:///etc/passwd"}, "https://"),
    (SCRAM | {"kafka_tls_ca_file": "/nowhere/ca.pem"}, "KAFKA_TLS_CA_FILE cannot be used: FileNotFoundError"),
    (SCRAM | {"kafka_tls_ca_file": __file__}, "KAFKA_TLS_CA_FILE cannot be used: "),
    (SCRAM | {"kafka_tls_certificate_file": "/c.pem"}, "KAFKA_TLS_KEY_FILE go together"),
    (SCRAM | {"kafka_tls_certificate_file": "/c.pem", "kafka_tls_key_file": "/k.pem"}, "CERTIFICATE_FILE, .* cannot"),
]


@pytest.mark.parametrize(("settings", "text"), REFUSED)
def test_contradictory_settings_are_refused_without_the_secret(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidSettingsError, match=text) as error:
        options(**settings)
    assert "sesame" not in str(error.value)


def test_an_encrypted_key_needs_its_password_in_the_settings(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - comes with trustme

    certificate = trustme.CA().issue_cert("client@imsfeed.example")
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"open-sesame")
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*pem, encryption))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    settings: dict[str, Any] = {
        "kafka_security_protocol": "SSL",
        "kafka_tls_certificate_file": tmp_path / "certificate.pem",
        "kafka_tls_key_file": tmp_path / "key.pem",
    }
    assert options(**settings, kafka_tls_key_password="open-sesame\n")["ssl_password"] == "open-sesame"
    for wrong in ({}, {"kafka_tls_key_password": "wrong-sesame"}):
        with pytest.raises(InvalidSettingsError, match="KAFKA_TLS_KEY_PASSWORD cannot be used") as error:
            options(**settings | wrong)
        assert "sesame" not in str(error.value)


def test_every_kafka_client_is_made_with_these_options() -> None:
    """Except the client of the broker that the demo and the tests start on this machine."""
    for folder in ("consumers", "producers", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "broker.py":
                text = path.read_text(encoding="utf-8")
                calls = re.findall(r"(?<!class )Kafka(?:Consumer|Producer|AdminClient)\((?!\))", text)
                assert len(calls) == len(re.findall(r"\*\*(?:kafka_)?options", text)), path
