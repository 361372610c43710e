"""The targets in the state database: their settings, the audit of every change, and the state of each feed."""

from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
from psycopg.rows import dict_row, kwargs_row
from psycopg.types.json import Jsonb

from consumers.database.feed_folders import refuse_taken
from consumers.database.sessions import Connection
from consumers.database.target_audit import note_change
from consumers.database.unreadable_target import UnreadableTarget, forget_unreadable, refuse_named
from ims.errors import InvalidSettingsError
from ims.feed.conflicts import HaltReason
from ims.identifiers import compact, organisation_number
from ims.targets.target_settings import TargetSettings, written
from ims.targets.written_settings import changed
from ims.xml.dialect import Dialect


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A target's identity, and its settings in force."""

    target_id: int
    owner_id: int
    settings: TargetSettings


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A target's position in its feed: what the last publication wrote, and on which terms.

    Attributes:
        epoch_seq: number of the epoch's first snapshot.
        halt_reason: why the target is halted until an operator acts, or ``None``.
        announced: a manifest of the present files has been written.
        orgnr: the owner's organisation number as of the first publication.
        source: ``sourcedid/source`` as of the last publication.
        dialect: the dialect of the published fragments, as of the last publication.
        head_seq: number of the last delta, 0 after the first publication, ``None`` before it.
        head_sha256: its digest; of snapshot 0 while there is no delta.
        changes_through: the last pending change that is published.
        dated_through: the local date up to which dates are published.
        reconciled_through: local date of the last scheduled snapshot that a reconciliation has found in order.
        published_settings: the settings of the last publication.
        has_snapshot: at least one snapshot exists.
    """

    epoch: str
    epoch_seq: int = 0
    halt_reason: HaltReason | None = None
    announced: bool = False
    orgnr: str | None = None
    source: str | None = None
    dialect: Dialect = "ims"
    head_seq: int | None = None
    head_sha256: str | None = None
    head_at: datetime | None = None
    changes_through: int = 0
    dated_through: date | None = None
    snapshot_through: date | None = None
    reconciled_through: date | None = None
    published_settings: TargetSettings | None = None
    has_snapshot: bool = False


class OwnerState(msgspec.Struct, frozen=True):
    """The current state of a target's owner.

    Attributes:
        registered: the number in the owner's row, valid or not, or empty; ``None`` if the row has not arrived.
        open: a source transaction has arrived in part for this owner.
    """

    registered: str | None = None
    open: bool = False


class Outstanding(msgspec.Struct, frozen=True, kw_only=True):
    """What a target's next publication has to deal with.

    Attributes:
        recompute: the settings have changed since the last publication.
        repair: a reconciliation has found what was published to be wrong since the last publication.
        review: the next publication compares all persons and groups that wait.
        urgent: a person must leave without waiting for anything.
        held: something waits for an approval.
        settling: seconds since the oldest pending change that is not published was made, or ``None`` without any.
    """

    recompute: bool = False
    repair: bool = False
    review: bool = False
    urgent: bool = False
    held: bool = False
    settling: float | None = None


State = Literal["ok", "waiting", "stale", "disabled"]


class TargetRow(Target, frozen=True, kw_only=True):
    """A target as one statement reads it: its settings, its feed's position, its owner, and outstanding work."""

    position: FeedPosition
    owner: OwnerState = OwnerState()
    outstanding: Outstanding = Outstanding()

    @property
    def state(self) -> State:
        """Return the state with the settings in force."""
        return state_of(self.settings, self.position, self.owner)

    @property
    def shown_state(self) -> Literal["ok", "held", "waiting", "stale", "disabled"]:
        """Return the state as people see it: ``held`` while something waits for an approval and the feed goes on."""
        return "held" if self.outstanding.held and self.state in {"ok", "waiting"} else self.state


def state_of(settings: TargetSettings, position: FeedPosition, owner: OwnerState) -> State:
    """Return a target's state with these settings.

    ``waiting`` before the first publication, ``stale`` if the feed cannot go on after it. The feed of an owner without
    a valid organisation number is not emptied: a mistake in one field must not lock out all persons.
    """
    if not settings.enabled:
        return "disabled"
    if position.head_seq is None:
        return "waiting"
    same = valid_orgnr(owner.registered, settings) == position.orgnr
    return "ok" if same and position.halt_reason is None else "stale"


_COLUMNS: Final = """
select t.target_id, t.owner_id, t.name, t.settings, t.recompute, t.epoch, t.orgnr, t.source, t.dialect, t.head_seq,
       t.head_sha256, t.head_at, t.changes_through, t.dated_through, t.snapshot_through, t.repair, t.reconciled_through,
       t.epoch_seq, t.halt_reason, t.announced_at is not null as announced, t.published_settings, t.review,
       exists (select from imsfeed.hold h where h.target_id = t.target_id and h.ended_at is null) as held,
       (select coalesce(o.orgnr, '') from imsfeed.owner o where o.owner_id = t.owner_id) as registered,
       exists (select from imsfeed.topic_partition p where t.owner_id = any (p.open_owners)) as open,
       exists (select from imsfeed.snapshot s where s.target_id = t.target_id) as has_snapshot,
       (select extract(epoch from clock_timestamp() - m.noted_at)::float8 from imsfeed.pending_change m
         where m.owner_id = t.owner_id and m.change_id > t.changes_through order by m.change_id limit 1) as settling,
       exists (select from imsfeed.urgent_person u where u.target_id = t.target_id) as urgent
  from imsfeed.target t
"""


def _row(**columns: Any) -> TargetRow:  # noqa: ANN401 - a database's row
    columns["halt_reason"] = HaltReason(columns["halt_reason"]) if columns["halt_reason"] else None
    columns["published_settings"] = msgspec.convert(columns["published_settings"], TargetSettings | None)
    return TargetRow(
        target_id=columns["target_id"],
        owner_id=columns["owner_id"],
        settings=msgspec.convert(columns["settings"], TargetSettings),
        position=FeedPosition(**{name: columns[name] for name in FeedPosition.__struct_fields__}),
        owner=OwnerState(columns["registered"], columns["open"]),
        outstanding=Outstanding(**{name: columns[name] for name in Outstanding.__struct_fields__}),
    )


def valid_orgnr(registered: str | None, settings: TargetSettings) -> str | None:
    """Return the owner's organisation number in its shortest form, or ``None`` if the target does not accept it."""
    return _valid_orgnr(registered or "", allow_test_numbers=settings.allow_test_numbers)


@lru_cache(1024)  # called with the same few numbers whenever a target's state is computed
def _valid_orgnr(registered: str, *, allow_test_numbers: bool) -> str | None:
    number = compact(registered)
    return number if organisation_number.is_valid(number, allow_test_numbers=allow_test_numbers) else None


def read_targets(connection: Connection) -> tuple[list[TargetRow], list[UnreadableTarget]]:
    """Return all targets, sorted by owner and name, and those whose settings cannot be read."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_COLUMNS + "order by t.owner_id, t.name").fetchall()
    readable, unreadable = [], []
    for columns in rows:
        try:
            readable.append(_row(**columns))
        except (ValueError, msgspec.MsgspecError) as error:  # the text has a key, and what its value may be
            unreadable.append(UnreadableTarget(columns["target_id"], columns["owner_id"], columns["name"], str(error)))
    return readable, unreadable


def all_targets(connection: Connection) -> list[TargetRow]:
    """Return all targets whose settings can be read, sorted by owner and name."""
    return read_targets(connection)[0]


def read_target(connection: Connection, target_id: int) -> TargetRow:
    """Return one target.

    Raises:
        InvalidSettingsError: it does not exist.
    """
    with connection.cursor(row_factory=kwargs_row(_row)) as cursor:
        row = cursor.execute(_COLUMNS + "where t.target_id = %s", (target_id,)).fetchone()
    if row is None:
        raise InvalidSettingsError(f"target number {target_id} does not exist")
    return row


def lock_target(connection: Connection, target_id: int, *, wait: bool = False) -> TargetRow | None:
    """Lock one target until the transaction ends and return it; return ``None`` while another process holds it.

    Args:
        wait: wait for the other process, as long as the session's ``lock_timeout`` allows.
    """
    query = _COLUMNS + "where t.target_id = %s for update of t" + ("" if wait else " skip locked")
    with connection.cursor(row_factory=kwargs_row(_row)) as cursor:
        return cursor.execute(query, (target_id,)).fetchone()


def find_target(connection: Connection, name: str) -> TargetRow:
    """Return the target called *name*, or ``OWNER/NAME`` where several owners have a target of that name.

    Raises:
        InvalidSettingsError: there is none, or more than one.
    """
    targets, unreadable = read_targets(connection)
    refuse_named(unreadable, name)
    return named(targets, name)


def named(targets: Iterable[TargetRow], name: str) -> TargetRow:
    """Return the one of *targets* called *name*, or ``OWNER/NAME``.

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
    """Store the settings of *targets*, creating new ones (:func:`refuse_taken`); return a line for each changed one."""
    lines = []
    with connection.transaction():
        rows, unreadable = read_targets(connection)
        existing = {(row.owner_id, row.settings.name): row for row in rows}
        lost = {(row.owner_id, row.name): row.target_id for row in unreadable}
        for settings in targets:
            row = existing.get((settings.owner, settings.name))
            if target_id := lost.get((settings.owner, settings.name)):
                forget_unreadable(connection, target_id)
                _replace(connection, target_id, None, settings, changed_by)
                lines.append(f"changed {settings.owner}/{settings.name}")
            elif row is None:
                refuse_taken(connection, settings.owner, settings.name)
                connection.execute(
                    "insert into imsfeed.target (owner_id, name, settings) values (%s, %s, %s)",
                    (settings.owner, settings.name, Jsonb(written(settings))),
                )
                note_change(connection, None, settings, changed_by)
                lines.append(f"created {settings.owner}/{settings.name}")
            elif written(row.settings) != written(settings):
                _replace(connection, row.target_id, row.settings, settings, changed_by)
                lines.append(f"changed {settings.owner}/{settings.name}")
    return lines


def set_settings(connection: Connection, name: str, changes: dict[str, Any], changed_by: str) -> TargetSettings:
    """Change some settings of one target and return them all.

    Raises:
        InvalidSettingsError: the target does not exist, or a key or value is wrong; nothing is changed.
    """
    with connection.transaction():
        row = find_target(connection, name)
        settings = changed(row.settings, changes)
        if written(settings) != written(row.settings):
            _replace(connection, row.target_id, row.settings, settings, changed_by)
    return settings


def _replace(
    connection: Connection, target_id: int, old: TargetSettings | None, settings: TargetSettings, changed_by: str
) -> None:
    query = "update imsfeed.target set settings = %s, recompute = true where target_id = %s"
    connection.execute(query, (Jsonb(written(settings)), target_id))
    note_change(connection, old, settings, changed_by)


def as_json(settings: TargetSettings) -> Jsonb:
    """Return the settings with every value, as a publication's are stored: a later profile may have other defaults."""
    return Jsonb(msgspec.to_builtins(settings))
