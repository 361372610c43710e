"""What a target's importer has been told, and the deltas and snapshots it was told by, in the state database."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final
from xml.sax.saxutils import unescape

import msgspec
from psycopg.types.json import Jsonb

from consumers.sessions import Connection
from ims.delta import Delta
from ims.feed import DeltaEntry, SnapshotEntry, delta_path
from ims.records import RecordKey
from ims.vocabulary import RecordKind

Owners = Mapping[RecordKey, tuple[int | None, int | None]]
"""The running numbers of the person and the group that a record is about."""

_STREAM_ROWS: Final = 2_000


def published(
    connection: Connection, target_id: int, persons: Collection[int], groups: Collection[int]
) -> dict[RecordKey, str]:
    """The fragments told about these persons (with their memberships) and groups, and about the owner and its schools.

    Groups that stand for the owner and its schools belong to no course group; every cut compares them all.
    """
    rows = connection.execute(
        "select kind, id, member, xml from imsfeed.published where target_id = %(target)s"
        " and (person_id = any (%(persons)s) or (kind = 2 and group_id = any (%(groups)s)))"
        " union all select kind, id, member, xml from imsfeed.published"
        " where target_id = %(target)s and kind = 2 and group_id is null",
        {"target": target_id, "persons": list(persons), "groups": list(groups)},
    ).fetchall()
    return {RecordKey(RecordKind(kind), id_, member): xml for kind, id_, member, xml in rows}


def person_ids(connection: Connection, target_id: int, persons: Collection[int]) -> dict[int, str]:
    """The ``sourcedid/id`` that these persons were told under, by running number."""
    rows = connection.execute(
        "select person_id, id from imsfeed.published where target_id = %s and kind = 1 and person_id = any (%s)",
        (target_id, list(persons)),
    ).fetchall()
    return dict(rows)


def persons_called(connection: Connection, target_id: int, ids: Collection[str]) -> list[int]:
    """Running numbers of the persons that were told with one of these as their ``sourcedid/id``."""
    rows = connection.execute(
        "select person_id from imsfeed.published where target_id = %s and kind = 1 and id = any (%s)",
        (target_id, list(ids)),
    ).fetchall()
    return [person for (person,) in rows]


def groups_called(connection: Connection, target_id: int, ids: Collection[str]) -> set[str]:
    """Those of the ``sourcedid/id`` that groups were told with."""
    rows = connection.execute(
        "select id from imsfeed.published where target_id = %s and kind = 2 and id = any (%s)", (target_id, list(ids))
    ).fetchall()
    return {id_ for (id_,) in rows}


def persons_once_called(connection: Connection, target_id: int, ids: Collection[str]) -> list[int]:
    """Running numbers of the persons that were told with one of these as their old ``sourcedid/id``."""
    rows = connection.execute(
        "select person_id from imsfeed.published where target_id = %s and kind = 1"
        " and xml like '%%sourcedidtype=\"Old\"%%'"
        " and substring(xml from 'sourcedidtype=\"Old\".*?<id>([^<]*)</id>') = any (%s)",
        (target_id, list(ids)),
    ).fetchall()
    return [person for (person,) in rows]


def logins_elsewhere(
    connection: Connection, target_id: int, gone: Collection[str], looked_at: Collection[str]
) -> set[str]:
    """The logins of some persons that others are told with too.

    Args:
        gone: ``sourcedid/id`` of the persons in question.
        looked_at: of those who do not count as others.
    """
    rows = connection.execute(
        "with told as (select id, lower(substring(xml from '<userid[^>]*>([^<]*)</userid>')) as login"
        " from imsfeed.published where target_id = %(target)s and kind = 1 and id = any (%(gone)s))"
        " select distinct told.login from told join imsfeed.published other on other.target_id = %(target)s"
        " and other.kind = 1 and lower(substring(other.xml from '<userid[^>]*>([^<]*)</userid>')) = told.login"
        " where not other.id = any (%(looked_at)s)",
        {"target": target_id, "gone": list(gone), "looked_at": list(looked_at)},
    ).fetchall()
    return {unescape(login) for (login,) in rows}


def stream(connection: Connection, target_id: int) -> Iterator[tuple[RecordKey, str]]:
    """Every fragment told to the target, in the order of a snapshot; needs a transaction, holds little in memory."""
    query = "select kind, id, member, xml from imsfeed.published where target_id = %(target)s order by kind, id, member"
    return streamed(connection, query, {"target": target_id})


def streamed(connection: Connection, query: str, parameters: Mapping[str, Any]) -> Iterator[tuple[RecordKey, str]]:
    """The fragments that *query* finds, as kind, id, member and xml; needs a transaction, holds little in memory."""
    with connection.cursor(name="imsfeed_fragments") as cursor:
        cursor.itersize = _STREAM_ROWS
        for kind, id_, member, xml in cursor.execute(query.encode(), parameters):
            yield RecordKey(RecordKind(kind), id_, member), xml


def tell(connection: Connection, target_id: int, delta: Delta, owners: Owners) -> None:
    """Make ``published`` what the importer knows once it has taken in *delta*."""
    if delta.removals:
        kinds, ids, members = zip(*delta.removals, strict=True)
        connection.execute(
            "delete from imsfeed.published p"
            " using unnest(%s::smallint[], %s::text[], %s::text[]) as g(kind, id, member)"
            " where p.target_id = %s and (p.kind, p.id, p.member) = (g.kind, g.id, g.member)",
            ([int(kind) for kind in kinds], list(ids), list(members), target_id),
        )
    store_fragments(connection, target_id, delta.upserts, owners)


def store_fragments(
    connection: Connection,
    target_id: int,
    fragments: Mapping[RecordKey, str],
    owners: Owners,
) -> None:
    """Keep *fragments* as told, each with the running number of the person and the group it is about."""
    keys = list(fragments)
    connection.execute(
        "insert into imsfeed.published (target_id, kind, id, member, person_id, group_id, xml)"
        " select %s, * from unnest(%s::smallint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])"
        " on conflict (target_id, kind, id, member) do update"
        " set person_id = excluded.person_id, group_id = excluded.group_id, xml = excluded.xml",
        (
            target_id,
            [int(key.kind) for key in keys],
            [key.id for key in keys],
            [key.member for key in keys],
            [owners[key][0] for key in keys],
            [owners[key][1] for key in keys],
            [fragments[key] for key in keys],
        ),
    )


def add_delta(connection: Connection, target_id: int, entry: DeltaEntry, xml: bytes) -> None:
    """Record a delta with its bytes; it is not in the feed yet."""
    connection.execute(
        "insert into imsfeed.delta"
        " (target_id, seq, sha256, prev_sha256, size, counts, created_at, oldest_event_at, xml)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            target_id,
            entry.seq,
            entry.sha256,
            entry.prev_sha256,
            entry.size,
            Jsonb(msgspec.to_builtins(entry.counts)),
            entry.created,
            entry.oldest_event_at,
            xml,
        ),
    )


def unlinked_deltas(connection: Connection, target_id: int) -> list[tuple[int, str, bytes]]:
    """Number, digest and bytes of the deltas that are recorded but not known to be in the feed, in order."""
    return connection.execute(
        "select seq, sha256, xml from imsfeed.delta where target_id = %s and linked_at is null order by seq",
        (target_id,),
    ).fetchall()


def mark_linked(connection: Connection, target_id: int, seq: int, now: datetime) -> None:
    """Remember that delta *seq* is in the feed."""
    connection.execute(
        "update imsfeed.delta set linked_at = %s where target_id = %s and seq = %s", (now, target_id, seq)
    )


def deltas(connection: Connection, target_id: int) -> list[DeltaEntry]:
    """The deltas in the feed, in order."""
    rows = connection.execute(
        "select seq, sha256, prev_sha256, size, created_at, oldest_event_at, counts from imsfeed.delta"
        " where target_id = %s and linked_at is not null order by seq",
        (target_id,),
    ).fetchall()
    return [
        msgspec.convert(
            {
                "seq": seq,
                "path": delta_path(seq),
                "sha256": sha256,
                "prev_sha256": prev_sha256,
                "size": size,
                "created": created,
                "oldest_event_at": oldest,
                "counts": counts,
            },
            DeltaEntry,
        )
        for seq, sha256, prev_sha256, size, created, oldest, counts in rows
    ]


def add_snapshot(connection: Connection, target_id: int, entry: SnapshotEntry, now: datetime) -> None:
    """Record a snapshot that is in the feed. The last one before the first delta is where that one's chain starts."""
    connection.execute(
        "insert into imsfeed.snapshot (target_id, path, seq, local_date, sha256, size, counts, created_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        (
            target_id,
            entry.path,
            entry.seq,
            entry.local_date,
            entry.sha256,
            entry.size,
            Jsonb(msgspec.to_builtins(entry.counts)),
            now,
        ),
    )
    connection.execute(
        "update imsfeed.target set head_sha256 = %s where target_id = %s and head_seq = 0",
        (entry.sha256, target_id),
    )


def latest_snapshot(connection: Connection, target_id: int) -> tuple[SnapshotEntry, datetime] | None:
    """The newest snapshot and when it was made."""
    row = connection.execute(
        "select seq, path, sha256, size, counts, local_date, created_at from imsfeed.snapshot"
        " where target_id = %s order by seq desc, created_at desc limit 1",
        (target_id,),
    ).fetchone()
    if row is None:
        return None
    keys = ("seq", "path", "sha256", "size", "counts", "local_date")
    return msgspec.convert(dict(zip(keys, row, strict=False)), SnapshotEntry), row[-1]


def scheduled_through(connection: Connection, target_id: int, day: date) -> None:
    """Remember that the snapshot of *day*'s hour has been taken."""
    connection.execute(
        "update imsfeed.target set snapshot_through = greatest(snapshot_through, %s) where target_id = %s",
        (day, target_id),
    )


def expire(connection: Connection, target_id: int, before: datetime) -> list[str]:
    """Forget snapshots and deltas made before *before*.

    Never the newest snapshot, nor a delta newer than the oldest snapshot that is kept.

    Returns:
        The paths of their files, to be removed once no manifest names them.
    """
    snapshots = connection.execute(
        "delete from imsfeed.snapshot s where target_id = %s and created_at < %s and exists"
        " (select from imsfeed.snapshot n where n.target_id = s.target_id and n.created_at > s.created_at)"
        " returning path",
        (target_id, before),
    ).fetchall()
    deltas = connection.execute(
        "delete from imsfeed.delta d where target_id = %s and created_at < %s and linked_at is not null and seq <="
        " (select min(seq) from imsfeed.snapshot s where s.target_id = d.target_id) returning seq",
        (target_id, before),
    ).fetchall()
    return [*(path for (path,) in snapshots), *(delta_path(seq) for (seq,) in deltas)]


def known_files(connection: Connection, target_id: int) -> set[str]:
    """Paths of all deltas and snapshots of the target that are recorded."""
    paths = connection.execute("select path from imsfeed.snapshot where target_id = %s", (target_id,)).fetchall()
    numbers = connection.execute("select seq from imsfeed.delta where target_id = %s", (target_id,)).fetchall()
    return {path for (path,) in paths} | {delta_path(seq) for (seq,) in numbers}


def pending_marks(connection: Connection) -> int:
    """How many marks some enabled target has not been told yet."""
    row = connection.execute(
        "select count(*) from imsfeed.mark m where exists (select from imsfeed.target t where t.owner_id = m.owner_id"
        " and (t.settings ->> 'enabled')::boolean and t.marks_through < m.mark_id)"
    ).fetchone()
    return int(row[0]) if row else 0


def forget_marks(connection: Connection) -> int:
    """Remove the marks that every enabled target of their owner has passed; one that is enabled later looks at all."""
    return connection.execute(
        "delete from imsfeed.mark m where not exists (select from imsfeed.target t where t.owner_id = m.owner_id"
        " and (t.settings ->> 'enabled')::boolean and t.marks_through < m.mark_id)"
    ).rowcount
