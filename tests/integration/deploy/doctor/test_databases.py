"""The checks that apply to both databases: encoding and clock."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest

from deploy.doctor.source_checks import check_source
from deploy.doctor.state_checks import check_state
from deploy.local.postgres import LocalPostgres
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import lines


def test_a_wrong_encoding_is_found(state_server: LocalPostgres) -> None:
    with psycopg.connect(state_server.any_dsn, autocommit=True) as admin:
        admin.execute("create database latin template template0 encoding 'LATIN1' locale 'C'")
        try:
            latin = Settings.model_validate({"state_dsn": state_server.dsn("latin")})
            assert lines(check_state(latin))["encoding"] == ("error", "LATIN1")
        finally:
            admin.execute("drop database latin with (force)")


def test_a_clock_that_differs_is_found(source_dsn: str, state_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate({"source_dsn": source_dsn, "state_dsn": state_dsn})
    assert lines(check_state(settings))["clock"][0] == "ok"
    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) - timedelta(seconds=5))
    monkeypatch.setattr("deploy.doctor.databases.datetime", clock)
    assert lines(check_state(settings))["clock"][0] == "warning"
    assert lines(check_source(settings))["clock"][0] == "warning"
