"""Orders in an emergency: a person is told to leave, or is suppressed, before the source says so; each is audited.

An order is one transaction that also asks every target of the owner to look at the person and wakes compact.
"""

from datetime import datetime
from typing import Final

import msgspec

from consumers.database.notifications import CHANNEL
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.facts.suppressions import Kind
from ims.errors import ImsfeedError, InvalidSettingsError
from ims.identifiers.national_id import without_national_ids

_LONGEST: Final = 10**9
"""A running number that the state does not know is not so long; a national id, typed by mistake, is."""


class NotInForceError(ImsfeedError):
    """What is to be taken back is not in force."""


class Affected(msgspec.Struct, frozen=True):
    """A target of the owner, and whether its importer has been told of the person."""

    target: TargetRow
    has_person: bool


class Ordered(msgspec.Struct, frozen=True):
    """An order as it is in force, or the one that was taken back.

    Attributes:
        since: when it was ordered first.
        ordered_by: by whom.
        repeated: it was in force already.
        known: the owner's facts have the person.
    """

    since: datetime
    ordered_by: str
    repeated: bool
    known: bool
    targets: list[Affected]


def order(connection: Connection, kind: Kind, owner_id: int, person_id: int, who: str, reason: str) -> Ordered:
    """Make a person leave every target of the owner, whether or not the person has arrived.

    Args:
        person_id: the running number.
        who: who orders it, for the audit and the two-person rule.
        reason: why, for the audit; what looks like a national id in it is masked.

    Raises:
        InvalidSettingsError: neither facts nor targets have such an owner; name or reason is blank; or the number is
            none that the state knows and as long as a national id.
    """
    with connection.transaction():
        targets = _owners_targets(connection, owner_id)
        known = _is_known(connection, owner_id, person_id)
        if not known and person_id >= _LONGEST:
            raise InvalidSettingsError("that is no running number: it is as long as a national id, and nobody has it")
        inserted = connection.execute(
            "insert into imsfeed.suppression (owner_id, person_id, kind, ordered_by, known) values (%s, %s, %s, %s, %s)"
            " on conflict (owner_id, person_id, kind) where ended_at is null do nothing",
            (owner_id, person_id, kind, _text(who, "--name"), known),
        ).rowcount
        since, ordered_by = _in_force(connection, kind, owner_id, person_id)
        _audit(connection, who, kind, reason, owner_id, person_id)
        affected = _ask(connection, targets, person_id)
    return Ordered(since, ordered_by, inserted == 0, known, affected)


def undo(connection: Connection, kind: Kind, owner_id: int, person_id: int, who: str, reason: str) -> Ordered:
    """Take an order back: from the next cuts on the source decides again.

    A suppression protects somebody's life; it is taken back by another person than the one who ordered it.

    Raises:
        InvalidSettingsError: as for :func:`order`; or the same person ordered it.
        NotInForceError: there is nothing to take back.
    """
    with connection.transaction():
        targets = _owners_targets(connection, owner_id)
        since, ordered_by = _in_force(connection, kind, owner_id, person_id)
        if kind == "suppressed" and _same_name(who, ordered_by):
            raise InvalidSettingsError(
                f"{ordered_by} has suppressed person {person_id}: somebody else must take it back, named by --name"
            )
        connection.execute(
            "update imsfeed.suppression set ended_at = now()"
            " where owner_id = %s and person_id = %s and kind = %s and ended_at is null",
            (owner_id, person_id, kind),
        )
        _audit(connection, who, f"{kind}_undone", reason, owner_id, person_id)
        affected = _ask(connection, targets, person_id)
        known = _is_known(connection, owner_id, person_id)
    return Ordered(since, ordered_by, repeated=False, known=known, targets=affected)


def _owners_targets(connection: Connection, owner_id: int) -> list[TargetRow]:
    targets = [target for target in all_targets(connection) if target.owner_id == owner_id]
    if not targets and not connection.execute("select from imsfeed.owner where owner_id = %s", (owner_id,)).fetchall():
        raise InvalidSettingsError(f"there is no owner {owner_id}; `imsfeed targets show` lists the owners told of")
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
        said = "suppressed" if kind == "suppressed" else "told to leave"
        raise NotInForceError(
            f"person {person_id} of owner {owner_id} is not {said}; `imsfeed status --json` lists all"
        )
    return row[0], row[1]


def _audit(connection: Connection, who: str, action: str, reason: str, owner_id: int, person_id: int) -> None:
    connection.execute(
        "insert into imsfeed.suppression_audit (who, action, reason, owner_id, person_id) values (%s, %s, %s, %s, %s)",
        (_text(who, "--name"), action, _text(reason, "--reason"), owner_id, person_id),
    )


def _ask(connection: Connection, targets: list[TargetRow], person_id: int) -> list[Affected]:
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
    return [Affected(target, target.target_id in having) for target in targets]


def _text(text: str, option: str) -> str:
    kept = without_national_ids(" ".join(text.split()))
    if not kept:
        raise InvalidSettingsError(f"{option} is blank; the audit needs it")
    return kept


def _same_name(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
