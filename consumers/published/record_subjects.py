"""Whom each record that was told is about, and kept so where its text stays and the running number does not.

A national id may go from one running number to another, as when somebody was registered twice. What is told of it stays
word for word, and no delta comes of it; but the next change of the new running number has to find it.
"""

from collections.abc import Collection

from consumers.database.sessions import Connection
from consumers.published.published_store import Subjects
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind


def note(connection: Connection, target_id: int, subjects: Subjects, published: Subjects) -> None:
    """Make the told records of these keys those of the persons and groups in *owners*.

    Args:
        published: whom they were told about; what is not here is told with its owner by now.
    """
    keys = [key for key, whose in subjects.items() if published.get(key, whose) != whose]
    if not keys:
        return
    connection.execute(
        "update imsfeed.published p set person_id = o.person_id, group_id = o.group_id"
        " from unnest(%s::smallint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])"
        " as o(kind, id, member, person_id, group_id)"
        " where p.target_id = %s and (p.kind, p.id, p.member) = (o.kind, o.id, o.member)",
        (
            [int(key.kind) for key in keys],
            [key.id for key in keys],
            [key.member for key in keys],
            [subjects[key][0] for key in keys],
            [subjects[key][1] for key in keys],
            target_id,
        ),
    )


def group_ids(connection: Connection, target_id: int, groups: Collection[int]) -> set[str]:
    """The ``sourcedid/id`` that these course groups were told under."""
    if not groups:
        return set()
    rows = connection.execute(
        "select id from imsfeed.published where target_id = %s and kind = 2 and group_id = any (%s)",
        (target_id, list(groups)),
    ).fetchall()
    return {id_ for (id_,) in rows}


def org_group_ids(connection: Connection, target_id: int, ids: Collection[str]) -> set[str]:
    """Those of the groups told under these ids that stand for the owner or a school."""
    return {id_ for id_, number in _numbers(connection, target_id, ids) if number is None}


def group_numbers(connection: Connection, target_id: int, ids: Collection[str]) -> set[int]:
    """Running numbers of the course groups that were told under these ids."""
    return {number for _, number in _numbers(connection, target_id, ids) if number is not None}


def _numbers(connection: Connection, target_id: int, ids: Collection[str]) -> list[tuple[str, int | None]]:
    return connection.execute(
        "select id, group_id from imsfeed.published where target_id = %s and kind = 2 and id = any (%s)",
        (target_id, list(ids)),
    ).fetchall()


def affects(
    connection: Connection, target_id: int, ids: Collection[str], persons: Collection[int], groups: Collection[int]
) -> bool:
    """Whether one of these groups, or a member told of one of them, is among those given by ``sourcedid/id``."""
    row = connection.execute(
        "select exists (select from imsfeed.published where target_id = %(target)s and kind = 2 and id = any (%(ids)s)"
        " and group_id = any (%(groups)s)) or exists (select from imsfeed.published where target_id = %(target)s"
        " and kind = 3 and id = any (%(ids)s) and person_id = any (%(persons)s))",
        {"target": target_id, "ids": list(ids), "persons": list(persons), "groups": list(groups)},
    ).fetchone()
    return bool(ids) and bool(row and row[0])


def subjects(connection: Connection, target_id: int, keys: Collection[RecordKey]) -> Subjects:
    """Running numbers of the person and the group that each of these records was told about."""
    rows = connection.execute(
        "select p.kind, p.id, p.member, p.person_id, p.group_id from imsfeed.published p"
        " join unnest(%s::smallint[], %s::text[], %s::text[]) as k(kind, id, member)"
        " on (p.kind, p.id, p.member) = (k.kind, k.id, k.member) where p.target_id = %s",
        ([int(key.kind) for key in keys], [key.id for key in keys], [key.member for key in keys], target_id),
    ).fetchall()
    return {RecordKey(RecordKind(kind), id_, member): (person, group) for kind, id_, member, person, group in rows}
