"""Compact's metrics of what the state database holds: targets, pending changes, exclusions, holds, deadlines."""

from collections.abc import Sequence
from datetime import datetime

from consumers.compact.deadline_margin import lowest_margin
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.holds import holds_store
from consumers.published import exclusions_store, published_store
from ims.holds.losses import Cause
from ims.runtime.logs import get_logger
from ims.runtime.metrics import TARGET_STATES, CompactMetrics
from ims.targets.importer_deadline import snapshot_is_missing

log = get_logger(__name__)


def show_targets(metrics: CompactMetrics, targets: Sequence[TargetRow]) -> None:
    """Show the states of *targets*, which costs nothing."""
    for state in TARGET_STATES:
        metrics.targets.labels(state).set(sum(target.shown_state == state for target in targets))
    published = [target for target in targets if target.state == "ok"]
    metrics.pending_change_age_seconds.set(max((target.outstanding.settling or 0 for target in published), default=0))
    metrics.delta_seq.set(max((target.position.head_seq or 0 for target in targets), default=0))


def show_counts(
    metrics: CompactMetrics, connection: Connection, excluded: Sequence[tuple[str, str]], now: datetime
) -> None:
    """Show what has to be counted.

    Args:
        excluded: each kind and exclusion reason that is shown.
    """
    targets = all_targets(connection)
    metrics.snapshots_late.set(sum(_snapshot_is_late(target, now) for target in targets))
    metrics.pending_changes.set(published_store.pending_changes_count(connection))
    counts = exclusions_store.excluded_counts(connection)
    for kind, reason in excluded:
        metrics.excluded.labels(kind, reason).set(counts.get((kind, reason), 0))
    held = holds_store.counts(connection)
    for cause in Cause:
        metrics.held_persons.labels(cause.value).set(held.get(cause, 0))
    _show_protected(metrics, connection, now)
    metrics.deadline_margin_seconds.set(lowest_margin(connection, targets, now))


def _show_protected(metrics: CompactMetrics, connection: Connection, now: datetime) -> None:
    """Show how many protected persons have left, and say it where they are many."""
    departures = holds_store.protected_departures(connection, now)
    metrics.protected_departures.set(max(departures.values(), default=0))
    for target_id, persons in departures.items():
        if persons > holds_store.MANY_PROTECTED:
            log.error("many persons were removed because they are protected", target_id=target_id, persons=persons)


def _snapshot_is_late(target: TargetRow, now: datetime) -> bool:
    """Return whether a target's daily snapshot is missing; one that was never published or is disabled has none."""
    position = target.position
    if not target.settings.enabled or position.head_seq is None:
        return False
    return snapshot_is_missing(target.settings, position.snapshot_through, now)
