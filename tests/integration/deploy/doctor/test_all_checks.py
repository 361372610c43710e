"""`imsfeed doctor` as a whole: a healthy installation has no error, and no area hides or delays another."""

import socket

import msgspec
import pytest

from deploy.doctor.all_checks import run_checks
from deploy.doctor.finding import Area, Finding, Findings
from deploy.doctor.kafka_checks import check_kafka
from deploy.doctor.machine_checks import check_mail
from deploy.doctor.reconciliation_source_checks import check_reconciliation_source
from deploy.doctor.source_checks import check_source
from deploy.doctor.state_checks import check_state
from deploy.doctor.target_checks import check_targets
from deploy.local.process import free_port
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import lines, settings_of
from tests.support.installation import Installation


def test_a_healthy_installation_has_no_error(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(healthy.environment, "RECONCILE_SOURCE_DSN", healthy.environment["SOURCE_DSN"])
    monkeypatch.setitem(healthy.environment, "METRICS_PORT", str(healthy.ports["compact"]))
    output = healthy.imsfeed("doctor", "--json")
    found = msgspec.json.decode(output[output.index("[") : output.rindex("]") + 1], type=list[Finding])
    assert [line for line in found if line.status == "error"] == []
    assert {line.area for line in found} >= {"machine", "source", "kafka", "state", "targets", "feed", "metrics"}
    assert not [line for line in found if line.status in {"warning", "error"} and not line.fix]
    assert f"imsfeed answers at {healthy.ports['compact']}" in output


def test_the_members_of_the_consumer_group_are_named(healthy: Installation) -> None:
    settings = settings_of(healthy)
    assert lines(check_kafka(settings))["consumer group"] == (
        "ok",
        f"{settings.kafka_group}: 1 members: 127.0.0.1 has 0, 1",
    )


def test_an_error_names_the_fix_and_exits_with_1(healthy: Installation) -> None:
    healthy.source.execute("alter table person replica identity nothing")
    try:
        output = healthy.imsfeed("doctor", code=1)
    finally:
        healthy.source.execute("alter table person replica identity default")
    assert "source: table public.person: its replica identity lacks owner_id or the primary key" in output
    assert "run `imsfeed setup source`" in output


def test_unconfigured_servers_are_skipped() -> None:
    settings = Settings()
    assert lines(check_source(settings)) == {"reachable": ("skipped", "SOURCE_DSN: not configured here")}
    for checks in (check_reconciliation_source, check_state, check_targets, check_mail):
        ((status, text),) = lines(checks(settings)).values()
        assert (status, "not configured here" in text) == ("skipped", True)


def test_each_unreachable_server_is_one_error() -> None:
    nowhere = f"postgresql://imsfeed:secret@127.0.0.1:{free_port()}/none"
    settings = Settings.model_validate({
        "source_dsn": nowhere,
        "state_dsn": nowhere,
        "reconcile_source_dsn": nowhere,
        "kafka_bootstrap_servers": f"127.0.0.1:{free_port()}",
    })
    for checks in (check_source, check_state, check_kafka):
        found = lines(checks(settings))
        assert found["reachable"][0] == "error"
        assert "skipped" in {status for status, _ in found.values()}
    assert lines(check_reconciliation_source(settings))["select"][0] == "error"
    assert "secret" not in str([
        *check_source(settings),
        *check_state(settings),
        *check_reconciliation_source(settings),
    ])


def test_no_area_stops_or_delays_another() -> None:
    area = Area("x")
    ended = socket.socketpair()

    def broken(_settings: Settings) -> Findings:
        yield area.ok("first", "before the defect")
        raise ValueError("01810012345")

    def silent(_settings: Settings) -> Findings:
        ended[0].recv(1)
        yield area.ok("never", "")

    areas = {"broken": broken, "silent": silent, "last": lambda _s: iter([area.ok("last", "")])}
    found = run_checks(Settings(), areas=areas, deadline_seconds=0.2)
    for one in ended:
        one.close()
    assert [(line.check, line.status) for line in found] == [
        ("first", "ok"),
        ("check", "error"),
        ("deadline", "error"),
        ("last", "ok"),
    ]
    assert "01810012345" not in str(found)
