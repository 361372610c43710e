"""Whom each published record is about, kept right where its text stays and the running number does not.

A national id may go from one running number to another, as when a person was registered twice. What is published of it
stays word for word, and no delta comes of it; but the next change of the new running number has to find it.
"""

from consumers.database.sessions import Connection
from ims.publication.gathered import Subjects


def store_moved(connection: Connection, target_id: int, moved: Subjects) -> None:
    """Make the published records of these keys those of other persons and groups."""
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
