"""The latency of single commits: from the source's acknowledgement to a reader of the topic, on one clock."""

import random
import threading
import time
from typing import Final

import msgspec
import psycopg

from tests.benchmarks.debezium.topic_arrivals import BenchTopic

_INSERT: Final = "insert into enrolment values (1, %s, 1, 1, 'learner', date '2026-08-17', null, 'active')"
_MISSING_SECONDS: Final = 30


class _Key(msgspec.Struct, frozen=True):
    id: int = 0


def latencies(source_dsn: str, arriving: BenchTopic, commits: int, rate: float, first_id: int) -> list[float]:
    """Commit one row at a time, and wait for each to arrive.

    Args:
        source_dsn: the source; a process copies its changes to the topic.
        arriving: the topic.
        commits: how many.
        rate: commits per second; the pauses vary, so that they do not coincide with a process's polling.
        first_id: the first row's id.

    Returns:
        The latency of each in milliseconds.

    Raises:
        TimeoutError: a row has not arrived.
    """
    ids = range(first_id, first_id + commits)
    committed: dict[int, float] = {}
    arrived: dict[int, float] = {}
    arriving.skip()
    arriving.read()  # connects to the partitions
    writer = threading.Thread(target=_write, args=(source_dsn, ids, rate, committed))
    writer.start()
    deadline = time.monotonic() + commits / rate + _MISSING_SECONDS
    while len(arrived) < commits and time.monotonic() < deadline:
        keys = arriving.read()
        now = time.perf_counter()
        arrived |= {number: now for number in map(_id_of, keys) if number in ids}
    writer.join()
    if len(arrived) < commits:
        raise TimeoutError(f"only {len(arrived)} of {commits} commits have arrived")
    return [(arrived[number] - committed[number]) * 1000 for number in ids]


def _write(source_dsn: str, ids: range, rate: float, committed: dict[int, float]) -> None:
    pauses = random.Random(1)
    with psycopg.connect(source_dsn, autocommit=True) as source:
        for number in ids:
            time.sleep(pauses.uniform(0.5, 1.5) / rate)
            source.execute(_INSERT, [number])
            committed[number] = time.perf_counter()


def _id_of(key: bytes) -> int:
    return msgspec.json.decode(key, type=_Key).id
