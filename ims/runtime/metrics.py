"""The Prometheus metrics of each process; every series exists from the start, at zero.

A series that appears only with its first event hides that event: ``increase()`` sees no step from nothing to one.
No label has an owner, a person or a group: there are too many of them, and they do not belong in monitoring.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import product
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

TABLES = ("owner", "school", "person", "employee", "course_group", "enrolment", "heartbeat")
OPERATIONS = ("c", "u", "d", "r", "t")
QUARANTINE_REASONS = (
    "not_json",
    "not_an_envelope",
    "unknown_op",
    "unknown_table",
    "missing_column",
    "impossible_value",
    "too_large",
    "unknown_word",
    "wrong_partition",
    "truncate",
)
RECONCILIATION_CHECKS = ("files", "rules", "source")
TARGET_STATES = ("ok", "held", "stale", "waiting", "disabled")
CLOCKS = ("local", "database", "source_ahead", "source_behind", "disagree", "leap")
HOLD_CAUSES = (
    "persons",
    "teachers",
    "id_changes",
    "logins",
    "memberships",
    "teacher_memberships",
    "groups",
    "setting",
    "resync",
    "school_number",
    "initial",
)
END_TO_END_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

Labels = Sequence[str]
Values = Iterable[tuple[str, ...]]


class ProcessMetrics:
    """The metrics that every process has, and the functions that make the others."""

    def __init__(self, registry: CollectorRegistry, process: str) -> None:
        self._registry = registry
        # Memory, processor time and start time, under the names that every Prometheus client gives them.
        ProcessCollector(registry=registry)
        self.ticked: Callable[[float], None] = lambda _now: None
        """Called with the time whenever the loop makes a round: the process's health."""
        self.build_info = self._gauge(
            "build_info",
            "Version of imsfeed and name of the process; always 1.",
            ("version", "process"),
            [(version("imsfeed"), process)],
        )
        self.build_info.labels(version("imsfeed"), process).set(1)
        self.last_progress_timestamp_seconds = self._gauge(
            "last_progress_timestamp_seconds", "When the process's loop last made a round, in seconds since 1970."
        )

    def alive(self, now: float) -> None:
        """Note that the loop made a round at ``now``, in seconds since 1970."""
        self.last_progress_timestamp_seconds.set(now)
        self.ticked(now)

    def _gauge(self, name: str, meaning: str, labels: Labels = (), values: Values = ()) -> Gauge:
        gauge = Gauge(f"imsfeed_{name}", meaning, labels, registry=self._registry)
        for value in values:
            gauge.labels(*value)
        return gauge

    def _counter(self, name: str, meaning: str, labels: Labels = (), values: Values = ()) -> Counter:
        counter = Counter(f"imsfeed_{name}", meaning, labels, registry=self._registry)
        for value in values:
            counter.labels(*value)
        return counter


class CaptureMetrics(ProcessMetrics):
    """Capture's metrics: how far behind the source it is, and what its slot costs the source."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "capture")
        self.source_lag_seconds = self._gauge(
            "source_lag_seconds",
            "Age of the source transaction last acknowledged by Kafka, in seconds.",
        )
        self.slot_retained_bytes = self._gauge(
            "slot_retained_bytes", "Write-ahead log that the source retains because of the slot, in bytes."
        )
        self.slot_unconfirmed_bytes = self._gauge(
            "slot_unconfirmed_bytes", "Write-ahead log that capture has not confirmed yet, in bytes."
        )
        self.slot_active = self._gauge("slot_active", "1 while the slot is being read, else 0.")
        self.slot_invalidated = self._gauge(
            "slot_invalidated", "1 when the source has invalidated the slot and changes are lost, else 0."
        )
        self.replication_reconnects = self._counter(
            "replication_reconnects", "Times the replication connection was opened again after an error."
        )
        self.publish_attempts = self._counter("publish_attempts", "Events passed to the Kafka client.")
        self.events_published = self._counter(
            "events_published",
            "Events that Kafka has acknowledged, by table and by operation (c, u, d, r, t).",
            ("table", "op"),
            product(TABLES, OPERATIONS),
        )
        self.oversized_rows = self._counter(
            "oversized_rows", "Rows sent to Kafka without their largest texts, because they are too large for it."
        )
        self.initial_load_rows = self._counter(
            "initial_load_rows", "Rows read from the source's tables by loads and resyncs."
        )
        self.publish_inflight_messages = self._gauge(
            "publish_inflight_messages", "Messages sent to Kafka and not yet acknowledged."
        )
        self.heartbeat_written_timestamp_seconds = self._gauge(
            "heartbeat_written_timestamp_seconds",
            "When the last heartbeat row was written to the source, in seconds since 1970.",
        )


class MaterializeMetrics(ProcessMetrics):
    """Materialize's metrics: how far behind Kafka it is, and what it could not apply."""

    def __init__(self, registry: CollectorRegistry, partitions: int = 8, topic: str = "imsfeed.changes") -> None:
        super().__init__(registry, "materialize")
        numbers = [(str(number),) for number in range(partitions)]
        self.consumer_lag_records = self._gauge(
            "consumer_lag_records",
            "Messages in the partition that are not applied yet.",
            ("topic", "partition"),
            [(topic, *number) for number in numbers],
        )
        self.heartbeat_timestamp_seconds = self._gauge(
            "heartbeat_timestamp_seconds",
            "When the last heartbeat row applied from the partition was written, in seconds since 1970.",
            ("partition",),
            numbers,
        )
        self.partitions_assigned = self._gauge(
            "partitions_assigned", "Partitions that Kafka's consumer group has assigned to this process."
        )
        self.events_received = self._counter("events_received", "Messages read from Kafka, including repeated ones.")
        self.events_applied = self._counter(
            "events_applied", "Changes applied to the state, by table.", ("table",), zip(TABLES, strict=True)
        )
        self.events_duplicate = self._counter(
            "events_duplicate", "Changes skipped because they had been applied before."
        )
        self.events_quarantined = self._counter(
            "events_quarantined",
            "Messages that cannot be applied, by reason.",
            ("reason",),
            zip(QUARANTINE_REASONS, strict=True),
        )
        self.batches_attempted = self._counter("batches_attempted", "Transactions begun on the state database.")
        self.batches_committed = self._counter("batches_committed", "Transactions committed on the state database.")
        self.fencing_rejections = self._counter(
            "fencing_rejections", "Transactions rolled back because another process had advanced the partition."
        )
        self.consumer_stalls = self._counter(
            "consumer_stalls", "Times the Kafka consumer was replaced because it no longer delivered messages."
        )
        self.quarantine_size = self._gauge(
            "quarantine_size", "Messages in quarantine that no later change has superseded."
        )
        self.unresolved_references = self._gauge(
            "unresolved_references", "Rows of the state that refer to a row which has not arrived."
        )


class CompactMetrics(ProcessMetrics):
    """Compact's metrics: how soon a change is published, and how old the files are.

    Args:
        registry: where the metrics are registered.
        reasons: each kind (person, group) and reason of an exclusion.
    """

    def __init__(self, registry: CollectorRegistry, reasons: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(registry, "compact")
        self.end_to_end_seconds = Histogram(
            "imsfeed_end_to_end_seconds",
            "Time from a change's commit in the source until its delta is published as a file, in seconds.",
            buckets=END_TO_END_BUCKETS,
            registry=registry,
        )
        self.delta_attempts = self._counter("delta_attempts", "Publications of deltas begun, including empty ones.")
        self.delta_published = self._counter("delta_published", "Deltas published as files.")
        self.changed_ids = self._counter("changed_ids", "Persons whose id in a feed has changed.")
        self.delta_seq = self._gauge("delta_seq", "Highest sequence number that any target has reached.")
        self.manifest_written = self._counter("manifest_written", "Manifests written.")
        self._define_snapshots()
        self._define_reconciliation()
        self._define_alarms()
        self.notice_attempts = self._counter("notice_attempts", "Attempts to send a mail to case workers.")
        self.notices_sent = self._counter("notices_sent", "Mails to case workers that the mail server has accepted.")
        self.pending_changes = self._gauge(
            "pending_changes", "Pending changes that an enabled target has not published yet."
        )
        self.targets = self._gauge("targets", "Targets by state.", ("state",), zip(TARGET_STATES, strict=True))
        self.held_persons = self._gauge(
            "held_persons",
            "Persons on hold, waiting for an approval, by cause.",
            ("cause",),
            zip(HOLD_CAUSES, strict=True),
        )
        self.excluded = self._gauge(
            "excluded", "Persons and groups that are excluded, by their first reason.", ("kind", "reason"), reasons
        )

    def _define_snapshots(self) -> None:
        self.snapshot_attempts = self._counter("snapshot_attempts", "Snapshots begun.")
        self.snapshot_published = self._counter("snapshot_published", "Snapshots published as files.")
        self.snapshot_last_attempt_timestamp_seconds = self._gauge(
            "snapshot_last_attempt_timestamp_seconds", "When a snapshot was last begun, in seconds since 1970."
        )
        self.snapshot_last_success_timestamp_seconds = self._gauge(
            "snapshot_last_success_timestamp_seconds", "When a snapshot was last written, in seconds since 1970."
        )
        self.snapshot_duration_seconds = self._gauge(
            "snapshot_duration_seconds", "How long the last snapshot took, in seconds."
        )
        self.snapshot_members = self._gauge("snapshot_members", "Memberships in the last snapshot.")
        self.deadline_margin_seconds = self._gauge(
            "deadline_margin_seconds",
            "Time between a snapshot and its importer's deadline, the lowest of all targets, in seconds; negative if"
            " the snapshot is late, NaN if no target has an importer_sync_time.",
        )

    def _define_alarms(self) -> None:
        self.snapshots_late = self._gauge(
            "snapshots_late",
            "Targets whose daily snapshot is missing: a quarter of an hour late, or not there when the importer reads.",
        )
        self.pending_change_age_seconds = self._gauge(
            "pending_change_age_seconds",
            "Age of the oldest change that a target in order has not published, the highest of all, in seconds.",
        )
        self.targets_failing = self._gauge(
            "targets_failing", "Targets that this process could not bring up to date when it last tried."
        )
        self.protected_departures = self._gauge(
            "protected_departures",
            "Persons who left a target in the last 24 hours because they are protected; the highest of all targets.",
        )
        self.clock_trouble = self._gauge(
            "clock_trouble",
            "1 for the clock that is not believed, so that no day is published by it; else 0.",
            ("clock",),
            zip(CLOCKS, strict=True),
        )

    def _define_reconciliation(self) -> None:
        self.reconciliation_attempts = self._counter("reconciliation_attempts", "Reconciliations of targets begun.")
        self.reconciliation_differences = self._gauge(
            "reconciliation_differences",
            "Differences that the last reconciliations of all targets found, by check.",
            ("check",),
            zip(RECONCILIATION_CHECKS, strict=True),
        )
        self.reconciliation_last_success_timestamp_seconds = self._gauge(
            "reconciliation_last_success_timestamp_seconds",
            "When all targets had last been reconciled without a difference, in seconds since 1970; 0 without targets.",
        )


class Description(NamedTuple):
    """The description of a metric: its name as scraped, type, label names and meaning."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


def descriptions() -> Iterator[Description]:
    """Yield the description of every metric of our own, once, in the order of the processes."""
    seen: set[str] = set()
    for build in (CaptureMetrics, MaterializeMetrics, lambda own: CompactMetrics(own, [("person", "")])):
        registry = CollectorRegistry()
        build(registry)
        for metric in registry.collect():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            if name.startswith("imsfeed_") and name not in seen:
                seen.add(name)
                labels = tuple(label for label in metric.samples[0].labels if label != "le")
                yield Description(name, metric.type, labels, metric.documentation)
