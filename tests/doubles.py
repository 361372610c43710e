"""Kafka's partitions and the state database in memory; tests/contract holds them to what the real ones do."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from consumers.batch import Message, Outcome, Progress, Refused
from consumers.facts_store import FencedError
from consumers.kafka_source import OffsetLostError
from ims.facts import Table
from ims.mapping import COLUMNS, FactKey, missing_columns


class MemoryTopic:
    """A topic whose messages are appended with :meth:`append`; the rest is :class:`consumers.kafka_source.KafkaSource`.

    Args:
        partitions: how many it has.
        limit: most messages of one poll.
    """

    def __init__(self, partitions: int, limit: int = 500) -> None:
        self._log: dict[int, list[Message]] = {number: [] for number in range(partitions)}
        self._limit = limit
        self._next: dict[int, int] = {}

    def append(self, partition: int, value: bytes | None, key: bytes | None = None) -> None:
        """A producer's message arrives."""
        self._log[partition].append(Message(len(self._log[partition]), key, value))

    def partitions(self) -> set[int]:
        return set(self._log)

    def first_offset(self, partition: int) -> int:
        assert partition in self._log
        return 0

    def assign(self, offsets: dict[int, int]) -> None:
        for partition, offset in offsets.items():
            if not 0 <= offset <= len(self._log[partition]):
                raise OffsetLostError(f"offset {offset} is outside 0..{len(self._log[partition])}")
        self._next = dict(offsets)

    def poll(self, _seconds: float) -> dict[int, list[Message]]:
        polled = {}
        for partition, offset in self._next.items():
            if messages := self._log[partition][offset : offset + self._limit]:
                polled[partition] = messages
                self._next[partition] += len(messages)
        return polled

    def seek(self, partition: int, offset: int) -> None:
        self._next[partition] = offset

    def lag(self, offsets: dict[int, int]) -> dict[int, int]:
        return {partition: len(self._log[partition]) - offset for partition, offset in offsets.items()}

    def close(self) -> None:
        self._next = {}


class MemoryFacts:
    """The facts, progress and quarantine of :class:`consumers.facts_store.FactsStore`; marks are not kept.

    Args:
        partitions: of the topic, for whose owners a load is.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._progress: dict[int, Progress] = {}
        self._rows: dict[Table, dict[FactKey, tuple[dict[str, Any], int]]] = defaultdict(dict)
        self._refused: list[Refused] = []

    def progress(self, partition: int) -> Progress | None:
        return self._progress.get(partition)

    def begin(self, partition: int, next_offset: int) -> Progress:
        return self._progress.setdefault(partition, Progress(next_offset))

    def rows(self, table: Table) -> dict[FactKey, dict[str, Any]]:
        """The table's rows."""
        return {key: values for key, (values, _) in self._rows[table].items()}

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        self._move(partition, start, outcome.progress)
        refused = list(outcome.refused)
        for (table, key), row in outcome.rows.items():
            if row.values is None:
                self._rows[table].pop(key, None)
                continue
            stored, _ = self._rows[table].get(key, ({}, 0))
            values = row.values if row.whole else {**stored, **row.values}
            if missing_columns(table, values):
                refused.append(Refused(row.message, "missing_column", table.value))
            else:
                self._rows[table][key] = ({name: values.get(name) for name in COLUMNS[table]}, row.epoch)
        if outcome.loaded_epoch is not None:
            self._sweep(partition, outcome.loaded_epoch)
        self._refused += refused
        return refused

    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Iterable[Refused]) -> None:
        self._move(partition, start, outcome.progress)
        self._refused += refused

    def quarantine_size(self) -> int:
        return len(self._refused)

    def _move(self, partition: int, start: int, to: Progress) -> None:
        if self._progress[partition].next_offset != start:
            raise FencedError(f"partition {partition} no longer stands at offset {start}")
        self._progress[partition] = msgspec.structs.replace(to)

    def _sweep(self, partition: int, epoch: int) -> None:
        for rows in self._rows.values():
            for key, (_, seen) in list(rows.items()):
                if seen < epoch and key.owner_id % self._partitions == partition:
                    del rows[key]
