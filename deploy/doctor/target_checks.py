"""Checks of the targets: unwise settings, targets that cannot publish, and the last reconciliation's results."""

from datetime import UTC, datetime

import msgspec
import psycopg

from consumers.database.target_error_table import errors_of
from consumers.database.targets_table import TargetRow, read_targets
from consumers.holds.obstacles import obstacle_at
from consumers.holds.open_holds import open_holds
from consumers.publication import dates
from consumers.published import logins_store
from consumers.reconciliation.results_store import latest
from deploy.doctor.databases import first_line, opened
from deploy.doctor.finding import NOT_CONFIGURED, SAME_AS_TEXT, Area, Findings
from ims.identifiers.national_id import without_national_ids
from ims.records.logins import look_alikes
from ims.reports.reason_texts import Language
from ims.reports.states import explain_obstacle
from ims.runtime.settings import Settings
from ims.targets.importer_deadline import settings_warning, snapshot_is_missing
from producers.source.catalog import Connection


def check_targets(settings: Settings) -> Findings:
    """Check every enabled target."""
    area = Area("targets")
    if settings.state_dsn is None:
        yield area.skipped("targets", f"STATE_DSN: {NOT_CONFIGURED}")
        return
    try:
        with opened(settings.state()) as connection:
            targets, unreadable = read_targets(connection)
            for row in unreadable:
                fix = "write the settings again with `imsfeed targets apply`"
                yield area.error(f"{row.owner_id}/{row.name}", f"settings cannot be read: {row.why}", fix)
            if not any(target.settings.enabled for target in targets):
                yield area.warning("targets", "none is enabled: nothing is published", "run `imsfeed targets apply`")
            for target in targets:
                if target.settings.enabled:
                    yield from _target(area, connection, target)
    except (psycopg.Error, msgspec.ValidationError) as error:
        text = first_line(error) if isinstance(error, psycopg.OperationalError) else type(error).__name__
        yield area.skipped("targets", f"the state database: {text}")


def _target(area: Area, connection: Connection, target: TargetRow) -> Findings:
    name = f"{target.owner_id}/{target.settings.name}"
    situation = obstacle_at(target, open_holds(connection, target.target_id))
    fix = "" if situation is None else explain_obstacle(situation, Language.ENGLISH)
    yield area.judge(
        name, not fix, target.shown_state, fix, otherwise="error" if target.state == "stale" else "warning"
    )
    for one in errors_of(connection, target.target_id):
        yield area.error(f"{name} {one.part}", one.error, "fix the cause; compact tries again by itself")
    if warning := settings_warning(target.settings):
        yield area.warning(f"{name} importer deadline", warning, SAME_AS_TEXT)
    if target.position.has_snapshot:
        missing = snapshot_is_missing(target.settings, target.position.snapshot_through, datetime.now(UTC))
        text = "is overdue" if missing else f"written for {target.position.snapshot_through}"
        yield area.judge(f"{name} snapshot", not missing, text, "start compact; if it is running, read its log")
    if dates.are_ahead(target, datetime.now(UTC)):
        text = f"dates are published up to {target.position.dated_through}"
        yield area.error(f"{name} dates", text, "see docs/runbook/clocks.md: compact takes them back by itself")
    yield from _look_alikes(area, connection, target, name)
    for reconciliation in latest(connection, target.target_id):
        if reconciliation.outcome in {"differs", "unfinished"}:
            text = f"{reconciliation.outcome}: {'; '.join(reconciliation.details[:3])}"
            fix = "see docs/runbook/reconciliation-differs.md, then run `imsfeed reconcile`"
            finding = area.error if reconciliation.outcome == "differs" else area.warning
            yield finding(f"{name} reconciliation of {reconciliation.check}", text, fix)


def _look_alikes(area: Area, connection: Connection, target: TargetRow, name: str) -> Findings:
    """Warn of published logins, and ids of groups, that a database without regard to accents or width takes for one."""
    persons = logins_store.persons_by_login(connection, target.target_id)
    rows = connection.execute(
        "select id from imsfeed.published where target_id = %s and kind = 2", (target.target_id,)
    ).fetchall()
    logins, groups = look_alikes(persons), look_alikes(id_ for (id_,) in rows)
    if logins:
        listed = "; ".join(", ".join(str(persons[login]) for login in alike) for alike in logins[:3])
        yield area.warning(
            f"{name} logins",
            f"{len(logins)} differ only by accents or width, of persons {listed}",
            "some importers take such logins for one: give the persons others in the administration system",
        )
    if groups:
        named = "; ".join(", ".join(alike) for alike in groups[:3])
        yield area.warning(
            f"{name} group ids",
            f"{len(groups)} differ only by case, accents or width: {without_national_ids(named)}",
            "some importers take such groups for one: change the codes, or use {id} in `group_id`",
        )
