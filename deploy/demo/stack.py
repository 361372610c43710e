"""What the demo runs on: two databases, a broker, and capture, materialize and compact as real processes.

SOURCE_DSN, STATE_DSN and KAFKA_BOOTSTRAP_SERVERS in the environment make it use other servers; there it creates
databases and a topic of its own, and removes them at the end.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local.broker import running_broker
from deploy.local.postgres import LocalPostgres, running_postgres
from deploy.local.process import LocalStackError, free_port, last_lines, running_process
from deploy.process_names import PROCESSES
from ims.runtime.kafka_connection import kafka_options
from ims.runtime.settings import Settings, read_settings

MARKER: Final = "made-by-imsfeed-demo"
"""A file that marks a demo's directory, so that no other directory is ever emptied."""

_SERVERS: Final = ("SOURCE_DSN", "STATE_DSN")
_SOON: Final = {"KAFKA_SESSION_SECONDS": "1"}
"""The embedded broker gives a group its partitions when half a session is over."""


class Stack(msgspec.Struct, frozen=True):
    """The demo's servers, processes and files.

    Attributes:
        directory: where the files are left.
        source_dsn: DSN of the source.
        state_dsn: DSN of the state database.
        environment: the settings of the processes.
        metrics: URL of each process's /metrics, once it is started.
        processes: the processes, once they are started.
    """

    directory: Path
    source_dsn: str
    state_dsn: str
    environment: Mapping[str, str]
    metrics: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]]

    @property
    def feed(self) -> Path:
        """The feed directory."""
        return self.directory / "feed"

    @property
    def settings(self) -> Settings:
        """The processes' settings, for use in this process."""
        return Settings.model_validate({name.lower(): value for name, value in self.environment.items()})

    def log(self, name: str) -> Path:
        """Return the file with the output of the process *name*."""
        return self.directory / "logs" / f"{name}.log"

    def check(self) -> None:
        """Check that every process is still running.

        Raises:
            LocalStackError: a process has ended; the text ends with its last lines.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise LocalStackError(f"{name} ended with {process.returncode}:\n{last_lines(self.log(name))}")


@contextmanager
def running_servers(directory: Path) -> Iterator[Stack]:
    """Run two empty databases and a broker until the block is left.

    Raises:
        LocalStackError: a server did not start.
    """
    (directory / "logs").mkdir(parents=True)
    (directory / MARKER).touch()
    suffix = uuid.uuid4().hex[:8]
    with ExitStack() as running:
        source_dsn, state_dsn = (
            running.enter_context(_database(server, f"imsfeed_demo_{suffix}_{name}"))
            for name, server in _postgres(directory, running).items()
        )
        environment = {
            "SOURCE_DSN": source_dsn,
            "STATE_DSN": state_dsn,
            "SOURCE_SLOT": f"imsfeed_demo_{suffix}",
            "SOURCE_PUBLICATION": f"imsfeed_demo_{suffix}",
            "KAFKA_BOOTSTRAP_SERVERS": running.enter_context(_broker(directory, f"imsfeed.demo.{suffix}")),
            "KAFKA_TOPIC": f"imsfeed.demo.{suffix}",
            "KAFKA_GROUP": f"imsfeed.demo.{suffix}",
            "FEED_DIRECTORY": str(directory / "feed"),
            "METRICS_HOST": "127.0.0.1",
        }
        if not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            environment |= _SOON
        yield Stack(directory, source_dsn, state_dsn, environment, {}, {})


@contextmanager
def running_processes(stack: Stack) -> Iterator[None]:
    """Run capture, materialize and compact until the block is left; each must then stop cleanly when asked to.

    Raises:
        LocalStackError: a process ended with another exit code than 0.
    """
    with ExitStack() as running:
        for name in PROCESSES:
            port = free_port()
            command = [sys.executable, "-m", "deploy", name]
            environment = {**os.environ, **stack.environment, "METRICS_PORT": str(port)}
            process = running.enter_context(running_process(command, stack.log(name), environment))
            stack.metrics[name] = f"http://127.0.0.1:{port}/metrics"
            stack.processes[name] = process
        yield
    for name, process in stack.processes.items():
        if process.returncode != 0:
            raise LocalStackError(f"{name} stopped with {process.returncode}:\n{last_lines(stack.log(name))}")


def _postgres(directory: Path, running: ExitStack) -> dict[str, LocalPostgres]:
    given = {name: os.environ[name] for name in _SERVERS if os.environ.get(name)}
    embedded = running.enter_context(running_postgres(directory / "postgres")) if len(given) < len(_SERVERS) else None
    servers = {}
    for name in _SERVERS:
        server = LocalPostgres(given[name]) if name in given else embedded
        if server is not None:
            servers[name.removesuffix("_DSN").lower()] = server
    return servers


@contextmanager
def _database(server: LocalPostgres, name: str) -> Iterator[str]:
    dsn = server.create_database(name)
    try:
        yield dsn
    finally:
        server.drop_database(name)


@contextmanager
def _broker(directory: Path, topic: str) -> Iterator[str]:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not given:
        with running_broker(directory / "logs" / "broker.log") as servers:
            yield servers
        return
    try:
        yield given
    finally:
        admin = KafkaAdminClient(**kafka_options(read_settings()))
        try:
            admin.delete_topics([topic])
            with suppress(KafkaError):  # no process has joined it
                admin.delete_groups([topic])
        finally:
            admin.close()
