"""The checks of this machine: mail server, metrics port, time zones."""

import socket
from pathlib import Path

import pytest

from deploy.doctor.machine_checks import check_mail, check_metrics, check_zone
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import lines
from tests.support.servers.mail_server import PASSWORD, USER, running_mail_server


def test_the_mail_server_is_greeted_and_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_mail_server(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        given = {
            "smtp_host": "localhost",
            "smtp_port": server.port,
            "smtp_user": USER,
            "smtp_password": PASSWORD,
            "smtp_from": "imsfeed@fjordvik.example",
        }
        assert lines(check_mail(Settings.model_validate(given)))["server"] == (
            "ok",
            "answers over starttls, accepts the login",
        )
        assert (server.arrived, server.logins) == ([], 1)
        server.password = "another"
        assert lines(check_mail(Settings.model_validate(given)))["server"][0] == "error"
        assert lines(check_mail(Settings.model_validate(given | {"smtp_from": None})))["settings"][0] == "error"


def test_a_port_of_another_program_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings.model_validate({"metrics_host": "127.0.0.1", "metrics_port": other.getsockname()[1]})
        assert lines(check_metrics(settings))["port"][0] == "error"
    assert lines(check_metrics(settings))["port"][0] == "ok"


def test_a_missing_time_zone_is_found() -> None:
    assert lines(check_zone("Europe/Oslo"))["time zones"][0] == "ok"
    assert lines(check_zone("Europe/Fjordvik"))["time zones"][0] == "error"
