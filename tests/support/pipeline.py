"""Materialize and compact step by step in one thread, on a real state database and a real folder."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from prometheus_client import CollectorRegistry

from consumers.compact.process import EXCLUDED_SERIES, Compactor
from consumers.database import sessions, targets_table
from consumers.database.mapping_record import note_mapping
from consumers.feed.feed_directory import verify_folder
from consumers.holds.open_holds import open_holds
from consumers.materialize.apply import materialize_once
from consumers.materialize.batch import Message, Outcome, Progress, Refused
from consumers.materialize.facts_store import FactsStore
from consumers.operations import approvals
from consumers.operations.holds_report import read_hold
from ims.feed.manifest import Manifest, decode
from ims.feed.verification import Verification
from ims.identifiers.national_id import NationalId
from ims.records.model import Record, RecordKey
from ims.runtime.metrics import CompactMetrics
from ims.runtime.settings import Settings
from ims.source.events import Envelope, Source, Transaction, encode
from ims.source.facts import FACT_TYPES, Fact, Owner
from ims.source.mapping import REFERENCE_MAPPING
from ims.targets.target_settings import TargetSettings
from ims.xml.reader import ReadRecord, read
from tests.support.builders import ORGNR, a_target

NOON = datetime(2026, 10, 15, 10, tzinfo=UTC)
"""The time at which a pipeline starts."""

T = TypeVar("T")


class Immediately(Executor):
    """An executor that runs its work immediately, in the caller's thread."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - a future keeps whatever is raised
            future.set_exception(error)
        return future


def row_of(fact: Fact) -> dict[str, Any]:
    """Return the fact as the source's row in JSON."""
    return {
        name: value.reveal()
        if isinstance(value, NationalId)
        else value.isoformat()
        if isinstance(value, date)
        else value
        for name, value in msgspec.structs.asdict(fact).items()
    }


def table_of(fact: Fact) -> str:
    """Return the name of the source's table that has the fact as a row."""
    return next(table.value for table, kind in FACT_TYPES.items() if isinstance(fact, kind))


class Pipeline:
    """A state database and a feed: :meth:`commit` is a commit of the source, :meth:`compact` updates the feed.

    Args:
        dsn: a fresh state database.
        folder: an empty folder for the feed.
    """

    def __init__(self, dsn: str, folder: Path) -> None:
        self.settings = Settings.model_validate({
            "state_dsn": dsn,
            "feed_directory": folder,
            "settle_seconds": 0,
            "kafka_partitions": 1,
        })
        self.connection = sessions.connect(dsn, "test")
        self.store = FactsStore(self.connection, "test", 1)
        self.progress: Progress = self.store.begin(0, 0)
        note_mapping(self.connection, "test", [0], REFERENCE_MAPPING.digest)
        self.metrics = CompactMetrics(CollectorRegistry(), EXCLUDED_SERIES)
        self.compactor = Compactor(self.settings, self.metrics, self.connection, Immediately())
        self.now = NOON
        self.epoch = 1
        self.key: bytes | None = None
        """The Kafka key of the messages that arrive."""
        self._lsn = count(100)
        self._offset = count()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def target(self, **changes: Any) -> TargetSettings:
        """Create a target that is enabled and accepts synthetic numbers, or change it."""
        settings = a_target(**changes)
        targets_table.apply_settings(self.connection, [settings], "test")
        return settings

    def load(self, *facts: Fact) -> tuple[Outcome, list[Refused]]:
        """Apply a complete load in a new epoch, in which the source has only these rows."""
        self.epoch += 1
        return self.commit(*facts, op="r")

    def commit(
        self, *facts: Fact, gone: bool = False, whole: bool = True, op: str = "c"
    ) -> tuple[Outcome, list[Refused]]:
        """Apply one transaction of the source that writes these rows, or deletes them.

        Args:
            gone: the rows are deleted.
            whole: the transaction's last event is among them.
            op: ``c``, or ``r`` for rows of a load.
        """
        lsn = next(self._lsn)
        events = []
        for number, fact in enumerate(facts, 1):
            row = row_of(fact)
            key = {name: row[name] for name in (("owner_id",) if isinstance(fact, Owner) else ("owner_id", "id"))}
            last = whole and number == len(facts)
            transaction = Transaction(f"7:{lsn}", number, 1, last=last or None)
            source = Source(schema="public", table=table_of(fact), ts_ms=self._milliseconds(), epoch=self.epoch)
            envelope = Envelope(source=source, op="d" if gone else op, transaction=transaction)
            envelope.before, envelope.after = (key, None) if gone else (None, row)
            events.append(encode(envelope))
        return self.deliver(*events)

    def deliver(self, *values: bytes | None) -> tuple[Outcome, list[Refused]]:
        """Apply messages with these values as one batch."""
        messages = [Message(next(self._offset), self.key, value) for value in values]
        outcome, refused = materialize_once(self.store, 0, messages, self.progress, REFERENCE_MAPPING, 0)
        self.progress = outcome.progress
        return outcome, refused

    def compact(self, **later: float) -> None:
        """Let time pass, and bring every feed up to date."""
        self.now += timedelta(**later)
        for _ in range(3):  # a first publication takes three steps: the records, the snapshot, the manifest
            self.compactor.step(self.now)

    def approve(self, **later: float) -> None:
        """Approve everything on hold, and bring every feed up to date."""
        for hold in open_holds(self.connection):
            in_scope = read_hold(self.connection, hold.hold_id, self.now)
            approvals.approve(self.connection, hold.hold_id, in_scope.hold.digest, "test", "tested", self.now)
        self.compact(**later)

    def folder(self, name: str = "lms") -> Path:
        """Return the folder of a target."""
        return self.settings.feed_directory / ORGNR / name

    def manifest(self, name: str = "lms") -> Manifest:
        """Return a target's manifest."""
        return decode((self.folder(name) / "manifest.json").read_bytes())

    def delta(self, seq: int, name: str = "lms") -> list[ReadRecord]:
        """Return the records of a delta."""
        return [item for item in read(self.folder(name) / f"deltas/{seq}.xml") if isinstance(item, ReadRecord)]

    def snapshot(self, name: str = "lms") -> dict[RecordKey, Record]:
        """Return the records of the latest snapshot."""
        items = read(self.folder(name) / self.manifest(name).snapshot.path)
        return {item.record.key: item.record for item in items if isinstance(item, ReadRecord)}

    def verification(self, name: str = "lms") -> Verification:
        """Verify a target's feed."""
        folder = self.folder(name)
        return verify_folder(folder)

    def _milliseconds(self) -> int:
        return int(self.now.timestamp() * 1000)
