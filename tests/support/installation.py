"""imsfeed as it is installed: the real commands as processes, on real servers."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from consumers.feed.feed_directory import verify_folder
from deploy.local.process import free_port
from ims.feed.manifest import Manifest, decode
from ims.feed.verification import Verification
from ims.records.model import Record, RecordKey
from ims.source.facts import Fact
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import to_toml
from ims.xml.reader import ReadRecord, read
from tests.support.builders import ORGNR, a_target
from tests.support.pipeline import row_of, table_of
from tests.support.waiting import until

PROCESSES = ("capture", "materialize", "compact")


class Installation:
    """One school owner's whole installation.

    Args:
        folder: an empty folder for the feed and the logs.
    """

    def __init__(self, source_dsn: str, state_dsn: str, kafka: str, topic: str, folder: Path) -> None:
        name = f"imsfeed_{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.environment = {
            **os.environ,
            "SOURCE_DSN": source_dsn,
            "STATE_DSN": state_dsn,
            "SOURCE_SLOT": name,
            "SOURCE_PUBLICATION": name,
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_TOPIC": topic,
            "KAFKA_GROUP": name,
            "KAFKA_PARTITIONS": "2",
            "KAFKA_SESSION_SECONDS": "2",
            "HEARTBEAT_SECONDS": "1",
            "FEED_DIRECTORY": str(folder / "feed"),
            "METRICS_HOST": "127.0.0.1",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}
        self.source = psycopg.connect(source_dsn, autocommit=True)

    def imsfeed(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run a command to its end and return what it printed; it must exit with *code*."""
        done = subprocess.run(
            [sys.executable, "-m", "deploy", *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def set_up(self, **target: Any) -> None:
        """Set up both databases, with one target for owner 1."""
        self.imsfeed("setup", "source")
        self.imsfeed("setup", "state")
        settings: TargetSettings = a_target(**target)
        toml = self.folder / "targets.toml"
        toml.write_text(to_toml([settings]))
        self.imsfeed("targets", "apply", str(toml))

    def start(self, *names: str, **environment: str) -> None:
        """Start these processes, with more environment variables if given."""
        for name in names or PROCESSES:
            self.launch(name, "deploy", name, **environment)

    def launch(self, name: str, *arguments: str, **environment: str) -> None:
        """Start ``python -m`` with these arguments as the process *name*."""
        self.ports[name] = free_port()
        with self.log(name).open("ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env={**self.environment, "METRICS_PORT": str(self.ports[name]), **environment},
                stdout=output,
                stderr=output,
            )

    def await_end(self, name: str) -> int:
        """Wait until a process has ended by itself, and return its exit code."""
        return self.processes.pop(name).wait(timeout=60)

    def stop(self, *names: str, by: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        """Stop these processes by a signal, and return their exit codes."""
        stopping = {name: self.processes.pop(name) for name in names or list(self.processes)}
        for process in stopping.values():
            process.send_signal(by)
        return {name: process.wait(timeout=40) for name, process in stopping.items()}

    def close(self) -> None:
        """Kill all running processes."""
        self.stop(by=signal.SIGKILL)
        self.source.close()

    def log(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self.folder / f"{name}.log"

    def get(self, name: str, path: str = "/metrics") -> tuple[int, str]:
        """Send an HTTP request to a process, and return status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, sample: str) -> float:
        """Return the value of one sample of a process's metrics, by its name and labels."""
        lines = self.get(name)[1].splitlines()
        return float(next(line for line in lines if line.startswith(f"{sample} ")).rpartition(" ")[2])

    def write(self, *facts: Fact) -> None:
        """Insert rows into the source, or replace them, in one transaction."""
        insert(self.source, *facts)

    @property
    def target(self) -> Path:
        """The target's folder."""
        return self.folder / "feed" / ORGNR / "lms"

    def manifest(self) -> Manifest | None:
        """Return the manifest, if there is one yet."""
        try:
            return decode((self.target / "manifest.json").read_bytes())
        except FileNotFoundError:
            return None

    def first_manifest(self) -> Manifest:
        """Wait for the first publication, and return its manifest."""
        until(lambda: self.manifest() is not None, within=60, what=f"there is a manifest; {self.last_lines()}")
        manifest = self.manifest()
        assert manifest is not None
        return manifest

    def deltas(self) -> list[list[ReadRecord]]:
        """Return the records of every delta that the manifest names, in order."""
        manifest = self.manifest()
        paths = [delta.path for delta in manifest.deltas] if manifest is not None else []
        return [[item for item in read(self.target / path) if isinstance(item, ReadRecord)] for path in paths]

    def published(self) -> dict[RecordKey, Record]:
        """Return what an importer has after the latest snapshot and every delta after it."""
        manifest = self.first_manifest()
        files = [manifest.snapshot.path, *(d.path for d in manifest.deltas if d.seq > manifest.snapshot.seq)]
        known: dict[RecordKey, Record] = {}
        for path in files:
            for item in read(self.target / path):
                if isinstance(item, ReadRecord):
                    known.pop(item.record.key, None)
                    if item.recstatus is None or item.recstatus.name != "GONE":
                        known[item.record.key] = item.record
        return known

    def verification(self) -> Verification:
        """Return the verification of the target's feed."""
        return verify_folder(self.target)

    def status(self) -> dict[str, Any]:
        """Return the output of `imsfeed status --json`."""
        return msgspec.json.decode(self.imsfeed("status", "--json"), type=dict[str, Any])

    def last_lines(self) -> str:
        """Return the end of every log, for an assertion's text."""
        return "\n".join(
            f"{path.name}:\n" + "\n".join(path.read_text().splitlines()[-5:]) for path in self.folder.glob("*.log")
        )


def insert(source: psycopg.Connection[tuple[Any, ...]], *facts: Fact) -> None:
    """Insert rows into a source, or replace them, in one transaction."""
    with source.transaction():
        for fact in facts:
            row = row_of(fact)
            key = [column for column in ("owner_id", "id") if column in row]
            statement = sql.SQL(
                "insert into {table} ({columns}) values ({values}) on conflict ({key}) do update set {changes}"
            ).format(
                table=sql.Identifier(table_of(fact)),
                columns=_names(row),
                values=sql.SQL(", ").join(sql.Placeholder() for _ in row),
                key=_names(key),
                changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in row),
            )
            source.execute(statement, list(row.values()))


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


@contextmanager
def installed(source_dsn: str, state_dsn: str, kafka: str, topic: str, folder: Path) -> Iterator[Installation]:
    """Yield an installation whose processes end with the block."""
    installation = Installation(source_dsn, state_dsn, kafka, topic, folder)
    try:
        yield installation
    finally:
        installation.close()
