"""The targets: settings that are unwise, what cannot be published, and what the last proof has found."""

from datetime import UTC, datetime

import msgspec
import psycopg

from consumers.database.targets_table import TargetRow, all_targets
from consumers.reconciliation.results_store import latest
from deploy.doctor.databases import first_line, opened
from deploy.doctor.finding import NOT_CONFIGURED, Area, Findings
from ims.runtime.settings import Settings
from ims.targets.importer_deadline import settings_warning, snapshot_is_missing
from producers.source.catalog import Connection


def check_targets(settings: Settings) -> Findings:
    """Every target."""
    area = Area("targets")
    if settings.state_dsn is None:
        yield area.skipped("targets", f"STATE_DSN: {NOT_CONFIGURED}")
        return
    try:
        with opened(settings.state()) as connection:
            targets = all_targets(connection)
            if not any(target.settings.enabled for target in targets):
                yield area.warning("targets", "none is enabled: nothing leaves", "run `imsfeed targets apply`")
            for target in targets:
                if target.settings.enabled:
                    yield from _target(area, connection, target)
    except (psycopg.Error, msgspec.ValidationError) as error:
        text = first_line(error) if isinstance(error, psycopg.OperationalError) else type(error).__name__
        yield area.skipped("targets", f"the state database: {text}")


def _target(area: Area, connection: Connection, target: TargetRow) -> Findings:
    name = f"{target.owner_id}/{target.settings.name}"
    states = {
        "stale": "the owner's organisation number is gone or another; mend it in the administration system",
        "waiting": "the owner's facts have not arrived, or it has no valid organisation number",
    }
    fix = states.get(target.state, "")
    yield area.judge(name, not fix, target.state, fix, otherwise="wrong" if target.state == "stale" else "warning")
    if warning := settings_warning(target.settings):
        yield area.warning(f"{name} hours", warning, "as it says")
    if target.position.has_snapshot:
        missing = snapshot_is_missing(target.settings, target.position.snapshot_through, datetime.now(UTC))
        text = "is overdue" if missing else f"taken through {target.position.snapshot_through}"
        yield area.judge(f"{name} snapshot", not missing, text, "start compact; if it runs, see its log")
    for reconciliation in latest(connection, target.target_id):
        if reconciliation.outcome in {"differs", "unfinished"}:
            text = f"{reconciliation.outcome}: {'; '.join(reconciliation.details[:3])}"
            fix = "see docs/runbook/reconciliation-differs.md, then run `imsfeed reconcile`"
            finding = area.wrong if reconciliation.outcome == "differs" else area.warning
            yield finding(f"{name} proof of {reconciliation.check}", text, fix)
