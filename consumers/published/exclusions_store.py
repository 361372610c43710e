"""What a cut found out besides the records: who is left out and why, what was odd, and whose id has changed.

All by running number.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from consumers.database.sessions import Connection
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster


def keep(
    connection: Connection,
    target_id: int,
    roster: Roster,
    persons: Collection[int],
    groups: Collection[int],
    now: datetime,
) -> None:
    """Keep what *roster* says of these persons and groups: who is left out, and with whom something was odd."""
    _store_excluded(connection, target_id, roster, persons, groups, now)
    _store_warnings(connection, target_id, roster, persons, groups, now)


def _store_excluded(
    connection: Connection,
    target_id: int,
    roster: Roster,
    persons: Collection[int],
    groups: Collection[int],
    now: datetime,
) -> None:
    """Keep the reason why each of these persons and groups is not exported, since when; forget those that are."""
    connection.execute(
        "delete from imsfeed.exclusion where target_id = %s"
        " and ((kind = 1 and id = any (%s)) or (kind = 2 and id = any (%s)))"
        " and not (kind, id) in (select * from unnest(%s::smallint[], %s::bigint[]))",
        (
            target_id,
            list(persons),
            list(groups),
            [int(kind) for kind, _ in roster.excluded],
            [id_ for _, id_ in roster.excluded],
        ),
    )
    if not roster.excluded:
        return
    connection.execute(
        "insert into imsfeed.exclusion as l (target_id, kind, id, reason, since)"
        " select %s, *, %s::timestamptz from unnest(%s::smallint[], %s::bigint[], %s::text[])"
        " on conflict (target_id, kind, id) do update set reason = excluded.reason, since = excluded.since"
        " where l.reason <> excluded.reason",
        (
            target_id,
            now,
            [int(kind) for kind, _ in roster.excluded],
            [id_ for _, id_ in roster.excluded],
            [reason.value for reason in roster.excluded.values()],
        ),
    )


def excluded_counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Over all targets that are enabled: how many are left out, by kind (``person`` or ``group``) and reason."""
    rows = connection.execute(
        "select l.kind, l.reason, count(*) from imsfeed.exclusion l join imsfeed.target t using (target_id)"
        " where (t.settings ->> 'enabled')::boolean group by 1, 2"
    ).fetchall()
    return {(RecordKind(kind).name.lower(), reason): count for kind, reason, count in rows}


def _store_warnings(
    connection: Connection,
    target_id: int,
    roster: Roster,
    persons: Collection[int],
    groups: Collection[int],
    now: datetime,
) -> None:
    """Keep what was not as it should be with each of these persons and groups that is exported, since when."""
    warnings = [(int(kind), id_, warning.value) for (kind, id_), all_ in roster.warnings.items() for warning in all_]
    kinds, ids, texts = [r[0] for r in warnings], [r[1] for r in warnings], [r[2] for r in warnings]
    connection.execute(
        "delete from imsfeed.warning where target_id = %s"
        " and ((kind = 1 and id = any (%s)) or (kind = 2 and id = any (%s)))"
        " and not (kind, id, warning) in (select * from unnest(%s::smallint[], %s::bigint[], %s::text[]))",
        (target_id, list(persons), list(groups), kinds, ids, texts),
    )
    if not warnings:
        return
    connection.execute(
        "insert into imsfeed.warning (target_id, kind, id, warning, since)"
        " select %s, *, %s::timestamptz from unnest(%s::smallint[], %s::bigint[], %s::text[])"
        " on conflict do nothing",
        (target_id, now, kinds, ids, texts),
    )


def keep_id_changes(
    connection: Connection,
    target_id: int,
    published: Mapping[int, str],
    current: Mapping[int, str],
    seq: int,
    now: datetime,
) -> int:
    """Keep whose ``sourcedid/id`` is another now than was told, and return how many they are.

    Args:
        published: the id told before, by running number.
        current: the id now, by running number.
        seq: number of the delta that tells it.
    """
    changed = [person for person, id_ in current.items() if published.get(person, id_) != id_]
    if not changed:
        return 0
    connection.execute(
        "insert into imsfeed.id_change (target_id, person_id, seq, changed_at)"
        " select %s, *, %s::bigint, %s::timestamptz from unnest(%s::bigint[]) on conflict do nothing",
        (target_id, seq, now, changed),
    )
    return len(changed)
