"""A running installation that tests share, each with a school owner of its own."""

from collections.abc import Iterator
from itertools import count

import pytest

from deploy.local.postgres import LocalPostgres
from tests.chaos.workload.school_owner import SchoolOwner
from tests.support.fixtures.postgres import temporary_database
from tests.support.installation import Installation, installed

_OWNERS = count(2)


@pytest.fixture(scope="module")
def shared(
    source_server: LocalPostgres,
    source_template: str,
    state_server: LocalPostgres,
    state_template: str,
    kafka: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """An installation whose three processes run, and in which no heartbeat comes in between a test's changes."""
    folder = tmp_path_factory.mktemp("installation")
    with (
        temporary_database(source_server, source_template) as source,
        temporary_database(state_server, state_template) as state,
        installed(source_server.dsn(source), state_server.dsn(state), kafka, folder.name, folder) as installation,
    ):
        installation.environment["HEARTBEAT_SECONDS"] = "3600"
        installation.imsfeed("setup", "source")
        installation.start()
        yield installation


@pytest.fixture
def an_owner_of_its_own(shared: Installation) -> SchoolOwner:
    """A school owner for this test alone, which is not in the source yet."""
    return SchoolOwner(shared, next(_OWNERS))
