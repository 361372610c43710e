"""The reset of stored offsets, for an operator whose Kafka no longer has them. No process may do it by itself.

The next materialize begins each partition at the oldest message that Kafka has. The position of the last applied change
stays, so that changes that were applied before are recognised and dropped. A resync brings what was lost in between.
"""

from consumers.database.sessions import Connection


def reset_offsets(connection: Connection, topic: str) -> list[int]:
    """Delete the stored offsets and the id of *topic*.

    Returns:
        The partitions whose offset was reset; empty if none was stored.

    Raises:
        psycopg.Error: nothing was reset.
    """
    rows = connection.execute(
        "update imsfeed.topic_partition set next_offset = null, topic_id = null, updated_at = now()"
        " where topic = %s and next_offset is not null returning partition",
        (topic,),
    ).fetchall()
    return sorted(partition for (partition,) in rows)
