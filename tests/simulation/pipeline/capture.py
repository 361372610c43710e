"""Capture in a schedule: the real stream, events and publisher, over models of the walsender and of Kafka.

The load repeats the steps of :mod:`producers.loads.initial_load`, which needs a real connection.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, cast

from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from ims.runtime.metrics import CaptureMetrics
from ims.source.facts import FACT_TYPES, Table
from producers.capture.stream import Stream
from producers.events.change_events import ChangeStream, load_event
from producers.events.ordered_events import OrderedEvents, Origin, TransactionContext
from producers.events.publisher import Publisher
from producers.source.captured_table import HEARTBEAT, OWNER_COLUMN, CapturedTable, TableName
from producers.source.replication import Data, Keepalive
from tests.simulation.pipeline.broker import Broker, Producer
from tests.simulation.pipeline.source import Source, Transaction, key_of
from tests.simulation.pipeline.wal_bytes import messages
from tests.simulation.violations import ViolationError
from tests.support.pipeline import row_of

TABLES: Final = {
    (name := TableName("public", table.value)): CapturedTable(
        name,
        OWNER_COLUMN,
        (OWNER_COLUMN,) if table is Table.OWNER else (OWNER_COLUMN, "id"),
        tuple(FACT_TYPES[table].__struct_fields__),
    )
    for table in Table
}
BEATING: Final = CapturedTable(HEARTBEAT, OWNER_COLUMN, (OWNER_COLUMN,), (OWNER_COLUMN, "beat_at"))
METRICS: Final = CaptureMetrics(CollectorRegistry())
_INFLIGHT_LIMIT: Final = 12


class NotedImmediately:
    """A record in the source of what capture may confirm, stored without delay."""

    def confirmable(self, lsn: int) -> int:
        return lsn


class ConnectionLostError(Exception):
    """The source is down, or was restarted."""


class Walsender:
    """A double of the real adapter that streams committed transactions from the slot's confirmed position."""

    def __init__(self, source: Source, broker: Broker, chance: random.Random) -> None:
        assert source.slot is not None
        self._source, self._broker, self._chance = source, broker, chance
        self._starts = source.starts
        self._next_lsn = source.slot.confirmed
        self._published: set[str] = set()
        self._waiting: deque[Data | Keepalive] = deque()
        self.allowed = 0
        self.asks = False

    def read(self, _limit: int) -> Iterator[Data | Keepalive]:
        self._connected()
        while self.allowed:
            self.allowed -= 1
            if not self._waiting and not self._decode_next():
                break
            yield self._waiting.popleft()
            if self._waiting and self._chance.random() < 0.05:
                # A keepalive in the middle of a transaction may already name a position after the whole of it.
                yield Keepalive(self._next_lsn, reply_requested=True)
        if not self._waiting and not self._behind():
            yield Keepalive(self._source.lsn, self.asks)

    def confirm(self, lsn: int, _now: float) -> None:
        self._connected()
        slot = self._source.slot
        assert slot is not None
        if lsn > slot.confirmed:
            self._check_that_kafka_has(slot.confirmed, lsn)
            slot.confirmed = lsn

    def wait(self, _seconds: float, *, for_data: bool = True) -> None:
        assert for_data in {True, False}

    def end(self, _seconds: float) -> bool:
        return True

    def _check_that_kafka_has(self, after: int, through: int) -> None:
        source = self._source
        for transaction in source.wal:
            if transaction.commit_lsn >= after and transaction.end_lsn <= through:
                expected = transaction.events()
                arrived = self._broker.events(source.capture.epoch, transaction.commit_lsn)
                if arrived != expected:
                    raise ViolationError(
                        f"the slot is confirmed beyond a commit of which Kafka has only {arrived} of {expected} events"
                    )

    def _connected(self) -> None:
        if self._starts != self._source.starts:
            raise ConnectionLostError

    def _behind(self) -> Transaction | None:
        return next((t for t in self._source.wal if t.commit_lsn >= self._next_lsn), None)

    def _decode_next(self) -> bool:
        transaction = self._behind()
        if transaction is None:
            return False
        self._waiting.extend(messages(transaction, self._published))
        self._next_lsn = transaction.end_lsn
        return True


class Capture:
    """The process: down, loading, or streaming.

    Attributes:
        happened: called with each event that must happen in some schedules.
        late: producers of dead processes, whose messages may still arrive.
    """

    def __init__(self, source: Source, broker: Broker, chance: random.Random, happened: Callable[[str], None]) -> None:
        self._source, self._broker, self._chance = source, broker, chance
        self._happened = happened
        self._load: Iterator[None] | None = None
        self._stream: Any = None
        self._walsender: Walsender | None = None
        self._changes: ChangeStream | None = None
        self.producer: Producer | None = None
        self.late: list[Producer] = []

    @property
    def lives(self) -> bool:
        """Return whether it runs."""
        return self.producer is not None

    @property
    def can_start(self) -> bool:
        """Return whether the preflight passes: a load is requested, or the slot has kept everything."""
        return not self.lives and (not self._source.capture.loaded or self._source.slot is not None)

    def start(self, now: datetime) -> None:
        """Open all connections; load if a load is requested, else stream."""
        self.producer = Producer(self._source.partitions)
        publisher = Publisher(self.producer, "changes", METRICS)
        if self._source.capture.loaded:
            self._stream_with(publisher)
        else:
            self._load = self._loading(publisher, now)

    def step(self, count: int, *, report: bool) -> None:
        """Take one turn: read *count* messages or load a few rows; a failure of either side ends this session."""
        try:
            if self._load is not None:
                if next(self._load, "complete") == "complete":
                    self._load = None
            elif not self._source.capture.loaded:
                self._stop_to_load()
            else:
                self._turn(count, report=report)
        except ConnectionLostError:
            self.die("capture lost its connection")
        except KafkaError:
            self.die("kafka gave a message up")

    def forget_late(self) -> None:
        """Lose the messages of the oldest dead producer that have not arrived."""
        self.late.pop(0)

    def die(self, how: str) -> None:
        """End the process immediately; messages that it has sent may still arrive."""
        assert self.producer is not None
        self._happened(how)
        if self._load is not None:
            self._happened("a load was broken off")
        if self._changes is not None and self._changes.in_transaction:
            self._happened("capture died inside a transaction")
        self.producer.alive = False
        if self.producer.busy() and self._chance.random() < 0.5:
            self.late.append(self.producer)
        self.producer = self._load = self._stream = self._walsender = self._changes = None

    def _turn(self, count: int, *, report: bool) -> None:
        assert self._walsender is not None
        self._walsender.allowed, self._walsender.asks = count, report
        if report:
            self._stream._reported = float("-inf")
        self._stream.turn()

    def _stop_to_load(self) -> None:
        assert self.producer is not None
        self.producer.patient = self._chance.random() < 0.5
        if self.producer.patient:
            for partition in range(self._source.partitions):
                self._broker.take(self.producer, partition, 10_000)
                self._broker.acknowledge(self.producer, partition)
        self._stream.finish()
        self.die("capture stopped to load")

    def _stream_with(self, publisher: Publisher) -> None:
        self._walsender = Walsender(self._source, self._broker, self._chance)
        origin = Origin("adm", self._source.capture.epoch)
        self._changes = ChangeStream(origin, {**TABLES, HEARTBEAT: BEATING}, self._source.partitions)
        walsender, noted = cast("Any", self._walsender), cast("Any", NotedImmediately())
        self._stream = Stream(walsender, publisher, self._changes, _INFLIGHT_LIMIT, METRICS, noted)

    def _loading(self, publisher: Publisher, now: datetime) -> Iterator[None]:
        """Load step by step; see :meth:`producers.loads.initial_load.InitialLoad.run`."""
        source = self._source
        epoch = source.capture.epoch = next_epoch(source.capture.epoch, now)
        self._happened("a load was begun")
        yield
        while source.open_transactions:
            yield
        starts, (point, rows) = source.starts, source.create_slot()
        context = TransactionContext("load", point - 1, int(now.timestamp() * 1000), None, loading=True)
        events = OrderedEvents(Origin("adm", epoch), context)
        for number, fact in enumerate(rows.values()):
            table = TABLES[TableName("public", key_of(fact)[0].value)]
            self._send(publisher, events.add(load_event(table, row_of(fact), source.partitions), point))
            if number % 8 == 0:
                yield
                self._connected(starts)
        for partition in range(source.partitions):
            beat = {OWNER_COLUMN: partition, "beat_at": now.isoformat()}
            self._send(publisher, events.add(load_event(BEATING, beat, source.partitions), point))
        for message in events.finish():
            publisher.send(message)
        while publisher.inflight:
            publisher.acknowledged()
            yield
            self._connected(starts)
        source.capture.loaded = True
        self._happened("a load was completed")
        self._stream_with(publisher)

    def _send(self, publisher: Publisher, message: Any) -> None:
        if message is not None:
            publisher.send(message)

    def _connected(self, starts: int) -> None:
        if starts != self._source.starts:
            raise ConnectionLostError


def next_epoch(last: int, now: datetime) -> int:
    """Return the epoch of a load, which is never reused, even if a restored source has lost the last ones."""
    return max(last + 1, int(now.timestamp()))
