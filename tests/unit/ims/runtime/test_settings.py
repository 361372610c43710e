"""The settings: from the environment and secret files, with the secrets masked."""

from pathlib import Path

import pytest

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings, descriptions, read_settings, world_readable_secrets

DSN = "postgresql://imsfeed:open-sesame@db/source"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty directory of secrets, with no setting in the environment."""
    for setting in descriptions():
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("SECRETS_DIRECTORY", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("secrets")
def test_every_setting_has_a_default() -> None:
    settings = read_settings()
    assert (settings.kafka_topic, settings.kafka_partitions, settings.metrics_port) == ("imsfeed.changes", 8, 9464)
    assert settings.source_dsn is None


@pytest.mark.usefixtures("secrets")
def test_a_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PARTITIONS", "12")
    monkeypatch.setenv("FEED_DIRECTORY", "/feed")
    settings = read_settings()
    assert (settings.kafka_partitions, settings.feed_directory) == (12, Path("/feed"))


def test_a_setting_comes_from_a_secret_file_without_its_line_end(secrets: Path) -> None:
    (secrets / "SOURCE_DSN").write_text(DSN + "\n")
    (secrets / "METRICS_PORT").write_text("9000\n")
    settings = read_settings()
    assert (settings.source(), settings.metrics_port) == (DSN, 9000)


def test_the_environment_wins_over_a_secret_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "STATE_DSN").write_text("postgresql://file")
    monkeypatch.setenv("STATE_DSN", "postgresql://environment\n")
    assert read_settings().state() == "postgresql://environment"


def test_an_empty_variable_counts_as_unset(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "SOURCE_DSN").write_text(DSN)
    for name in ("SOURCE_DSN", "MAPPING_FILE", "METRICS_PORT"):
        monkeypatch.setenv(name, "")
    settings = read_settings()
    assert (settings.source(), settings.mapping_file, settings.metrics_port) == (DSN, None, 9464)


def test_a_missing_secrets_directory_is_no_error(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_DIRECTORY", str(secrets / "missing"))
    assert read_settings().state_dsn is None


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_PARTITIONS", "-7"),
        ("KAFKA_PARTITIONS", "eight"),
        ("SOURCE_SLOT", "ims-feed"),
        ("HEARTBEAT_SECONDS", "-7"),
        ("SETTLE_SECONDS", "-7"),
        ("LOG_LEVEL", "loud"),
        ("METRICS_PORT", "65536"),
    ],
)
def test_a_wrong_setting_is_named_but_not_shown(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingsError, match=f"wrong settings: {name}: ") as error:
        read_settings()
    assert value not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.usefixtures("secrets")
def test_one_error_names_all_wrong_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_LIMIT", "0")
    monkeypatch.setenv("STALL_SECONDS", "0")
    with pytest.raises(InvalidSettingsError, match=r"BATCH_LIMIT: .*; STALL_SECONDS: "):
        read_settings()


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_dsn_is_an_error_where_it_is_needed(value: str | None) -> None:
    settings = Settings.model_validate({"source_dsn": value, "state_dsn": value})
    with pytest.raises(InvalidSettingsError, match="SOURCE_DSN is not set"):
        settings.source()
    with pytest.raises(InvalidSettingsError, match="STATE_DSN is not set"):
        settings.state()


def test_a_dsn_is_not_printed(secrets: Path) -> None:
    (secrets / "SOURCE_DSN").write_text(DSN)
    (secrets / "STATE_DSN").write_text(DSN)
    settings = read_settings()
    assert "open-sesame" not in f"{settings} {settings!r} {settings.model_dump()}"


@pytest.mark.usefixtures("secrets")
def test_brokers_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092, kafka-2:9092")
    assert read_settings().bootstrap_servers == ["kafka-1:9092", "kafka-2:9092"]


def test_every_setting_is_described_with_its_unit_and_a_sentence() -> None:
    settings = list(descriptions())
    assert [setting.name for setting in settings[:2]] == ["SECRETS_DIRECTORY", "SOURCE_DSN"]
    assert len(settings) == len(Settings.model_fields) + 1
    for setting in settings:
        assert setting.unit
        assert setting.meaning.endswith(".")


def test_every_secret_is_masked(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in Settings.model_fields if name.endswith(("dsn", "password", "secret"))]
    assert len(names) == 7
    for number, name in enumerate(names):
        if number % 2:
            (secrets / name.upper()).write_text("open-sesame")
        else:
            monkeypatch.setenv(name.upper(), "open-sesame")
    settings = read_settings()
    assert all(getattr(settings, name).get_secret_value() == "open-sesame" for name in names)
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()} {list(descriptions())}"
    assert "sesame" not in shown


def test_world_readable_secret_files_are_named(secrets: Path) -> None:
    for name, mode in (("SOURCE_DSN", 0o644), ("STATE_DSN", 0o640), ("KAFKA_SASL_PASSWORD", 0o404), ("OTHER", 0o644)):
        (secrets / name).write_text("open-sesame")
        (secrets / name).chmod(mode)
    (secrets / "LOG_LEVEL").write_text("info")
    assert world_readable_secrets() == ["SOURCE_DSN", "KAFKA_SASL_PASSWORD"]
