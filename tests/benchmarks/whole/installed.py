"""imsfeed with the default of every setting, as real processes on a benchmark's servers, with published owners."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kafka import KafkaAdminClient

from ims.feed.manifest import MANIFEST
from ims.targets.written_settings import to_toml
from tests.benchmarks.servers import Servers, topic_name
from tests.benchmarks.whole.school import School
from tests.support.builders import a_target
from tests.support.installation import PROCESSES, Installation, installed
from tests.support.waiting import until

_SHORTENED: Final = ("KAFKA_PARTITIONS", "KAFKA_SESSION_SECONDS", "HEARTBEAT_SECONDS")
"""Settings that the tests make smaller than in production."""


@contextlib.contextmanager
def published(
    servers: Servers, schools: Sequence[School], targets: int = 1, **environment: str
) -> Iterator[Installation]:
    """Yield the three idle processes, with each school published and reconciled.

    Args:
        targets: how many targets each school has, with equal settings.
        environment: settings that differ from the defaults.
    """
    topic = topic_name()
    with servers.source() as source, servers.state() as state:
        folder = servers.empty_folder("installation")
        try:
            with installed(source, state, servers.kafka, topic, folder) as installation:
                for name in _SHORTENED:
                    del installation.environment[name]
                installation.environment |= environment
                _publish(installation, schools, targets)
                yield installation
                installation.stop()
        finally:
            _delete_topic(servers.kafka, topic)


def folders(installation: Installation, school: School) -> list[Path]:
    """Return the folders of a school's targets."""
    return sorted((installation.folder / "feed" / school.orgnr).iterdir())


def process_ids(installation: Installation) -> dict[str, int]:
    """Return the ids of the running processes, by name."""
    return {name: process.pid for name, process in installation.processes.items()}


def _publish(installation: Installation, schools: Sequence[School], targets: int) -> None:
    installation.imsfeed("setup", "source")
    names = [f"lms-{number}" for number in range(1, targets + 1)]
    toml = installation.folder / "targets.toml"
    toml.write_text(to_toml([a_target(owner=school.owner, name=name) for school in schools for name in names]))
    installation.imsfeed("targets", "apply", str(toml))
    for school in schools:
        school.fill(installation.source)
    installation.start(*PROCESSES)
    feed = installation.folder / "feed"
    manifests = [feed / school.orgnr / name / MANIFEST for school in schools for name in names]
    until(lambda: all(map(Path.exists, manifests)), within=300, what="everything is published")
    until(lambda: _reconciled(installation) == len(manifests), within=300, what="everything is reconciled")


def _reconciled(installation: Installation) -> int:
    """Return how many reconciliations have ended: one follows each scheduled snapshot, including the first."""
    return installation.log("compact").read_text().count('"check": "source"')


def _delete_topic(kafka: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        admin.delete_topics([topic])
    finally:
        admin.close()
