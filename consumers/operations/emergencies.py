"""Emergency orders: a person must leave, or is suppressed, before the source says so. Every order is audited.

An order is one transaction, which also makes the person urgent for every target of the owner and wakes compact.
"""

from datetime import datetime
from typing import Final

import msgspec

from consumers.database.audit_text import audit_text
from consumers.database.notifications import CHANNEL
from consumers.database.sessions import Connection
from consumers.database.target_error_table import errors_of
from consumers.database.targets_table import TargetRow, all_targets, read_targets
from consumers.facts.suppressions import Kind
from ims.errors import ImsfeedError, InvalidSettingsError

_TOO_LONG: Final = 10**9
"""Unknown persons' numbers from here on are refused: no running number is that long, but a mistyped national id is."""


class NotInForceError(ImsfeedError):
    """There is no order in force that could be taken back."""


class Affected(msgspec.Struct, frozen=True):
    """A target of the owner, and whether the person has been published to it.

    Attributes:
        failing: why its feed could not be brought up to date when that was last tried, or ``None``.
    """

    target: TargetRow
    has_person: bool
    failing: str | None = None


class Ordered(msgspec.Struct, frozen=True):
    """An order that is in force, or that was taken back.

    Attributes:
        since: when it was given first.
        ordered_by: who gave it first.
        repeated: it was already in force.
        known: the owner's facts have the person.
        targets: the owner's targets.
        unreadable: the names of targets of the owner to which nothing is published, as their settings are unreadable.
    """

    since: datetime
    ordered_by: str
    repeated: bool
    known: bool
    targets: list[Affected]
    unreadable: list[str] = []


def order(connection: Connection, kind: Kind, owner_id: int, person_id: int, by: str, reason: str) -> Ordered:
    """Remove a person from every target of the owner, whether or not the person's facts have arrived.

    Args:
        person_id: the running number.
        by: who orders it, for the audit and the two-person rule.
        reason: why, for the audit; anything in it that looks like a national id is masked.

    Raises:
        InvalidSettingsError: neither facts nor targets have such an owner; name or reason is blank; or the person is
            unknown and the number as long as a national id.
    """
    with connection.transaction():
        targets = _targets_of(connection, owner_id)
        known = _is_known(connection, owner_id, person_id)
        if not known and person_id >= _TOO_LONG:
            # The text does not quote the number: it may be a national id.
            raise InvalidSettingsError("no person has this number, and it is too long for a running number")
        inserted = connection.execute(
            "insert into imsfeed.suppression (owner_id, person_id, kind, ordered_by, known) values (%s, %s, %s, %s, %s)"
            " on conflict (owner_id, person_id, kind) where ended_at is null do nothing",
            (owner_id, person_id, kind, audit_text(by, "--name"), known),
        ).rowcount
        since, ordered_by = _in_force(connection, kind, owner_id, person_id)
        _audit(connection, by, kind, reason, owner_id, person_id)
        affected = _make_urgent(connection, targets, person_id)
    return Ordered(since, ordered_by, inserted == 0, known, affected, _unreadable(connection, owner_id))


def undo(connection: Connection, kind: Kind, owner_id: int, person_id: int, by: str, reason: str) -> Ordered:
    """Take an order back: from the next publications on, the source decides again.

    A suppression may protect a person's life, so that only another person than the one who ordered it may take it back.

    Raises:
        InvalidSettingsError: as for :func:`order`; or the same person gave the order.
        NotInForceError: there is no order to take back.
    """
    with connection.transaction():
        targets = _targets_of(connection, owner_id)
        since, ordered_by = _in_force(connection, kind, owner_id, person_id)
        if kind == "suppressed" and _same_name(by, ordered_by):
            raise InvalidSettingsError(
                f"{ordered_by} has suppressed person {person_id}; another person must take it back, named by --name"
            )
        connection.execute(
            "update imsfeed.suppression set ended_at = now()"
            " where owner_id = %s and person_id = %s and kind = %s and ended_at is null",
            (owner_id, person_id, kind),
        )
        _audit(connection, by, f"{kind}_undone", reason, owner_id, person_id)
        affected = _make_urgent(connection, targets, person_id)
        known = _is_known(connection, owner_id, person_id)
    return Ordered(since, ordered_by, repeated=False, known=known, targets=affected)


def _targets_of(connection: Connection, owner_id: int) -> list[TargetRow]:
    targets = [target for target in all_targets(connection) if target.owner_id == owner_id]
    if not targets and not connection.execute("select from imsfeed.owner where owner_id = %s", (owner_id,)).fetchall():
        raise InvalidSettingsError(
            f"there is no owner {owner_id}; `imsfeed targets show` lists the owners with targets"
        )
    return targets


def _is_known(connection: Connection, owner_id: int, person_id: int) -> bool:
    query = "select from imsfeed.person where owner_id = %s and id = %s"
    return bool(connection.execute(query, (owner_id, person_id)).fetchall())


def _in_force(connection: Connection, kind: Kind, owner_id: int, person_id: int) -> tuple[datetime, str]:
    row = connection.execute(
        "select since, ordered_by from imsfeed.suppression"
        " where owner_id = %s and person_id = %s and kind = %s and ended_at is null for update",
        (owner_id, person_id, kind),
    ).fetchone()
    if row is None:
        missing = "is not suppressed" if kind == "suppressed" else "has no leave-now order"
        raise NotInForceError(
            f"person {person_id} of owner {owner_id} {missing}; `imsfeed status --json` lists all orders"
        )
    return row[0], row[1]


def _audit(connection: Connection, by: str, action: str, reason: str, owner_id: int, person_id: int) -> None:
    connection.execute(
        "insert into imsfeed.suppression_audit (who, action, reason, owner_id, person_id) values (%s, %s, %s, %s, %s)",
        (audit_text(by, "--name"), action, audit_text(reason, "--reason"), owner_id, person_id),
    )


def _make_urgent(connection: Connection, targets: list[TargetRow], person_id: int) -> list[Affected]:
    """Make the person urgent for *targets*, and return which of them have the person."""
    ids = [target.target_id for target in targets]
    connection.execute(
        "insert into imsfeed.urgent_person (target_id, person_id) select *, %s::bigint from unnest(%s::bigint[])",
        (person_id, ids),
    )
    connection.execute(f"notify {CHANNEL}")
    rows = connection.execute(
        "select distinct target_id from imsfeed.published where target_id = any (%s) and person_id = %s",
        (ids, person_id),
    ).fetchall()
    having = {target_id for (target_id,) in rows}
    return [
        Affected(
            target,
            target.target_id in having,
            next((one.error for one in errors_of(connection, target.target_id) if one.part == "feed"), None),
        )
        for target in targets
    ]


def _unreadable(connection: Connection, owner_id: int) -> list[str]:
    return [row.name for row in read_targets(connection)[1] if row.owner_id == owner_id]


def _same_name(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
