"""What has been published to a target, record by record, in the state database."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection
from ims.feed.delta import Delta
from ims.publication.gathered import Published, Scope
from ims.records.model import RecordKey, Subjects
from ims.records.vocabulary import RecordKind

_STREAM_ROWS: Final = 2_000
_STORED_ROWS: Final = 10_000
"""Rows of one statement: it has their texts in memory several times, and an owner may have 100,000 groups."""
_KINDS: Final = {int(kind): kind for kind in RecordKind}


def published(connection: Connection, target_id: int, scope: Scope) -> Published:
    """Return what was published about *scope*; see :meth:`consumers.publication.view.View.published`.

    Groups that represent the owner and its schools are always included; every publication compares them all.
    """
    # One query for each condition: joined by "or", each row found would be compared with all persons one by one.
    rows = connection.execute(
        "select kind, id, member, xml, person_id, group_id from imsfeed.published"
        " where target_id = %(target)s and person_id = any (%(persons)s::bigint[])"
        " union all select kind, id, member, xml, person_id, group_id from imsfeed.published"
        " where target_id = %(target)s and kind = 2 and group_id = any (%(groups)s::bigint[])"
        " union all select kind, id, member, xml, person_id, group_id from imsfeed.published"
        " where target_id = %(target)s and kind = 2 and group_id is null",
        {"target": target_id, "persons": array_literal(scope.persons), "groups": array_literal(scope.groups)},
    ).fetchall()
    found = Published({}, {})
    for kind, id_, member, xml, person, group in rows:
        key = RecordKey(_KINDS[kind], id_, member)
        found.texts[key], found.subjects[key] = xml, (person, group)
    return found


def streamed(connection: Connection, query: str, parameters: Mapping[str, Any]) -> Iterator[tuple[RecordKey, str]]:
    """Yield the fragments of *query*'s kind, id, member and xml, few in memory at a time; needs a transaction."""
    with connection.cursor(name="imsfeed_fragments") as cursor:
        cursor.itersize = _STREAM_ROWS
        for kind, id_, member, xml in cursor.execute(query.encode(), parameters):
            yield RecordKey(RecordKind(kind), id_, member), xml


def record_delta(connection: Connection, target_id: int, delta: Delta, subjects: Subjects) -> None:
    """Store the records that the importer has once it has applied *delta*."""
    if delta.removals:
        kinds, ids, members = zip(*delta.removals, strict=True)
        connection.execute(
            "delete from imsfeed.published p"
            " using unnest(%s::smallint[], %s::text[], %s::text[]) as g(kind, id, member)"
            " where p.target_id = %s and (p.kind, p.id, p.member) = (g.kind, g.id, g.member)",
            ([int(kind) for kind in kinds], list(ids), list(members), target_id),
        )
    store_fragments(connection, target_id, delta.upserts, subjects)


def store_fragments(
    connection: Connection,
    target_id: int,
    fragments: Mapping[RecordKey, str],
    subjects: Subjects,
) -> None:
    """Store *fragments* as published, each with its subjects."""
    keys = list(fragments)
    for first in range(0, len(keys), _STORED_ROWS):
        _store(connection, target_id, keys[first : first + _STORED_ROWS], fragments, subjects)


def _store(
    connection: Connection,
    target_id: int,
    keys: list[RecordKey],
    fragments: Mapping[RecordKey, str],
    subjects: Subjects,
) -> None:
    columns: tuple[Sequence[int | str | None], ...] = (
        [int(key.kind) for key in keys],
        [key.id for key in keys],
        [key.member for key in keys],
        [subjects[key][0] for key in keys],
        [subjects[key][1] for key in keys],
        [fragments[key] for key in keys],
    )
    connection.execute(
        "insert into imsfeed.published (target_id, kind, id, member, person_id, group_id, xml)"
        " select %s, * from unnest(%s::smallint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])"
        " on conflict (target_id, kind, id, member) do update"
        " set person_id = excluded.person_id, group_id = excluded.group_id, xml = excluded.xml",
        (target_id, *map(array_literal, columns)),
    )


def store_moved(connection: Connection, target_id: int, moved: Subjects) -> None:
    """Store the new subjects of published records that stay as they are.

    A national id may move from one running number to another, as when a person was registered twice. The records stay
    the same byte for byte, so there is no delta; but the next change of the new running number has to find them.
    """
    if not moved:
        return
    connection.execute(
        "update imsfeed.published p set person_id = o.person_id, group_id = o.group_id"
        " from unnest(%s::smallint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])"
        " as o(kind, id, member, person_id, group_id)"
        " where p.target_id = %s and (p.kind, p.id, p.member) = (o.kind, o.id, o.member)",
        (
            [int(key.kind) for key in moved],
            [key.id for key in moved],
            [key.member for key in moved],
            [person for person, _ in moved.values()],
            [group for _, group in moved.values()],
            target_id,
        ),
    )


def pending_changes_count(connection: Connection) -> int:
    """Return how many pending changes an enabled target has not published, apart from those that wait to begin."""
    row = connection.execute(
        "select count(*) from imsfeed.pending_change m where exists (select from imsfeed.target t where t.owner_id ="
        " m.owner_id"
        " and (t.settings ->> 'enabled')::boolean and t.head_seq is not null and t.changes_through < m.change_id)"
    ).fetchone()
    return int(row[0]) if row else 0


def delete_published_changes(connection: Connection) -> int:
    """Delete the pending changes that every enabled target of their owner has published, and return how many.

    A target that is enabled later, and the first publication of one that waits, compare everything.
    """
    return connection.execute(
        "delete from imsfeed.pending_change m where not exists (select from imsfeed.target t where t.owner_id ="
        " m.owner_id"
        " and (t.settings ->> 'enabled')::boolean and t.head_seq is not null and t.changes_through < m.change_id)"
    ).rowcount


def merge_repeated_changes(connection: Connection) -> int:
    """Delete all but the newest of the old pending changes about the same person, group, school or owner.

    A publication takes them together. So the changes that wait for a halted target are no more than its owner has
    persons and groups, however long it is halted. Changes of the last ten minutes stay: they may be settling.

    Returns:
        How many were deleted.
    """
    return connection.execute(
        "with old as materialized (select change_id, owner_id, kind, id, committed_at from imsfeed.pending_change"
        " where noted_at < now() - interval '10 minutes'),"
        " repeated as (select owner_id, kind, id, max(change_id) as newest, min(committed_at) as oldest_commit"
        " from old group by owner_id, kind, id having count(*) > 1),"
        " kept as (update imsfeed.pending_change c set committed_at = r.oldest_commit from repeated r"
        " where c.change_id = r.newest)"
        " delete from imsfeed.pending_change c using old o join repeated r using (owner_id, kind, id)"
        " where c.change_id = o.change_id and o.change_id < r.newest"
    ).rowcount
