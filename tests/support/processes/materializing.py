"""Materialize for tests: in a thread, or as a process that is killed and paused; messages for it, and its group."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from prometheus_client import CollectorRegistry

from consumers.database.sessions import Connection
from consumers.materialize import process as materialize
from ims.runtime.lifecycle import Stop
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings
from ims.source.events import Envelope, Source, Transaction, encode
from tests.support.builders import a_person
from tests.support.pipeline import row_of
from tests.support.waiting import until

PARTITIONS = 4


class Materializing:
    """A materializer in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = MaterializeMetrics(CollectorRegistry(), PARTITIONS, settings.kafka_topic)
        self.ready = False
        self.error: BaseException | None = None
        self.stop = Stop()
        self._settings = settings
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            materialize.run(self._settings, self.stop, self.metrics, self._set_ready)
        except Exception as error:  # noqa: BLE001 - has() and the tests check it
            self.error = error

    def _set_ready(self, ready: bool) -> None:
        self.ready = ready

    def has(self, count: int) -> bool:
        assert self.error is None
        return bool(self.metrics.partitions_assigned._value.get() == count)

    @property
    def received(self) -> float:
        return float(self.metrics.events_received._value.get())

    @property
    def fenced(self) -> float:
        return float(self.metrics.fencing_rejections._value.get())

    def end(self) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def send(settings: Settings, lsn: int, *partitions: int) -> None:
    """Send one more person to every partition, or to *partitions* only."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, acks="all")
    for partition in partitions or range(PARTITIONS):
        envelope = Envelope(
            source=Source(schema="public", table="person", epoch=1),
            op="c",
            after=row_of(a_person(lsn, owner_id=partition)),
            transaction=Transaction(f"7:{lsn}", 1, 1, last=True),
        )
        producer.send(settings.kafka_topic, encode(envelope), partition=partition).get(timeout=30)
    producer.close()


def persons(state: Connection) -> int:
    (row,) = state.execute("select count(*) from imsfeed.person").fetchall()
    return int(row[0])


@contextmanager
def a_process(settings: Settings, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run materialize as a process, and kill it at the end."""
    variables = {
        "STATE_DSN": settings.state(),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "KAFKA_TOPIC": settings.kafka_topic,
        "KAFKA_GROUP": settings.kafka_group,
        "KAFKA_PARTITIONS": str(settings.kafka_partitions),
        "KAFKA_SESSION_SECONDS": str(settings.kafka_session_seconds),
        "METRICS_HOST": "127.0.0.1",
        "METRICS_PORT": "0",
    }
    with (folder / "materialize.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.stack.launch", "materialize"],
            env={**os.environ, **variables, **environment},
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def log_of(folder: Path) -> str:
    return (folder / "materialize.log").read_text()


def pauses(process: subprocess.Popen[bytes]) -> bool:
    number, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
    assert not number or os.WIFSTOPPED(status), "the process has ended instead of pausing"
    return bool(number)


def joined(settings: Settings, members: int) -> bool:
    return len(described(settings)["members"]) == members


def described(settings: Settings) -> dict[str, Any]:
    """Return Kafka's description of the group, as kafka-consumer-groups --describe --members --verbose shows it."""
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        return dict(admin.describe_groups([settings.kafka_group])[settings.kafka_group])
    finally:
        admin.close()


def assignments(settings: Settings, key: str = "group_instance_id") -> dict[str | None, list[int]]:
    """Return the partitions of each member, by KAFKA_INSTANCE or by another field of the member."""
    return {
        member[key]: [
            number
            for topic in (member["member_assignment"] or {"assigned_partitions": []})["assigned_partitions"]
            for number in topic["partitions"]
        ]
        for member in described(settings)["members"]
    }


def a_member_that_does_not_poll(settings: Settings) -> Any:
    """Return another member of the group, which gets half of the partitions and then sends heartbeats only."""
    silent = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.kafka_group,
        client_id="silent",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=(CooperativeStickyAssignor,),
        heartbeat_interval_ms=500,
    )
    silent.subscribe([settings.kafka_topic])

    def has_its_share() -> bool:
        silent.poll(timeout_ms=100)
        return len(silent.assignment()) == PARTITIONS // 2

    until(has_its_share, what="the silent member has its share")
    return silent
