"""Offsets forgotten on purpose, when Kafka no longer has them: the way out that no process may take by itself.

The next materialize begins each partition at the oldest message that Kafka has. The position of the last change applied
stays, so that what was applied before is recognised and dropped; what was lost between is brought by a resync.
"""

from consumers.database.sessions import Connection


def reset_offsets(connection: Connection, topic: str) -> list[int]:
    """Forget how far *topic* was read, and which topic it was.

    Returns:
        The partitions whose offset was forgotten; empty if none was stored.

    Raises:
        psycopg.Error: nothing was forgotten.
    """
    rows = connection.execute(
        "update imsfeed.topic_partition set next_offset = null, topic_id = null, updated_at = now()"
        " where topic = %s and next_offset is not null returning partition",
        (topic,),
    ).fetchall()
    return sorted(partition for (partition,) in rows)
