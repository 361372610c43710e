"""Every setting of the processes, read from environment variables and secret files; no other module reads either.

(``FAILPOINT`` is not a setting but for tests: :mod:`ims.runtime.failpoints`.)

A setting ``KAFKA_TOPIC`` comes from the environment variable of that name or from the file ``KAFKA_TOPIC`` in the
directory that ``SECRETS_DIRECTORY`` names (default ``/run/secrets``); the environment wins, unless it is empty.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ims.errors import InvalidSettingsError
from ims.runtime.text_files import read_text

SECRETS_DIRECTORY = "/run/secrets"


def _setting(default: Any, unit: str, meaning: str, **limits: Any) -> Any:  # noqa: ANN401 - pydantic's Field is untyped too
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **limits)


class _SecretFiles(SecretsSettingsSource):
    """The files of the secrets' directory, in whatever encoding a person has saved them."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        try:
            value, key, is_complex = super().get_field_value(field, field_name)
        except UnicodeDecodeError:
            value, key, is_complex = "", field_name, False
        if value is not None:
            for _, name, _ in self._extract_field_info(field, field_name):
                path = self.find_case_path(self.secrets_paths[0], name, self.case_sensitive)
                if path is not None:
                    return read_text(path, path.name).strip(), key, is_complex
        return value, key, is_complex


class Settings(BaseSettings):
    """The settings of all processes; each process reads those it needs."""

    model_config = SettingsConfigDict(
        env_prefix="", case_sensitive=False, extra="ignore", frozen=True, env_ignore_empty=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return pydantic's sources, with secret files that are read as every other file of a person."""
        directory = getattr(file_secret_settings, "secrets_dir", None)
        return init_settings, env_settings, dotenv_settings, _SecretFiles(settings_cls, directory)

    source_dsn: SecretStr | None = _setting(
        None, "DSN", "The administration system's PostgreSQL. Capture and `setup source` need it."
    )
    source_schema: str = _setting("public", "name", "Schema of the source's tables.")
    source_slot: str = _setting("imsfeed", "name", "Replication slot that capture reads.", pattern="^[a-z0-9_]+$")
    source_publication: str = _setting("imsfeed", "name", "Publication that names the captured tables.")
    source_epoch: int = _setting(
        0,
        "count",
        "Epoch of events without one (Debezium's). Raise it when the source's history starts again; capture's own"
        " epochs are the seconds since 1970 at which its loads began.",
        ge=0,
    )
    mapping_file: Path | None = _setting(
        None,
        "path",
        "TOML file that maps the source's tables, columns and values, the same for every process; unset: the reference"
        " schema.",
    )
    state_dsn: SecretStr | None = _setting(
        None, "DSN", "imsfeed's own PostgreSQL. Materialize, compact, `setup state` and `targets` need it."
    )
    kafka_bootstrap_servers: str = _setting("localhost:9092", "host:port, comma-separated", "Kafka's brokers.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _setting(
        "PLAINTEXT", "name", "How to connect to Kafka: with TLS (`SSL`), with a login (`SASL_PLAINTEXT`), or with both."
    )
    kafka_tls_ca_file: Path | None = _setting(
        None,
        "path",
        "PEM file of the authorities that may certify Kafka's brokers; unset: those that the system trusts.",
    )
    kafka_tls_certificate_file: Path | None = _setting(
        None, "path", "PEM file of the client's certificate, for brokers that ask for one."
    )
    kafka_tls_key_file: Path | None = _setting(None, "path", "PEM file of the client certificate's private key.")
    kafka_tls_key_password: SecretStr | None = _setting(None, "password", "Password of an encrypted private key.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = _setting(
        None, "name", "How to log in to Kafka; required with a `SASL_` protocol."
    )
    kafka_sasl_username: str | None = _setting(None, "name", "User name for PLAIN and SCRAM.")
    kafka_sasl_password: SecretStr | None = _setting(None, "password", "The user's password.")
    kafka_oauth_token_file: Path | None = _setting(
        None, "path", "File with a bearer token for OAUTHBEARER, read again at each login."
    )
    kafka_oauth_token_url: str | None = _setting(
        None,
        "URL",
        "Token endpoint for OAUTHBEARER; https only, its certificate checked against the system's authorities.",
    )
    kafka_oauth_client_id: str | None = _setting(None, "name", "Client id at the token endpoint.")
    kafka_oauth_client_secret: SecretStr | None = _setting(None, "password", "Client secret at the token endpoint.")
    kafka_oauth_scope: str | None = _setting(
        None, "scopes, separated by spaces", "Scope to request, if the endpoint requires one."
    )
    kafka_topic: str = _setting("imsfeed.changes", "name", "Topic of the change events.")
    kafka_group: str = _setting(
        "imsfeed-materialize",
        "name",
        "Consumer group in which the materialize processes of one state database share the topic's partitions; another"
        " state database needs another group.",
    )
    kafka_instance: str | None = _setting(
        None,
        "name",
        "Name of this materialize process in the group, if it always starts again under a name of its own: when it"
        " stops, its partitions wait for it for KAFKA_SESSION_SECONDS. Unset: other processes take them over"
        " immediately.",
        pattern="^[A-Za-z0-9._-]+$",
    )
    kafka_session_seconds: float = _setting(
        6,
        "seconds",
        "Silence of a materialize process after which Kafka gives its partitions to others; brokers refuse less than"
        " their group.min.session.timeout.ms, 6 seconds by default.",
        gt=0,
    )
    kafka_partitions: int = _setting(
        8, "count", "Partitions of the topic. An owner's partition is owner_id modulo this number.", ge=1
    )
    kafka_replication_factor: int = _setting(1, "count", "Replicas of the topic when capture creates it.", ge=1)
    kafka_retention_days: int = _setting(14, "days", "How long Kafka keeps change events.", ge=1)
    heartbeat_seconds: float = _setting(10, "seconds", "Time between two heartbeat rows in the source.", gt=0)
    inflight_limit: int = _setting(
        50_000, "messages", "Number of messages sent and not yet acknowledged at which capture stops reading.", ge=1
    )
    batch_limit: int = _setting(5_000, "messages", "Largest number of messages applied in one transaction.", ge=1)
    settle_seconds: float = _setting(
        0.2,
        "seconds",
        "How long a change settles before it is published, so that a move between groups is not published as a leave.",
        ge=0,
    )
    feed_directory: Path = _setting(Path("feed"), "path", "Directory of the importers' files.")
    manifest_seconds: float = _setting(30, "seconds", "Longest time between two writes of a manifest.", gt=0)
    reconcile_source_dsn: SecretStr | None = _setting(
        None,
        "DSN",
        "The administration system's PostgreSQL for the nightly reconciliation, with a role that may only read; unset:"
        " facts are not compared with the source.",
    )
    retention_days: int = _setting(14, "days", "How long deltas and snapshots are kept.", ge=1)
    smtp_host: str | None = _setting(None, "host", "Mail server for mails to case workers; unset: no mail is sent.")
    smtp_port: int = _setting(587, "port", "Port of the mail server.", ge=1, le=65_535)
    smtp_security: Literal["starttls", "tls", "none"] = _setting(
        "starttls",
        "name",
        "TLS at the mail server: from the start (`tls`), after a greeting (`starttls`), or none (`none`).",
    )
    smtp_user: str | None = _setting(None, "name", "User name at the mail server; unset: no login.")
    smtp_password: SecretStr | None = _setting(None, "password", "The user's password.")
    smtp_from: str | None = _setting(None, "address", "Address from which mails are sent; required with SMTP_HOST.")
    report_url: str | None = _setting(None, "URL", "Address of the report for case workers; mails link to it.")
    notice_hour: int = _setting(
        7, "hour", "Hour of the day, in the target's time zone, from which the daily mail is sent.", ge=0, le=23
    )
    metrics_host: str = _setting("0.0.0.0", "address", "Address on which /metrics, /healthz and /readyz listen.")  # noqa: S104 - scraped from outside the container
    metrics_port: int = _setting(
        9464, "port", "Port of METRICS_HOST; `run` uses this one and the two after it.", ge=0, le=65_535
    )
    stall_seconds: float = _setting(
        60, "seconds", "Time without a round of a process's loop after which /healthz reports it as stalled.", gt=0
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "level", "Least severe level logged.")

    def source(self) -> str:
        """Return the source's DSN.

        Raises:
            InvalidSettingsError: ``SOURCE_DSN`` is not set.
        """
        return _required("SOURCE_DSN", self.source_dsn)

    def state(self) -> str:
        """Return the state database's DSN.

        Raises:
            InvalidSettingsError: ``STATE_DSN`` is not set.
        """
        return _required("STATE_DSN", self.state_dsn)

    @property
    def bootstrap_servers(self) -> list[str]:
        """Kafka's brokers, each as host:port."""
        return [server.strip() for server in self.kafka_bootstrap_servers.split(",")]


def secret_text(secret: SecretStr | None) -> str:
    """Return a secret without the line end that a file has; empty if it is not set."""
    return secret.get_secret_value().strip() if secret else ""


def _required(name: str, secret: SecretStr | None) -> str:
    value = secret_text(secret)
    if not value:
        raise InvalidSettingsError(
            f"{name} is not set; give it as an environment variable, or as a file of that name in SECRETS_DIRECTORY"
        )
    return value


def read_settings() -> Settings:
    """Read the settings from the environment and the secret files.

    Raises:
        InvalidSettingsError: a value is wrong; the error names the setting, not the value.
    """
    directory = Path(os.environ.get("SECRETS_DIRECTORY", SECRETS_DIRECTORY))
    try:
        return Settings(_secrets_dir=directory if directory.is_dir() else None)
    except SettingsError as error:
        cause = error.__cause__
        raise InvalidSettingsError(str(cause if isinstance(cause, InvalidSettingsError) else error)) from None
    except ValidationError as error:
        wrong = "; ".join(f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False))
        raise InvalidSettingsError(f"wrong settings: {wrong}") from None


def world_readable_secrets() -> list[str]:
    """Return the names of the secrets whose files every user of the machine may read."""
    directory = Path(os.environ.get("SECRETS_DIRECTORY", SECRETS_DIRECTORY))
    files = [
        directory / name.upper()
        for name, field in Settings.model_fields.items()
        if field.annotation == SecretStr | None
    ]
    return [file.name for file in files if file.is_file() and file.stat().st_mode & stat.S_IROTH]


class Description(NamedTuple):
    """The description of a setting: its environment variable, default, unit and meaning."""

    name: str
    default: str
    unit: str
    meaning: str


def descriptions() -> Iterator[Description]:
    """Yield the description of every setting, in the order of definition."""
    yield Description(
        "SECRETS_DIRECTORY", SECRETS_DIRECTORY, "path", "Directory of secret files, each named after a setting."
    )
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        unit = str(extra["unit"]) if isinstance(extra, dict) else ""
        default = "" if field.default is None else str(field.default)
        yield Description(name.upper(), default, unit, field.description or "")
