"""Whom each record that was told is about now, where its text stays and the running number does not.

A national id may go from one running number to another, as when somebody was registered twice. What is told of it stays
word for word, and no delta comes of it; but the next change of the new running number has to find it.
"""

from consumers.published_store import Owners
from consumers.sessions import Connection


def note(connection: Connection, target_id: int, owners: Owners) -> None:
    """Make the told records of these keys those of the persons and groups in *owners*."""
    keys = list(owners)
    connection.execute(
        "update imsfeed.published p set person_id = o.person_id, group_id = o.group_id"
        " from unnest(%s::smallint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])"
        " as o(kind, id, member, person_id, group_id)"
        " where p.target_id = %s and (p.kind, p.id, p.member) = (o.kind, o.id, o.member)"
        " and (p.person_id, p.group_id) is distinct from (o.person_id, o.group_id)",
        (
            [int(key.kind) for key in keys],
            [key.id for key in keys],
            [key.member for key in keys],
            [owners[key][0] for key in keys],
            [owners[key][1] for key in keys],
            target_id,
        ),
    )
