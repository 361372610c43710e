"""Results of reconciliations in the state database, and the repairs that they request from compact."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from consumers.database.sessions import Connection
from ims.feed.manifest import SnapshotEntry

Check = Literal["files", "rules", "source"]
CHECKS: Final[tuple[Check, ...]] = ("files", "rules", "source")
_KEPT: Final = timedelta(days=90)
SHOWN: Final = 20
"""The number of differences of a check that are named; all are counted."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check of a reconciliation.

    Attributes:
        outcome: ``unfinished`` if it could not be done now, ``skipped`` if it does not apply here.
        differences: how many; ``None`` unless it was done.
        details: some of them, or why it was not done: running numbers and paths, never a personal value.
        repair: the repair that was begun.
        broken_at: path of the snapshot that is not the sum of the one before and the deltas.
    """

    check: Check
    outcome: Literal["ok", "differs", "unfinished", "skipped"]
    differences: int | None = None
    details: tuple[str, ...] = ()
    repair: str | None = None
    broken_at: str | None = None


class ReconciliationStatus(msgspec.Struct, frozen=True):
    """The last result of a check, for people and for scripts."""

    check: Check
    reconciled_at: datetime
    outcome: str
    differences: int | None
    details: list[str]
    repair: str | None


def done(check: Check, differences: Sequence[str], count: int | None = None) -> Checked:
    """Return a check that was done, with its differences; *count* is their number if not all are given."""
    number = len(differences) if count is None else count
    return Checked(
        check=check,
        outcome="differs" if number else "ok",
        differences=number,
        details=tuple(differences[:SHOWN]),
    )


def not_done(check: Check, why: str, *, skipped: bool = False) -> Checked:
    """Return a check that was not done."""
    return Checked(check=check, outcome="skipped" if skipped else "unfinished", details=(why,))


def keep(connection: Connection, target_id: int, found: Sequence[Checked], through: date | None, now: datetime) -> None:
    """Store a reconciliation; the snapshot of day *through* is reconciled if all checks were done and nothing differs.

    Old results are deleted, except those that began an epoch: the step to that snapshot is never verified again.
    """
    with connection.transaction(), connection.cursor() as cursor:
        for one in found:
            cursor.execute(
                "insert into imsfeed.reconciliation"
                " (target_id, reconciled_at, checked, outcome, differences, details, repair, broken_at)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s)",
                (target_id, now, one.check, one.outcome, one.differences, list(one.details), one.repair, one.broken_at),
            )
        cursor.execute(
            "delete from imsfeed.reconciliation where target_id = %s and reconciled_at < %s and broken_at is null",
            (target_id, now - _KEPT),
        )
        if is_clean(found):
            cursor.execute(
                "update imsfeed.target set reconciled_through = %s where target_id = %s", (through, target_id)
            )


def is_clean(found: Sequence[Checked]) -> bool:
    """Return whether everything that applies was compared, and nothing differs."""
    return all(one.outcome in {"ok", "skipped"} for one in found)


def ask_for_repair(connection: Connection, target_id: int) -> None:
    """Ask the target's next publication to compare everything again: its delta is the repair."""
    connection.execute("update imsfeed.target set repair = true where target_id = %s", (target_id,))


def last_two_snapshots(connection: Connection, target_id: int) -> tuple[SnapshotEntry | None, SnapshotEntry | None]:
    """Return the newest snapshot and the one before, which is ``None`` if the step between began a new epoch."""
    rows = connection.execute(
        "select seq, path, sha256, size, counts, local_date, exists (select from imsfeed.reconciliation p"
        " where p.target_id = s.target_id and p.checked = 'files' and p.broken_at = s.path)"
        " from imsfeed.snapshot s where target_id = %s order by seq desc, created_at desc limit 2",
        (target_id,),
    ).fetchall()
    keys = ("seq", "path", "sha256", "size", "counts", "local_date")
    later, earlier, *_ = [
        *(msgspec.convert(dict(zip(keys, row, strict=False)), SnapshotEntry) for row in rows),
        None,
        None,
    ]
    return (None if rows and rows[0][-1] else earlier), later


def latest(connection: Connection, target_id: int) -> list[ReconciliationStatus]:
    """Return the last result of each check of a target."""
    rows = connection.execute(
        "select distinct on (checked) checked, reconciled_at, outcome, differences, details, repair from"
        " imsfeed.reconciliation"
        " where target_id = %s order by checked, reconciliation_id desc",
        (target_id,),
    ).fetchall()
    return [ReconciliationStatus(*row) for row in rows]


def differing(connection: Connection) -> dict[Check, int]:
    """Return how many differences the last reconciliations of the enabled targets have found, by check."""
    rows = connection.execute(
        "select checked, sum(differences) from (select distinct on (target_id, checked) target_id, checked, differences"
        " from imsfeed.reconciliation join imsfeed.target t using (target_id)"
        " where differences is not null and (t.settings ->> 'enabled')::boolean"
        " order by target_id, checked, reconciliation_id desc) as last group by checked"
    ).fetchall()
    found: dict[Any, int] = {check: int(count) for check, count in rows}
    return {check: found.get(check, 0) for check in CHECKS}


def oldest_success(connection: Connection) -> datetime | None:
    """Return the oldest of the enabled targets' last successful reconciliations; a first snapshot counts as one."""
    row = connection.execute(_OLDEST_SUCCESS.encode()).fetchone()
    return row[0] if row else None


_OLDEST_SUCCESS: Final = """
select min(coalesce(success.at, first.at)) from imsfeed.target t
  left join lateral (
    select max(run.reconciled_at) as at
      from (select reconciled_at from imsfeed.reconciliation p where p.target_id = t.target_id group by reconciled_at
            having bool_and(outcome in ('ok', 'skipped'))) as run) as success on true
  left join lateral (
    select min(created_at) as at from imsfeed.snapshot s where s.target_id = t.target_id) as first on true
 where (t.settings ->> 'enabled')::boolean and t.head_seq is not null
"""
