"""The world of a chaos run: a whole installation with servers behind proxies, processes, school owners and feeds."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

from consumers.database import sessions, targets_table
from deploy.state.migrate import migrate
from ims.runtime.settings import Settings
from ims.source.facts import Fact
from producers.source import catalog, source_setup
from tests.chaos.stack.fleet import Fleet
from tests.chaos.stack.servers import Kafka, Postgres, Server, a_kafka, a_postgres
from tests.chaos.workload.driver import TEACHER
from tests.chaos.workload.school_owner import an_unheld_target, orgnr_of
from tests.support.builders import a_birth_number, a_group, a_person, a_school, an_employee, an_owner
from tests.support.fixtures.postgres import SOURCE_SCHEMA
from tests.support.installation import insert

OWNERS: Final = {1: (30, 300), 2: (20, 300), 3: (12, 400)}
"""Learners and groups of each owner; the first and the third have one partition."""
TARGETS: Final[dict[int, dict[str, Any]]] = {
    1: {"include_without_national_id": True},
    2: {"org_groups": True, "include_without_national_id": True},
    3: {"person_id": "running", "export_path": "Eksport.xml"},
}


class World:
    """The servers, the processes and the feeds.

    Attributes:
        servers: by name: source, state, kafka.
        clock: the file with the seconds by which the processes' clocks are wrong.
        over: set when every fault has to end.
    """

    def __init__(self, source: Postgres, state: Postgres, kafka: Kafka, folder: Path) -> None:
        self.source, self.state, self.kafka = source, state, kafka
        self.servers: dict[str, Server] = {"source": source, "state": state, "kafka": kafka}
        self.feed = folder / "feed"
        self.clock = folder / "clock"
        self.clock.write_text("0")
        self.over = threading.Event()
        self.environment = {
            "SOURCE_DSN": source.dsn(source.proxy.port),
            "STATE_DSN": state.dsn(state.proxy.port),
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka.proxy.port}",
            "KAFKA_PARTITIONS": "2",
            "HEARTBEAT_SECONDS": "1",
            "BATCH_LIMIT": "4",  # so that most transactions are applied in several batches
            "FEED_DIRECTORY": str(self.feed),
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": "0",
            "CLOCK_FILE": str(self.clock),
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
        }
        self.fleet = Fleet(self.environment, folder)

    def set_up(self) -> None:
        """Fill the source, and prepare both databases."""
        migrate(self.state.dsn())
        with psycopg.connect(self.source.dsn(), autocommit=True) as connection:
            connection.execute(SOURCE_SCHEMA.read_bytes())
            for owner in OWNERS:
                insert(connection, *_owner(owner))
        self.request_load(reload=False)
        for owner, settings in TARGETS.items():
            self.add_target(owner, "lms", **settings)

    def request_load(self, *, reload: bool = True) -> None:
        """Request that capture loads everything again."""
        with psycopg.connect(self.source.dsn(), autocommit=True, connect_timeout=5) as connection:
            source_setup.apply(connection, self._settings(), reload=reload)

    def is_loaded(self) -> bool:
        """Return True if no load is running or requested."""
        with psycopg.connect(self.source.dsn(), autocommit=True, connect_timeout=5) as connection:
            loaded = catalog.load_state(connection, self._settings().source_slot)
        return loaded is not None and loaded.loaded_at is not None

    def _settings(self) -> Settings:
        """Return the processes' settings, but with the source's own port."""
        values = {name.lower(): value for name, value in self.environment.items()}
        return Settings.model_validate(values | {"source_dsn": self.source.dsn()})

    def add_target(self, owner: int, name: str, **settings: object) -> None:
        """Add a target for an owner."""
        with sessions.connect(self.state.dsn(), "chaos") as connection:
            targets_table.apply_settings(connection, [an_unheld_target(owner=owner, name=name, **settings)], "chaos")


def _owner(owner: int) -> Iterator[Fact]:
    """Yield an owner, its school, groups, the teacher, and learners; every third has no national id yet."""
    learners, groups = OWNERS[owner]
    yield an_owner(owner_id=owner, orgnr=orgnr_of(owner))
    yield a_school(1, owner_id=owner)
    for number in range(1, groups + 1):
        yield a_group(number, owner_id=owner)
    for number in (*range(1, learners + 1), TEACHER):
        serial = owner * 100 + number % 100
        national_id = a_birth_number(serial) if number % 3 or number == TEACHER else None
        yield a_person(number, owner_id=owner, family_name="Testesen 1", national_id=national_id)
    yield an_employee(1, person=TEACHER, owner_id=owner)


@contextlib.contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """Yield an installation with running servers; its processes are not started yet, and all ends with the block."""
    with a_kafka(folder / "kafka") as kafka, a_postgres() as source, a_postgres() as state:
        world = World(source, state, kafka, folder)
        try:
            yield world
        finally:
            world.over.set()
            world.fleet.kill()
