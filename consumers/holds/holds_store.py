"""The persons and groups that wait for an approval, and the departures without one, in the state database."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from psycopg.types.json import Jsonb

from consumers.database.sessions import Connection
from ims.holds.decision import Waiting
from ims.holds.limits import DAY, Departure, PublishedCounts
from ims.holds.losses import Cause, HoldEntry, Loss, digest
from ims.records.vocabulary import RecordKind

_Key = tuple[RecordKind, str]
MANY_PROTECTED: Final = 5
"""Protected persons who leave a target in a day without an alarm: they leave immediately, however many they are."""


def waiting(connection: Connection, target_id: int) -> Waiting:
    """Return every person who waits at a target, and every group whose removal waits."""
    rows = connection.execute(
        "select e.kind, e.id, h.cause, e.loss, e.own, h.approved_at is not null from imsfeed.hold_entry e"
        " join imsfeed.hold h using (hold_id) where h.target_id = %s and h.ended_at is null",
        (target_id,),
    ).fetchall()
    found = {
        (RecordKind(kind), id_): HoldEntry(Cause(cause), msgspec.convert(loss, Loss), own, approved)
        for kind, id_, cause, loss, own, approved in rows
    }
    return Waiting(
        {int(id_): waits for (kind, id_), waits in found.items() if kind is RecordKind.PERSON},
        {id_: waits for (kind, id_), waits in found.items() if kind is RecordKind.GROUP},
    )


def departures(connection: Connection, target_id: int, now: datetime) -> list[Departure]:
    """Return what was lost in the last day without an approval."""
    rows = connection.execute(
        "select person_id, left_at, teacher, id_change, login, group_id from imsfeed.departure"
        " where target_id = %s and left_at > %s",
        (target_id, now - DAY),
    ).fetchall()
    return [Departure(*row) for row in rows]


def published_counts(connection: Connection, target_id: int, enough: PublishedCounts) -> PublishedCounts:
    """Count the published persons and teachers; see :meth:`consumers.publication.view.View.published_counts`."""

    def count(query: str, limit: int) -> int:
        row = connection.execute(query.encode(), (target_id, limit)).fetchone() if limit else None
        return int(row[0]) if row else 0

    return PublishedCounts(
        persons=count(_OF_KIND.format(kind=1), enough.persons),
        teachers=count(_TEACHERS, enough.teachers),
        memberships=count(_OF_KIND.format(kind=3), enough.memberships),
        teacher_memberships=count(_INSTRUCTORS, enough.teacher_memberships),
        groups=count(_OF_KIND.format(kind=2), enough.groups),
    )


def keep(connection: Connection, target_id: int, before: Waiting, after: Waiting, now: datetime) -> None:
    """Store the holds that a publication has decided.

    Args:
        before: all that waited, if it was in scope; else nothing, and *after* is added to what waits already.
    """
    entries = _by_cause(after)
    for cause in sorted(entries.keys() | _by_cause(before).keys()):
        hold_id = _open(connection, target_id, cause, now)
        _keep_one(connection, hold_id, cause, entries.get(cause, {}), whole=bool(before), now=now)


def note_departures(connection: Connection, target_id: int, new: Iterable[Departure]) -> None:
    """Store the departures that count against the target's limits from now on."""
    rows = list(new)
    if rows:
        connection.execute(
            "insert into imsfeed.departure (target_id, person_id, left_at, teacher, id_change, login, group_id)"
            " select %s, * from unnest(%s::bigint[], %s::timestamptz[], %s::boolean[], %s::boolean[], %s::boolean[],"
            " %s::text[])",
            (target_id, *map(list, zip(*rows, strict=True))),
        )


def protected_departures(connection: Connection, now: datetime) -> dict[int, int]:
    """Return how many persons left each enabled target in the last day because they are protected, by its number."""
    rows = connection.execute(
        "select d.target_id, count(distinct d.person_id) from imsfeed.departure d"
        " join imsfeed.target t on t.target_id = d.target_id and (t.settings ->> 'enabled')::boolean"
        " join imsfeed.exclusion e on e.target_id = d.target_id and e.kind = 1 and e.id = d.person_id"
        " and e.reason = 'person_protected'"
        " where d.left_at > %s and d.group_id = '' and not d.login and not d.id_change group by 1",
        (now - DAY,),
    ).fetchall()
    return dict(rows)


def delete_old_departures(connection: Connection, now: datetime) -> None:
    """Delete the departures that no longer count against any limit."""
    connection.execute("delete from imsfeed.departure where left_at < %s", (now - DAY,))


def initial_approval(connection: Connection, target_id: int, now: datetime) -> bytes | None:
    """Return what was approved of a target's first publication; ``None`` if nothing was, and begin its hold."""
    row = connection.execute(
        "select case when approved_at is not null then approved_content end from imsfeed.hold"
        " where target_id = %s and cause = 'initial' and ended_at is null",
        (target_id,),
    ).fetchone()
    if row is None:
        _open(connection, target_id, Cause.INITIAL, now)
        return None
    return None if row[0] is None else bytes(row[0])


def end_initial(connection: Connection, target_id: int, now: datetime) -> None:
    """End the hold of a target's first publication, if there is one."""
    connection.execute(
        "update imsfeed.hold set ended_at = %s, approved_content = null,"
        " outcome = case when approved_at is null then 'released' else 'approved' end"
        " where target_id = %s and cause = 'initial' and ended_at is null",
        (now, target_id),
    )


def ask_again(connection: Connection, target_id: int, now: datetime) -> None:
    """Take back the approval of a first publication: it would publish something else now."""
    connection.execute(
        "update imsfeed.hold set approved_at = null, approved_content = null, digest = '', changed_at = %s"
        " where target_id = %s and cause = 'initial' and ended_at is null",
        (now, target_id),
    )


def counts(connection: Connection) -> dict[Cause, int]:
    """Return how many persons wait at all enabled targets, by cause."""
    rows = connection.execute(
        "select h.cause, count(*) from imsfeed.hold_entry e join imsfeed.hold h using (hold_id)"
        " join imsfeed.target t using (target_id)"
        " where h.ended_at is null and e.kind = 1 and (t.settings ->> 'enabled')::boolean group by 1"
    ).fetchall()
    return {Cause(cause): number for cause, number in rows}


def entries_of(connection: Connection, hold_id: int) -> dict[_Key, Loss]:
    """Return what each person (by running number) and group (by ``sourcedid/id``) in a hold loses."""
    rows = connection.execute("select kind, id, loss from imsfeed.hold_entry where hold_id = %s", (hold_id,)).fetchall()
    return {(RecordKind(kind), id_): msgspec.convert(loss, Loss) for kind, id_, loss in rows}


def _by_cause(who: Waiting) -> dict[Cause, dict[_Key, HoldEntry]]:
    found: dict[Cause, dict[_Key, HoldEntry]] = {}
    for number, waits in who.persons.items():
        found.setdefault(waits.cause, {})[RecordKind.PERSON, str(number)] = waits
    for id_, waits in who.groups.items():
        found.setdefault(waits.cause, {})[RecordKind.GROUP, id_] = waits
    return found


def _open(connection: Connection, target_id: int, cause: Cause, now: datetime) -> int:
    """Return the number of the target's open hold of this cause; begin one if there is none."""
    key = (target_id, cause.value)
    connection.execute(
        "insert into imsfeed.hold (target_id, cause, began_at, changed_at) values (%s, %s, %s, %s)"
        " on conflict (target_id, cause) where ended_at is null do nothing",
        (*key, now, now),
    )
    rows: list[tuple[Any, ...]] = connection.execute(
        "select hold_id from imsfeed.hold where target_id = %s and cause = %s and ended_at is null", key
    ).fetchall()
    return int(rows[0][0])


def _keep_one(
    connection: Connection, hold_id: int, cause: Cause, entries: Mapping[_Key, HoldEntry], *, whole: bool, now: datetime
) -> None:
    known = entries_of(connection, hold_id)
    kept = ({} if whole else known) | {key: waits.loss for key, waits in entries.items()}
    gone = list(known.keys() - kept.keys())
    connection.execute(
        "delete from imsfeed.hold_entry where hold_id = %s"
        " and (kind, id) in (select * from unnest(%s::smallint[], %s::text[]))",
        (hold_id, [int(kind) for kind, _ in gone], [id_ for _, id_ in gone]),
    )
    connection.execute(
        "insert into imsfeed.hold_entry (hold_id, kind, id, own, since, loss)"
        " select %s, k.kind, k.id, k.own, %s::timestamptz, k.loss"
        " from unnest(%s::smallint[], %s::text[], %s::boolean[], %s::jsonb[]) as k(kind, id, own, loss)"
        " on conflict (hold_id, kind, id) do update set own = excluded.own, loss = excluded.loss",
        (
            hold_id,
            now,
            [int(kind) for kind, _ in entries],
            [id_ for _, id_ in entries],
            [waits.own for waits in entries.values()],
            [Jsonb(msgspec.to_builtins(waits.loss)) for waits in entries.values()],
        ),
    )
    if not kept:
        connection.execute(
            "update imsfeed.hold set ended_at = %s,"
            " outcome = case when approved_at is null then 'released' else 'approved' end where hold_id = %s",
            (now, hold_id),
        )
        return
    grown = any(key not in known or not loss.within(known[key]) for key, loss in kept.items())
    connection.execute(
        "update imsfeed.hold set approved_at = null, digest = %(digest)s,"
        " changed_at = case when digest = %(digest)s then changed_at else %(now)s end,"
        " rejected_at = case when %(grown)s then null else rejected_at end where hold_id = %(hold)s",
        {"digest": digest_of(cause, kept), "now": now, "grown": grown, "hold": hold_id},
    )


def digest_of(cause: Cause, entries: Mapping[_Key, Loss]) -> str:
    """Return the digest of a hold with these entries."""
    return digest(
        cause,
        {int(id_): loss for (kind, id_), loss in entries.items() if kind is RecordKind.PERSON},
        [id_ for kind, id_ in entries if kind is RecordKind.GROUP],
    )


_OF_KIND: Final = """
select count(*) from (select from imsfeed.published where target_id = %s and kind = {kind} limit %s) record
"""
_INSTRUCTORS: Final = """
select count(*) from (select from imsfeed.published
 where target_id = %s and kind = 3 and xml like '%%roletype="02"%%' limit %s) record
"""
# A teacher as in ims.holds.losses: by the institution role, or, in PIFU-IMS, by being an instructor somewhere.
_TEACHERS: Final = """
select count(*) from (
select distinct case kind when 1 then id else member end from imsfeed.published
 where target_id = %s and ((kind = 1 and xml like '%%institutionroletype="Staff"%%')
                           or (kind = 3 and xml like '%%roletype="02"%%')) limit %s) teacher
"""
