"""How fast materialize applies a topic, beside what it builds on: kafka-python reading it, psycopg writing its rows.

A program that first reads with the one and then writes with the other reaches the rate ``1 / (1/reading + 1/writing)``:
that is the reference.
"""

import gc
import os
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, LiteralString

import msgspec
import psycopg
from kafka import TopicPartition

from consumers.materialize import kafka_source
from deploy.local.process import free_port, last_lines, running_process
from ims.runtime.settings import Settings
from producers.events import publisher
from producers.events.topic import ensure_topic
from tests.benchmarks.figure import Figure
from tests.benchmarks.materialize.source_history import history
from tests.benchmarks.materialize.upserting import batches, upserting_seconds
from tests.benchmarks.process_costs import cpu_seconds, peak_memory_mb
from tests.benchmarks.servers import Servers, topic_name
from tests.benchmarks.sizes import Sizes

NAME: Final = "materialize_vs_harmonic"
_ROUNDS: Final = 3
"""How often each of the three is timed, in turn; the shortest time counts, since disturbances only lengthen it."""
_POLL_SECONDS: Final = 0.01
_TIMEOUT_SECONDS: Final = 300.0
_WAL: Final = "select pg_current_wal_insert_lsn() - '0/0'"


class Applied(msgspec.Struct, frozen=True):
    """The time and the costs of applying the whole topic.

    Attributes:
        seconds: from when the process has its partitions until the last event is committed.
        own_seconds: CPU time of the process meanwhile.
        server_seconds: CPU time of its session's backend in PostgreSQL.
        wal_bytes: size of the write-ahead log.
        peak_mb: peak memory of the process.
        commits: transactions of facts.
    """

    seconds: float
    own_seconds: float
    server_seconds: float
    wal_bytes: int
    peak_mb: float
    commits: int


def figures(sizes: Sizes, servers: Servers, _wanted: frozenset[str]) -> Iterator[Figure]:
    """Measure ``materialize_vs_harmonic``."""
    settings = Settings.model_validate({"kafka_bootstrap_servers": servers.kafka, "kafka_topic": topic_name()})
    values = _fill(settings, sizes.events)
    ends = {partition: len(of) for partition, of in values.items()}
    given = batches(values, settings.batch_limit)
    del values
    gc.collect()
    gc.freeze()  # so that the collector does not go through these objects while a reference is measured
    reading, writing, applied = [], [], []
    for _ in range(_ROUNDS):
        reading.append(_reading_seconds(settings, ends))
        with servers.state() as dsn:
            writing.append(upserting_seconds(dsn, given))
        with servers.state() as dsn:
            applied.append(_applied(settings, dsn, sizes.events, servers.empty_folder("materialize")))
    gc.unfreeze()
    best = min(applied, key=lambda one: one.seconds)
    harmonic = sizes.events / (min(reading) + min(writing))
    yield Figure(
        NAME, sizes.events / best.seconds, harmonic, "events/s", _note(sizes, best, reading, writing, len(given))
    )


def _note(sizes: Sizes, best: Applied, reading: list[float], writing: list[float], commits: int) -> str:
    events = sizes.events
    return (
        f"{events:,} events; kafka-python reads {events / min(reading):,.0f}/s, psycopg writes"
        f" {events / min(writing):,.0f}/s in {commits} commits, ours were {best.commits};"
        f" of ours {best.own_seconds / events * 1e6:.0f} s CPU per million events, and"
        f" {best.server_seconds / events * 1e6:.0f} s in PostgreSQL; {best.wal_bytes / events:,.0f} bytes of WAL an"
        f" event; peak {best.peak_mb:.0f} MB"
    )


def _fill(settings: Settings, events: int) -> dict[int, list[bytes]]:
    """Fill the topic, and return the values in each partition."""
    values: dict[int, list[bytes]] = defaultdict(list)
    ensure_topic(settings)
    producer = publisher.connect(settings)
    try:
        for message in history(events, settings.kafka_partitions):
            producer.send(settings.kafka_topic, value=message.value, key=message.key, partition=message.partition)
            values[message.partition].append(message.value)
        producer.flush()
    finally:
        producer.close()
    return values


def _reading_seconds(settings: Settings, ends: dict[int, int]) -> float:
    """Return how long kafka-python, with materialize's settings, reads the topic, and msgspec decodes its JSON."""
    consumer = kafka_source.connect(settings)
    try:
        assigned = [TopicPartition(settings.kafka_topic, partition) for partition in range(settings.kafka_partitions)]
        consumer.assign(assigned)
        for partition in assigned:
            consumer.seek(partition, 0)
        left, began = sum(ends.values()), time.monotonic()
        while left:
            for records in consumer.poll(timeout_ms=500).values():
                read = [msgspec.json.decode(record.value) for record in records]
                left -= len(read)
        return time.monotonic() - began
    finally:
        consumer.close()


def _applied(settings: Settings, dsn: str, events: int, folder: Path) -> Applied:
    """Apply the whole topic to an empty state database with the real process."""
    with _materialize(settings, dsn, folder) as (pid, port), psycopg.connect(dsn, autocommit=True) as connection:
        log = folder / "materialize.log"
        _await(connection, 0, log)
        began, wal = time.monotonic(), _one(connection, _WAL)
        backend = _one(connection, "select pid from pg_stat_activity where application_name = 'imsfeed materialize'")
        own_before, server_before = cpu_seconds(pid), cpu_seconds(backend)
        _await(connection, events, log)
        return Applied(
            seconds=time.monotonic() - began,
            own_seconds=cpu_seconds(pid) - own_before,
            server_seconds=cpu_seconds(backend) - server_before,
            wal_bytes=_one(connection, _WAL) - wal,
            peak_mb=peak_memory_mb(pid),
            commits=_commits(port),
        )


@contextmanager
def _materialize(settings: Settings, dsn: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run the process, and yield its id and the port of its metrics."""
    port = free_port()
    environment = {
        **os.environ,
        "STATE_DSN": dsn,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "KAFKA_TOPIC": settings.kafka_topic,
        "METRICS_HOST": "127.0.0.1",
        "METRICS_PORT": str(port),
    }
    command = [sys.executable, "-m", "deploy", "materialize"]
    with running_process(command, folder / "materialize.log", environment) as process:
        yield process.pid, port


def _await(connection: psycopg.Connection[Any], offsets: int, log: Path) -> None:
    """Wait until the partitions are assigned and their offsets add up to *offsets*."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while _one(connection, "select sum(next_offset)::bigint from imsfeed.topic_partition") < offsets:
        if time.monotonic() > deadline:
            raise TimeoutError(f"materialize did not reach offset {offsets}: {last_lines(log)}")
        time.sleep(_POLL_SECONDS)


def _one(connection: psycopg.Connection[Any], query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    return -1 if row is None or row[0] is None else int(row[0])


def _commits(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    sample = next(line for line in lines if line.startswith("imsfeed_batches_committed_total "))
    return int(float(sample.rpartition(" ")[2]))
