"""Capture beside kafka-python alone: what it costs to read the source and make events, in addition to sending them."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from ims.runtime.settings import Settings
from producers.events.topic import ensure_topic
from tests.benchmarks.capture.backlog import Backlog
from tests.benchmarks.capture.backlog_capture import (
    PARTITIONS,
    BacklogCapture,
    CaughtUp,
    backlog_capture,
    messages_of,
    topic_ends,
)
from tests.benchmarks.capture.producing import ReadyMessages, Sent
from tests.benchmarks.figure import Figure
from tests.benchmarks.servers import Servers, topic_name
from tests.benchmarks.sizes import Sizes

NAMES: Final = ("capture_vs_producer",)
_REPETITIONS: Final = 3


def figures(sizes: Sizes, servers: Servers, _wanted: frozenset[str]) -> Iterator[Figure]:
    """Yield the rows per second from write-ahead log to acknowledgement, in turn with sending the same bytes alone."""
    backlog = Backlog(sizes.backlog)
    folder = servers.empty_folder("capture")
    with (
        servers.source() as dsn,
        backlog_capture(dsn, servers.kafka, topic_name(), folder, backlog) as capture,
    ):
        ours, reference = _in_turn(capture, servers.kafka, folder / "messages")
    rows = sum(capture.expected.values())
    median = statistics.median(one.seconds for one in ours), statistics.median(one.seconds for one in reference)
    yield Figure(
        "capture_vs_producer",
        rows / median[0],
        rows / median[1],
        "rows/s",
        f"{rows:,} rows, {backlog.large:,} of them in one transaction; medians of {_REPETITIONS}; microseconds of CPU"
        f" a row: {_cpu(ours, rows):.0f}, reference {_cpu(reference, rows):.0f}",
    )


def _in_turn(capture: BacklogCapture, kafka: str, file: Path) -> tuple[list[CaughtUp], list[Sent]]:
    ours = [capture.catch_up(topic_name())]
    messages = messages_of(kafka, ours[0].topic, capture.expected)
    reference = [_produced(kafka, messages, file)]
    for _ in range(_REPETITIONS - 1):
        ours.append(capture.catch_up(topic_name()))
        reference.append(_produced(kafka, messages, file))
    return ours, reference


def _produced(kafka: str, messages: list[tuple[int, bytes, bytes]], file: Path) -> Sent:
    """Send the messages into a new topic with kafka-python, in a process of its own."""
    settings = Settings(kafka_bootstrap_servers=kafka, kafka_topic=topic_name(), kafka_partitions=PARTITIONS)
    ensure_topic(settings)
    file.write_bytes(msgspec.msgpack.encode(ReadyMessages(kafka, settings.kafka_topic, messages)))
    command = [sys.executable, "-m", "tests.benchmarks.capture.producing", str(file)]
    sent = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with topic_ends(kafka, settings.kafka_topic) as ends:
        assert sum(ends().values()) == len(messages)
    return msgspec.json.decode(sent, type=Sent)


def _cpu(runs: list[CaughtUp] | list[Sent], rows: int) -> float:
    return statistics.median(one.cpu_seconds for one in runs) / rows * 1_000_000
