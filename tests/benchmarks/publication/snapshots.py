"""A snapshot beside PostgreSQL's COPY and lxml's xmlfile, and its memory."""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import all_targets
from consumers.feed.snapshots import take_snapshot
from consumers.publication.gathering import Gatherer
from consumers.publication.postgres_view import PostgresView
from ims.publication.gathered import Terms
from ims.records.model import Record, RecordKey
from ims.xml.writer import Properties
from tests.benchmarks.figure import Figure
from tests.benchmarks.publication import lxml_writer
from tests.benchmarks.publication.large_state import NOW, TODAY, Published

_ROUNDS: Final = 2
_CHUNKS: Final = 12
"""Chunks of persons (``Gatherer.chunks``) whose records xmlfile writes: about 100,000."""
_FRAGMENTS: Final = "copy (select xml from imsfeed.published where target_id = {} order by kind, id, member) to stdout"


def snapshot_rates(published: Published, wanted: Collection[str]) -> Iterator[Figure]:
    """Yield the records per second of a whole snapshot, of a copy of its fragments, and of xmlfile."""
    connection, records = published.connection, published.records()
    target_id = all_targets(connection)[0].target_id
    copy, ours, sizes = [], [], []
    for number in range(_ROUNDS):
        copy.append(_copied(connection, target_id, published.root / f"copy-{number}"))
        began = time.perf_counter()
        entry = take_snapshot(connection, published.root / f"snapshot-{number}", target_id, NOW)
        ours.append(time.perf_counter() - began)
        sizes.append(entry.size)
    rate = records / min(ours)
    note = f"{records:,} records, {sizes[0] / 1e6:,.0f} MB; best of {_ROUNDS}"
    if "snapshot_vs_copy" in wanted:
        yield Figure("snapshot_vs_copy", rate, records / min(copy), "records/s", note)
    if "snapshot_vs_xmlfile" in wanted:
        sample = _sample(connection)
        properties = Properties(all_targets(connection)[0].position.source or "", "lms", "full", NOW)
        began = time.perf_counter()
        lxml_writer.write_streamed(published.root / "xmlfile.xml", properties, sample)
        xmlfile = len(sample) / (time.perf_counter() - began)
        yield Figure("snapshot_vs_xmlfile", rate, xmlfile, "records/s", f"{note}; xmlfile: {len(sample):,} of them")


def _copied(connection: Connection, target_id: int, path: Path) -> float:
    """Return the seconds that a copy of the fragments to a synced file takes."""
    began = time.perf_counter()
    with repeatable_read(connection), connection.cursor() as cursor, path.open("wb") as file:
        with cursor.copy(_FRAGMENTS.format(target_id).encode()) as copy:
            for data in copy:
                file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def _sample(connection: Connection) -> list[Record]:
    target = all_targets(connection)[0]
    gatherer = Gatherer(PostgresView(connection, target), Terms(target.settings, target.position.orgnr or "", TODAY))
    records: dict[RecordKey, Record] = {}
    for chunk, _, _ in islice(gatherer.chunks(), _CHUNKS + 1):
        records |= gatherer.compare(chunk, closed=False).roster.records
    return [record for _, record in sorted(records.items())]


def snapshot_memory(large: Published, small: Published) -> Iterator[Figure]:
    """Yield the peak memory of a process that takes a snapshot."""
    ours, reference = (_peak(one) for one in (large, small))
    note = f"peak of resident memory of a process; {large.records():,} records"
    yield Figure("snapshot_memory_large_vs_small", ours, reference, "MB", f"{note} against {small.records():,}")
    yield Figure("snapshot_memory_mb", ours, None, "MB", note)


def _peak(published: Published) -> float:
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.publication.snapshot_process",
        published.dsn,
        str(published.root / "memory"),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
