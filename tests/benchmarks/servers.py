"""The servers of a run: PostgreSQL and Apache Kafka, each started when a benchmark needs it and then shared."""

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
from tests.chaos.stack.servers import a_postgres
from tests.support.fixtures import kafka
from tests.support.fixtures.postgres import SOURCE_SCHEMA, temporary_database

_AS_IN_PRODUCTION: Final = "shared_buffers = '1GB'\n"
"""PostgreSQL waits for the disk, and has a quarter of 4 GB: with the default of 128 MB every row of a large table would
be a page that is read again, for us and for the references."""


class Servers:
    """PostgreSQL, which syncs to the disk as in production, and Apache Kafka. Databases and topics are new.

    Args:
        folder: an empty folder, where benchmarks may leave files.
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
        """The PostgreSQL server."""
        return LocalPostgres(self._open.enter_context(a_postgres(_AS_IN_PRODUCTION)).dsn())

    @functools.cached_property
    def kafka(self) -> str:
        """The bootstrap servers of the one node of Apache Kafka."""
        folder = self.empty_folder("kafka")
        return self._open.enter_context(kafka.running_kafka(folder))

    @contextlib.contextmanager
    def source(self) -> Iterator[str]:
        """Yield the DSN of a source database with the reference schema."""
        with temporary_database(self.postgres) as name:
            with psycopg.connect(self.postgres.dsn(name)) as connection:
                connection.execute(SOURCE_SCHEMA.read_bytes())
            yield self.postgres.dsn(name)

    @contextlib.contextmanager
    def state(self) -> Iterator[str]:
        """Yield the DSN of a state database with every migration applied."""
        with temporary_database(self.postgres) as name:
            migrate(self.postgres.dsn(name))
            yield self.postgres.dsn(name)

    def empty_folder(self, name: str) -> Path:
        """Create a new folder."""
        folder = self.folder / f"{name}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        return folder


def topic_name() -> str:
    """Return the name of a topic that does not exist."""
    return f"bench-{uuid.uuid4().hex[:12]}"
