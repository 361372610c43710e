"""`imsfeed resync`, with a capture that carries the requests out."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from deploy.commands import resync
from ims.errors import InvalidSettingsError
from ims.runtime.lifecycle import Stop
from ims.runtime.settings import Settings
from producers.loads import resync_requests
from producers.source.catalog import Connection
from tests.support.capturing import Topic, add_persons, capturing, persons_in, persons_of
from tests.support.waiting import until


def run_resync(settings: Settings, *arguments: str) -> Result:
    environment = {
        "SOURCE_DSN": settings.source(),
        "SOURCE_SLOT": settings.source_slot,
        "KAFKA_PARTITIONS": str(settings.kafka_partitions),
    }
    return CliRunner().invoke(app, ["resync", *arguments], env=environment)


def test_the_command_waits_until_an_owner_is_resynced(source: Connection, settings: Settings, published: Topic) -> None:
    add_persons(source, 1, 2)
    with capturing(settings):
        result = run_resync(settings, "1")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "owner 1: 4 rows sent, complete")
    until(
        lambda: sum(one.resync_owner == 1 for _, one in published.read()) == 3, what="owner and persons are sent again"
    )


def test_the_command_waits_until_every_table_is_loaded(
    source: Connection, settings: Settings, published: Topic
) -> None:
    add_persons(source, 1)
    with capturing(settings):
        until(published.persons, what="the person is published")
        result = run_resync(settings, "all")
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "every table: 6 rows sent, complete")
        until(lambda: len(published.persons()) == 2, what="the person is sent again")
    assert persons_in(published.facts()) == persons_of(source)


def test_a_request_without_waiting_stays_open(source: Connection, settings: Settings) -> None:
    result = run_resync(settings, "2", "--no-wait")
    assert (result.exit_code, result.stdout.startswith("requested")) == (0, True)
    request = resync_requests.oldest_open(source, settings.source_slot)
    assert request is not None
    assert request.owner_id == 2


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C as soon as the command waits."""

    @contextlib.contextmanager
    def stopped() -> Iterator[Stop]:
        stop = Stop()
        stop.set()
        yield stop

    monkeypatch.setattr(resync, "stop_on_signals", stopped)


@pytest.mark.usefixtures("interrupted")
def test_ctrl_c_leaves_the_request_to_a_silent_capture(source: Connection, settings: Settings) -> None:
    source.execute("update imsfeed.heartbeat set beat_at = now() - interval '1 minute'")
    result = run_resync(settings, "1")
    assert result.exit_code == 130
    assert "capture does not answer" in result.stderr
    assert "the request stays" in result.stderr
    assert resync_requests.oldest_open(source, settings.source_slot) is not None


@pytest.mark.usefixtures("interrupted", "source")
def test_a_capture_with_a_heartbeat_is_not_called_silent(settings: Settings) -> None:
    assert "does not answer" not in run_resync(settings, "all").stderr


def test_a_source_without_setup_is_refused_with_the_remedy(settings: Settings) -> None:
    result: Any = run_resync(settings, "1")
    assert isinstance(result.exception, InvalidSettingsError)
    assert "imsfeed setup source" in str(result.exception)


def test_an_owner_that_the_source_does_not_know_is_refused(source: Connection, settings: Settings) -> None:
    result: Any = run_resync(settings, "99", "--no-wait")
    assert isinstance(result.exception, InvalidSettingsError)
    assert re.search("no owner 99.*`imsfeed resync all`", str(result.exception))
    assert resync_requests.oldest_open(source, settings.source_slot) is None
    source.execute("insert into school (owner_id, id, name) values (98, 1, 'Fjordvik')")
    assert run_resync(settings, "98", "--no-wait").exit_code == 0, "its own row may be missing"


@pytest.mark.parametrize("owner", ["alle", "1.5", "99999999999999999999"])
def test_an_invalid_owner_is_refused(owner: str) -> None:
    result = CliRunner().invoke(app, ["resync", owner])
    assert result.exit_code == 2
    assert "the number of an owner" in result.output
