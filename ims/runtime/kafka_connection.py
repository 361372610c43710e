"""The connection options of every Kafka client, made from the settings and checked.

Producer, administration client and consumer all get them from here, so that TLS and login cannot be forgotten for one
of them. Certificates are always checked, against the host's name too; no setting turns that off.
"""

import contextlib
import socket
import ssl
from pathlib import Path
from typing import Any, Final

from ims.errors import ImsfeedError, InvalidSettingsError
from ims.runtime.bearer_token import bearer_token
from ims.runtime.settings import Settings, secret_text

_PROBE_SECONDS: Final = 3.0
_ALERT_SECONDS: Final = 0.5
"""How long to wait for an alert: with TLS 1.3 the broker refuses a client's certificate only after the handshake."""


class KafkaUnreachableError(ImsfeedError):
    """No broker accepted a connection; says how far each attempt got. Retried: the broker may be fixed meanwhile."""


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Return kafka-python's options that say where Kafka is and how to log in.

    Certificate files are named and not read: the client reads them at each connection, so that renewed ones are used
    from the next connection on.

    Raises:
        InvalidSettingsError: settings that do not go together, would send a password in the clear, or name a file that
            cannot be used.
    """
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {"bootstrap_servers": settings.bootstrap_servers, "security_protocol": protocol}
    tls, sasl = protocol.endswith("SSL"), protocol.startswith("SASL")
    _refuse_unused(settings, tls=tls, sasl=sasl)
    if tls:
        options |= _tls(settings)
    if sasl:
        options |= _sasl(settings, tls=tls)
    return options


def unreachable_error(settings: Settings) -> KafkaUnreachableError:
    """Return an error that says why no broker accepted a connection, found out by trying each again as far as TLS.

    kafka-python itself says only that the attempt failed: a broker that refuses a login closes the connection
    immediately, and the client then drops the answer that came before.
    """
    tried = "; ".join(f"{server}: {_probe(server, settings)}" for server in settings.bootstrap_servers)
    return KafkaUnreachableError(f"KAFKA_BOOTSTRAP_SERVERS: no Kafka broker accepted a connection: {tried}")


def _probe(server: str, settings: Settings) -> str:
    """Return how far an attempt to connect gets, with the settings to check."""
    host, _, port = server.rpartition(":")
    protocol = settings.kafka_security_protocol
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS) as plain:
            if protocol.endswith("SSL"):
                _shake_hands(plain, host.strip("[]"), settings)
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted ({error.verify_message}); see KAFKA_TLS_CA_FILE and the host's name"
    except ssl.SSLError as error:
        return f"no TLS ({error.reason}); see KAFKA_SECURITY_PROTOCOL and KAFKA_TLS_CERTIFICATE_FILE"
    except (OSError, ValueError) as error:
        return f"not reached ({type(error).__name__})"
    if protocol.startswith("SASL"):
        return (
            "reached, but the login is refused; see KAFKA_SASL_MECHANISM, the user and the secret, and the broker's log"
        )
    return "reached, but it does not answer; see KAFKA_SECURITY_PROTOCOL, and whether a Kafka broker is running there"


def _shake_hands(plain: socket.socket, host: str, settings: Settings) -> None:
    with _context(settings).wrap_socket(plain, server_hostname=host) as secure:
        secure.settimeout(_ALERT_SECONDS)
        with contextlib.suppress(TimeoutError):
            secure.recv(1)


def _refuse_unused(settings: Settings, *, tls: bool, sasl: bool) -> None:
    """Raise an error for a credential that is not used: the operator would rely on a protection that is not there."""
    protocol = settings.kafka_security_protocol
    for prefix, used in (("kafka_tls_", tls), ("kafka_sasl_", sasl), ("kafka_oauth_", sasl)):
        given = [name.upper() for name, value in settings if name.startswith(prefix) and value is not None]
        if given and not used:
            raise InvalidSettingsError(
                f"{given[0]} is set, but KAFKA_SECURITY_PROTOCOL is {protocol}, which does not use it; set it to"
                f" {'SSL or SASL_SSL' if prefix == 'kafka_tls_' else 'SASL_SSL'}, or remove {given[0]}"
            )


def _tls(settings: Settings) -> dict[str, Any]:
    _context(settings)  # built here only to find wrong files at the start; the client builds its own
    certificate, key = settings.kafka_tls_certificate_file, settings.kafka_tls_key_file
    return {
        "ssl_cafile": _text(settings.kafka_tls_ca_file),
        "ssl_certfile": _text(certificate),
        "ssl_keyfile": _text(key),
        # Never None: with None OpenSSL would ask for the password of an encrypted key on the terminal.
        "ssl_password": secret_text(settings.kafka_tls_key_password),
    }


def _context(settings: Settings) -> ssl.SSLContext:
    """Return the same TLS context as the client makes from its options."""
    authority, certificate, key = (
        settings.kafka_tls_ca_file,
        settings.kafka_tls_certificate_file,
        settings.kafka_tls_key_file,
    )
    if (certificate is None) is not (key is None):
        raise InvalidSettingsError(
            "KAFKA_TLS_CERTIFICATE_FILE and KAFKA_TLS_KEY_FILE go together; give both or neither"
        )
    names = "KAFKA_TLS_CA_FILE"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if authority is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(authority)
        if certificate is not None:
            names = "KAFKA_TLS_CERTIFICATE_FILE, KAFKA_TLS_KEY_FILE or KAFKA_TLS_KEY_PASSWORD"
            context.load_cert_chain(certificate, key, secret_text(settings.kafka_tls_key_password))
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else type(error).__name__
        raise InvalidSettingsError(
            f"{names} cannot be used: {reason}; give PEM files that this process may read"
        ) from None
    return context


def _sasl(settings: Settings, *, tls: bool) -> dict[str, Any]:
    mechanism = settings.kafka_sasl_mechanism
    if mechanism is None:
        raise InvalidSettingsError(
            f"KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}; say in KAFKA_SASL_MECHANISM how to log in"
        )
    if not tls and not mechanism.startswith("SCRAM"):
        raise InvalidSettingsError(
            f"KAFKA_SASL_MECHANISM {mechanism} would send its secret in the clear;"
            " set KAFKA_SECURITY_PROTOCOL to SASL_SSL"
        )
    if mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": bearer_token(settings)}
    password = secret_text(settings.kafka_sasl_password)
    if not settings.kafka_sasl_username or not password:
        raise InvalidSettingsError(f"{mechanism} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password,
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
