"""The targets in the state database: their settings with an audit of every change, and where each one's feed stands."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final, Literal

import msgspec
from psycopg.rows import kwargs_row
from psycopg.types.json import Jsonb

from consumers.database.sessions import Connection
from ims.errors import InvalidSettingsError
from ims.feed.conflicts import HaltReason
from ims.identifiers import compact, organisation_number
from ims.targets.target_settings import TargetSettings, changed
from ims.xml.dialect import Dialect


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A target as it stands.

    Attributes:
        orgnr: the owner's organisation number as of the first publication.
        source: ``sourcedid/source`` as of the last cut.
        dialect: what the published fragments are written in, as of the last cut.
        head_seq: number of the last delta, 0 after the first publication, ``None`` before it.
        head_sha256: its digest; of snapshot 0 while there is no delta.
        epoch_seq: number of the epoch's first snapshot.
        halt_reason: why nothing must be written to the feed until a person has looked, or ``None``.
        announced: a manifest of the present files has been written.
        recompute: the settings have changed since the last cut.
        repair: a proof has found what was told to be wrong since the last cut.
        reconciled_through: local date of the last scheduled snapshot that a proof has found in order.
        owner_orgnr: the owner's organisation number now, ``None`` if it has no valid one or has not arrived. A feed
            without one is not emptied but stands still: a mistake in one field must not lock out a whole owner.
        open: a source transaction has arrived in part for this owner.
        has_snapshot: at least one snapshot exists.
        settling: seconds that the oldest mark not yet told has rested, or ``None`` if all are told.
        urgent: a person must be looked at without waiting for anything.
        published_settings: the settings of the last cut.
        held: something waits for an approval.
        review: the next cut looks at all who wait.
    """

    target_id: int
    owner_id: int
    settings: TargetSettings
    recompute: bool
    epoch: str
    epoch_seq: int = 0
    halt_reason: HaltReason | None = None
    announced: bool = False
    orgnr: str | None
    source: str | None
    dialect: Dialect = "ims"
    head_seq: int | None
    head_sha256: str | None
    head_at: datetime | None
    changes_through: int
    dated_through: date | None
    snapshot_through: date | None
    owner_orgnr: str | None
    open: bool
    has_snapshot: bool
    settling: float | None
    urgent: bool = False
    repair: bool = False
    reconciled_through: date | None = None
    published_settings: TargetSettings | None = None
    held: bool = False
    review: bool = False

    @property
    def state(self) -> Literal["ok", "waiting", "stale", "disabled"]:
        """``waiting`` for the owner's facts before the first publication, ``stale`` when it cannot go on after it."""
        if not self.settings.enabled:
            return "disabled"
        if self.head_seq is None:
            return "waiting"
        return "ok" if self.owner_orgnr == self.orgnr and self.halt_reason is None else "stale"

    @property
    def shown_state(self) -> Literal["ok", "held", "waiting", "stale", "disabled"]:
        """The state as people see it: ``held`` while something waits for an approval, and all else goes on."""
        return "held" if self.held and self.state in {"ok", "waiting"} else self.state


def source_of(target: TargetRow) -> str:
    """``sourcedid/source`` as the settings say now."""
    return target.settings.source or f"imsfeed@{target.orgnr}"


_COLUMNS: Final = """
select t.target_id, t.owner_id, t.settings, t.recompute, t.epoch, t.orgnr, t.source, t.dialect, t.head_seq,
       t.head_sha256, t.head_at, t.changes_through, t.dated_through, t.snapshot_through, t.repair, t.reconciled_through,
       t.epoch_seq, t.halt_reason, t.announced_at is not null as announced, t.published_settings, t.review,
       exists (select from imsfeed.hold h where h.target_id = t.target_id and h.ended_at is null) as held,
       (select o.orgnr from imsfeed.owner o where o.owner_id = t.owner_id) as owner_orgnr,
       exists (select from imsfeed.topic_partition p where t.owner_id = any (p.open_owners)) as open,
       exists (select from imsfeed.snapshot s where s.target_id = t.target_id) as has_snapshot,
       (select extract(epoch from clock_timestamp() - m.noted_at)::float8 from imsfeed.pending_change m
         where m.owner_id = t.owner_id and m.change_id > t.changes_through order by m.change_id limit 1) as settling,
       exists (select from imsfeed.urgent_person u where u.target_id = t.target_id) as urgent
  from imsfeed.target t
"""


def _row(**columns: Any) -> TargetRow:  # noqa: ANN401 - a database's row
    settings = columns["settings"] = msgspec.convert(columns["settings"], TargetSettings)
    columns["halt_reason"] = HaltReason(columns["halt_reason"]) if columns["halt_reason"] else None
    columns["published_settings"] = msgspec.convert(columns["published_settings"], TargetSettings | None)
    columns["owner_orgnr"] = valid_orgnr(columns["owner_orgnr"], settings)
    return TargetRow(**columns)


def valid_orgnr(registered: str | None, settings: TargetSettings) -> str | None:
    """The owner's organisation number in its shortest form, or ``None`` if the target takes it for none."""
    number = compact(registered or "")
    valid = organisation_number.is_valid(number, allow_test_numbers=settings.allow_test_numbers)
    return number if valid else None


def all_targets(connection: Connection) -> list[TargetRow]:
    """Every target, by owner and name."""
    with connection.cursor(row_factory=kwargs_row(_row)) as cursor:
        return cursor.execute(_COLUMNS + "order by t.owner_id, t.name").fetchall()


def read_target(connection: Connection, target_id: int) -> TargetRow:
    """One target.

    Raises:
        InvalidSettingsError: it does not exist.
    """
    with connection.cursor(row_factory=kwargs_row(_row)) as cursor:
        row = cursor.execute(_COLUMNS + "where t.target_id = %s", (target_id,)).fetchone()
    if row is None:
        raise InvalidSettingsError(f"target number {target_id} does not exist")
    return row


def lock_target(connection: Connection, target_id: int, *, wait: bool = False) -> TargetRow | None:
    """One target, locked until the transaction ends; ``None`` while another process works on it.

    Args:
        wait: wait for the other process, as long as the session's ``lock_timeout`` allows.
    """
    query = _COLUMNS + "where t.target_id = %s for update of t" + ("" if wait else " skip locked")
    with connection.cursor(row_factory=kwargs_row(_row)) as cursor:
        return cursor.execute(query, (target_id,)).fetchone()


def find_target(connection: Connection, name: str) -> TargetRow:
    """The target called *name*, or ``OWNER/NAME`` where several owners have one of that name.

    Raises:
        InvalidSettingsError: there is none, or more than one.
    """
    return named(all_targets(connection), name)


def named(targets: Iterable[TargetRow], name: str) -> TargetRow:
    """The one of *targets* called *name*, or ``OWNER/NAME``.

    Raises:
        InvalidSettingsError: there is none, or more than one.
    """
    owner, _, plain = name.rpartition("/")
    found = [row for row in targets if row.settings.name == plain and (not owner or str(row.owner_id) == owner)]
    if not found:
        raise InvalidSettingsError(f"there is no target {name!r}; `imsfeed targets show` lists them")
    if len(found) > 1:
        owners = ", ".join(f"{row.owner_id}/{plain}" for row in found)
        raise InvalidSettingsError(f"several owners have a target {name!r}: say which of {owners}")
    return found[0]


def apply_settings(connection: Connection, targets: Iterable[TargetSettings], changed_by: str) -> list[str]:
    """Make the settings in force what *targets* says, creating the targets that are new; others stay as they are.

    Returns:
        One line per target that was created or changed.
    """
    said = []
    with connection.transaction():
        existing = {(row.owner_id, row.settings.name): row for row in all_targets(connection)}
        for settings in targets:
            row = existing.get((settings.owner, settings.name))
            if row is None:
                connection.execute(
                    "insert into imsfeed.target (owner_id, name, settings) values (%s, %s, %s)",
                    (settings.owner, settings.name, as_json(settings)),
                )
                _audit(connection, None, settings, changed_by)
                said.append(f"created {settings.owner}/{settings.name}")
            elif row.settings != settings:
                _replace(connection, row, settings, changed_by)
                said.append(f"changed {settings.owner}/{settings.name}")
    return said


def set_settings(connection: Connection, name: str, changes: dict[str, Any], changed_by: str) -> TargetSettings:
    """Change some keys of one target.

    Raises:
        InvalidSettingsError: the target does not exist, or a key or value is wrong; nothing is changed.
    """
    with connection.transaction():
        row = find_target(connection, name)
        settings = changed(row.settings, changes)
        if settings != row.settings:
            _replace(connection, row, settings, changed_by)
    return settings


def _replace(connection: Connection, row: TargetRow, settings: TargetSettings, changed_by: str) -> None:
    connection.execute(
        "update imsfeed.target set settings = %s, recompute = true where target_id = %s",
        (as_json(settings), row.target_id),
    )
    _audit(connection, row.settings, settings, changed_by)


def _audit(connection: Connection, old: TargetSettings | None, new: TargetSettings, changed_by: str) -> None:
    before = {} if old is None else msgspec.to_builtins(old)
    after = msgspec.to_builtins(new)
    keys = [key for key, value in after.items() if old is None or before.get(key) != value]
    connection.execute(
        "insert into imsfeed.target_audit (changed_by, owner_id, name, setting, old_value, new_value)"
        " select %s, %s, %s, * from unnest(%s::text[], %s::jsonb[], %s::jsonb[])",
        (
            changed_by,
            new.owner,
            new.name,
            keys,
            [Jsonb(before.get(key)) for key in keys],
            [Jsonb(after[key]) for key in keys],
        ),
    )


def as_json(settings: TargetSettings) -> Jsonb:
    """The settings as they are kept."""
    return Jsonb(msgspec.to_builtins(settings))
