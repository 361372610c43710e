"""The persons who are suppressed or ordered to leave, in the state database, and those who must leave immediately."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

import msgspec

from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection

Kind = Literal["leave_now", "suppressed"]


class Suppression(msgspec.Struct, frozen=True):
    """A person who is suppressed or ordered to leave, and since when."""

    owner: int
    person: int
    kind: Kind
    since: datetime


def all_in_force(connection: Connection) -> list[Suppression]:
    """Return the suppressed persons and those ordered to leave, of all owners."""
    rows = connection.execute(
        "select owner_id, person_id, kind, since from imsfeed.suppression where ended_at is null"
        " order by owner_id, kind, person_id"
    ).fetchall()
    return [Suppression(*row) for row in rows]


def in_force(connection: Connection, owner_id: int, persons: Collection[int]) -> dict[Kind, frozenset[int]]:
    """Return the running numbers of *persons* who are suppressed, and of those who are ordered to leave."""
    rows = connection.execute(
        "select kind, person_id from imsfeed.suppression"
        " where owner_id = %s and person_id = any (%s::bigint[]) and ended_at is null",
        (owner_id, array_literal(list(persons))),
    ).fetchall()
    kinds: tuple[Kind, ...] = ("leave_now", "suppressed")
    return {kind: frozenset(person for of, person in rows if of == kind) for kind in kinds}


def urgent(connection: Connection, target_id: int) -> frozenset[int]:
    """Return the persons whom the target's next publication must include, even if nothing has settled."""
    rows = connection.execute(
        "select distinct person_id from imsfeed.urgent_person where target_id = %s", (target_id,)
    ).fetchall()
    return frozenset(person for (person,) in rows)


def delete_urgent(connection: Connection, target_id: int) -> None:
    """Delete the persons that :func:`urgent` has returned in the same transaction, which sees no others."""
    connection.execute("delete from imsfeed.urgent_person where target_id = %s", (target_id,))


def to_be_ended(connection: Connection, owner_id: int, persons: Collection[int], through: int) -> dict[int, bool]:
    """Return the persons ordered to leave about whom no change newer than *through* is pending.

    By running number; the value is true if the owner's facts had the person at the time of the order.
    """
    rows = connection.execute(
        "select s.person_id, s.known from imsfeed.suppression s where s.owner_id = %(owner)s and s.kind = 'leave_now'"
        " and s.person_id = any (%(persons)s) and s.ended_at is null and not exists (select from"
        " imsfeed.pending_change m"
        " where m.owner_id = s.owner_id and m.kind = 'person' and m.id = s.person_id and m.change_id > %(through)s)",
        {"owner": owner_id, "persons": list(persons), "through": through},
    ).fetchall()
    return dict(rows)


def end(connection: Connection, owner_id: int, persons: Collection[int], now: datetime) -> None:
    """End these persons' orders to leave, since the source agrees that they have left."""
    connection.execute(
        "with ended as (update imsfeed.suppression set ended_at = %(now)s where owner_id = %(owner)s"
        " and kind = 'leave_now' and person_id = any (%(persons)s) and ended_at is null returning person_id)"
        " insert into imsfeed.suppression_audit (who, action, reason, owner_id, person_id)"
        " select 'imsfeed', 'leave_now_ended', 'the source agrees', %(owner)s, person_id from ended",
        {"now": now, "owner": owner_id, "persons": list(persons)},
    )
