"""What a target's importer has been told, record by record, in the state database, and what is still to be told."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import unescape

import msgspec

from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection
from ims.feed.delta import Delta
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind

Subjects = Mapping[RecordKey, tuple[int | None, int | None]]
"""The running numbers of the person and the group that a record is about."""

_STREAM_ROWS: Final = 2_000
_STORED_ROWS: Final = 10_000
"""Of one statement: their texts are in memory several times meanwhile, and an owner may have 100,000 groups."""
_KINDS: Final = {int(kind): kind for kind in RecordKind}


class Published(msgspec.Struct, frozen=True):
    """What was told about some persons and groups, by key.

    Attributes:
        texts: the fragments.
        subjects: whom each is about.
    """

    texts: dict[RecordKey, str]
    subjects: dict[RecordKey, tuple[int | None, int | None]]

    @property
    def person_ids(self) -> dict[int, str]:
        """The ``sourcedid/id`` that the persons were told under, by running number."""
        return {
            person: key.id
            for key, (person, _) in self.subjects.items()
            if key.kind is RecordKind.PERSON and person is not None
        }


def published(connection: Connection, target_id: int, persons: Collection[int], groups: Collection[int]) -> Published:
    """What was told about these persons (with their memberships) and groups, and about the owner and its schools.

    Groups that stand for the owner and its schools belong to no course group; every cut compares them all.
    """
    # Each condition by itself: joined by "or", each row found would be compared with all persons one by one.
    rows = connection.execute(
        "select kind, id, member, xml, person_id, group_id from imsfeed.published"
        " where target_id = %(target)s and person_id = any (%(persons)s)"
        " union all select kind, id, member, xml, person_id, group_id from imsfeed.published"
        " where target_id = %(target)s and kind = 2 and group_id = any (%(groups)s)"
        " union all select kind, id, member, xml, person_id, group_id from imsfeed.published"
        " where target_id = %(target)s and kind = 2 and group_id is null",
        {"target": target_id, "persons": list(persons), "groups": list(groups)},
    ).fetchall()
    found = Published({}, {})
    for kind, id_, member, xml, person, group in rows:
        key = RecordKey(_KINDS[kind], id_, member)
        found.texts[key], found.subjects[key] = xml, (person, group)
    return found


def person_ids(connection: Connection, target_id: int, persons: Collection[int]) -> dict[int, str]:
    """The ``sourcedid/id`` that these persons were told under, by running number."""
    rows = connection.execute(
        "select person_id, id from imsfeed.published where target_id = %s and kind = 1 and person_id = any (%s)",
        (target_id, list(persons)),
    ).fetchall()
    return dict(rows)


def subjects(
    connection: Connection, target_id: int, keys: Collection[RecordKey]
) -> dict[RecordKey, tuple[int | None, int | None]]:
    """The running numbers of the person and the group that each of these was told about."""
    kinds, ids, members = zip(*keys, strict=True)
    rows = connection.execute(
        "select kind, id, member, person_id, group_id from imsfeed.published"
        " join unnest(%s::smallint[], %s::text[], %s::text[]) as k(kind, id, member) using (kind, id, member)"
        " where target_id = %s",
        ([int(kind) for kind in kinds], list(ids), list(members), target_id),
    ).fetchall()
    return {RecordKey(RecordKind(kind), id_, member): (person, group) for kind, id_, member, person, group in rows}


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
    connection: Connection, target_id: int, gone: Collection[str], in_scope: Collection[str]
) -> set[str]:
    """The logins of some persons that others are told with too.

    Args:
        gone: ``sourcedid/id`` of the persons in question.
        in_scope: of those who do not count as others.
    """
    rows = connection.execute(
        "with told as (select distinct lower(substring(xml from '<userid[^>]*>([^<]*)</userid>')) as login"
        " from imsfeed.published where target_id = %(target)s and kind = 1 and id = any (%(gone)s))"
        " select told.login from told cross join lateral (select from imsfeed.published other"
        " where other.target_id = %(target)s and other.kind = 1"
        " and lower(substring(other.xml from '<userid[^>]*>([^<]*)</userid>')) = told.login"
        " and not other.id = any (%(in_scope)s) limit 1) elsewhere",
        {"target": target_id, "gone": list(gone), "in_scope": list(in_scope)},
    ).fetchall()
    return {unescape(login) for (login,) in rows}


def streamed(connection: Connection, query: str, parameters: Mapping[str, Any]) -> Iterator[tuple[RecordKey, str]]:
    """The fragments that *query* finds, as kind, id, member and xml; needs a transaction, holds little in memory."""
    with connection.cursor(name="imsfeed_fragments") as cursor:
        cursor.itersize = _STREAM_ROWS
        for kind, id_, member, xml in cursor.execute(query.encode(), parameters):
            yield RecordKey(RecordKind(kind), id_, member), xml


def record_delta(connection: Connection, target_id: int, delta: Delta, subjects: Subjects) -> None:
    """Make ``published`` what the importer knows once it has taken in *delta*."""
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
    """Keep *fragments* as told, each with the running number of the person and the group it is about."""
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


def pending_changes_count(connection: Connection) -> int:
    """How many marks some enabled target has not been told yet."""
    row = connection.execute(
        "select count(*) from imsfeed.pending_change m where exists (select from imsfeed.target t where t.owner_id ="
        " m.owner_id"
        " and (t.settings ->> 'enabled')::boolean and t.changes_through < m.change_id)"
    ).fetchone()
    return int(row[0]) if row else 0


def delete_published_changes(connection: Connection) -> int:
    """Remove the marks that every enabled target of their owner has passed; one that is enabled later looks at all."""
    return connection.execute(
        "delete from imsfeed.pending_change m where not exists (select from imsfeed.target t where t.owner_id ="
        " m.owner_id"
        " and (t.settings ->> 'enabled')::boolean and t.changes_through < m.change_id)"
    ).rowcount
