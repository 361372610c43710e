"""A healthy installation, in which the tests of the doctor plant one fault after another."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from deploy.local.postgres import LocalPostgres
from ims.runtime.settings import Settings
from tests.integration.deploy.doctor.findings import settings_of
from tests.support.builders import a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.fixtures.postgres import temporary_database
from tests.support.installation import Installation, installed
from tests.support.waiting import until


@pytest.fixture(scope="module")
def healthy(
    source_server: LocalPostgres,
    source_template: str,
    state_server: LocalPostgres,
    state_template: str,
    kafka: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """An installation that runs and has published; the tests of a module share it, and undo what they change."""
    with (
        temporary_database(source_server, source_template) as source,
        temporary_database(state_server, state_template) as state,
        installed(
            source_server.dsn(source),
            state_server.dsn(state),
            kafka,
            f"test-doctor-{uuid.uuid4().hex[:12]}",
            tmp_path_factory.mktemp("doctor"),
        ) as installation,
    ):
        installation.write(an_owner(), a_school(1), a_group(1), a_person(1), an_enrolment(1))
        installation.set_up()
        installation.start()
        installation.first_manifest()
        until(lambda: has_all_heartbeats(installation), what="a heartbeat has come through each partition")
        yield installation


def has_all_heartbeats(installation: Installation) -> bool:
    partitions = installation.status()["partitions"]
    return len(partitions) == 2 and all(partition["heartbeat_at"] for partition in partitions)


@pytest.fixture
def settings(healthy: Installation) -> Settings:
    return settings_of(healthy)


@pytest.fixture
def state(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.state(), autocommit=True) as connection:
        yield connection
