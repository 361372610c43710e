"""The servers of a run: PostgreSQL and Apache Kafka, each started when a benchmark asks for it and then shared."""

import contextlib
import functools
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from deploy.local.postgres import LocalPostgres
from deploy.state.migrate import migrate
from tests.chaos.servers import a_postgres
from tests.support.fixtures import kafka
from tests.support.fixtures.postgres import SOURCE_SCHEMA, temporary_database

_AS_IN_PRODUCTION: Final = "shared_buffers = '1GB'\n"
"""It waits for the disk, and has a quarter of 4 GB: with the 128 MB of an untouched installation every row of a large
table is a page that is read anew, for whoever reads it."""


class Servers:
    """PostgreSQL, which syncs to the disk as in production, and Apache Kafka. Databases and topics are fresh.

    Args:
        folder: an empty one, where benchmarks may leave files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @functools.cached_property
    def postgres(self) -> LocalPostgres:
        """The one PostgreSQL."""
        return LocalPostgres(self._open.enter_context(a_postgres(_AS_IN_PRODUCTION)).dsn())

    @functools.cached_property
    def kafka(self) -> str:
        """Bootstrap servers of the one node of Apache Kafka."""
        folder = self.empty_folder("kafka")
        return self._open.enter_context(kafka.running_kafka(folder))

    @contextlib.contextmanager
    def source(self) -> Iterator[str]:
        """The DSN of a source database with the reference schema."""
        with temporary_database(self.postgres) as name:
            with psycopg.connect(self.postgres.dsn(name)) as connection:
                connection.execute(SOURCE_SCHEMA.read_bytes())
            yield self.postgres.dsn(name)

    @contextlib.contextmanager
    def state(self) -> Iterator[str]:
        """The DSN of a state database with every migration applied."""
        with temporary_database(self.postgres) as name:
            migrate(self.postgres.dsn(name))
            yield self.postgres.dsn(name)

    def empty_folder(self, name: str) -> Path:
        """A new folder."""
        folder = self.folder / f"{name}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        return folder


def topic_name() -> str:
    """The name of a topic that does not exist."""
    return f"bench-{uuid.uuid4().hex[:12]}"
