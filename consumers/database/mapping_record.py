"""With which mapping a partition's facts are made: its digest, as materialize has recorded it."""

from collections.abc import Iterable

from consumers.database.sessions import Connection


def note_mapping(connection: Connection, topic: str, partitions: Iterable[int], digest: str) -> None:
    """Record the digest of the mapping by which the partitions' facts are made from now on."""
    connection.execute(
        "update imsfeed.topic_partition set mapping_digest = %s"
        " where topic = %s and partition = any (%s) and mapping_digest is distinct from %s",
        (digest, topic, list(partitions), digest),
    )


def mapping_digest(connection: Connection, topic: str, partition: int) -> str | None:
    """Return the digest of the mapping by which the partition's facts are made; ``None`` if it is not recorded."""
    row = connection.execute(
        "select mapping_digest from imsfeed.topic_partition where topic = %s and partition = %s", (topic, partition)
    ).fetchone()
    return None if row is None else row[0]


def differing_partitions(connection: Connection, topic: str, digest: str) -> list[int]:
    """Return the partitions whose facts are made with another mapping than that of the digest."""
    rows = connection.execute(
        "select partition from imsfeed.topic_partition where topic = %s and mapping_digest <> %s order by partition",
        (topic, digest),
    ).fetchall()
    return [partition for (partition,) in rows]
