"""A target's next deltas as files: numbered, chained to the ones before, in parts if there is very much to tell."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from consumers.database.targets_table import TargetRow, source_of
from ims.errors import FeedError
from ims.feed.delta import Delta, delta_document
from ims.feed.delta_split import split
from ims.feed.manifest import DeltaEntry, delta_path
from ims.xml.writer import Properties


def who(ids: Mapping[int, str]) -> dict[str, int]:
    """Running numbers by ``sourcedid/id``, from the other way round."""
    return {id_: number for number, id_ in ids.items()}


def next_deltas(
    target: TargetRow, delta: Delta, persons: Mapping[str, int], now: datetime, oldest_event_at: datetime | None
) -> Iterator[tuple[DeltaEntry, bytes]]:
    """*delta* as the target's next one, or several if it is very large (:mod:`ims.feed.delta_split`).

    Args:
        persons: running numbers by ``sourcedid/id``, as told before and as they are now.

    Yields:
        Each one's entry in the manifest, chained to the one before, and its bytes.

    Raises:
        FeedError: the target was never published.
    """
    for part in split(delta, persons):
        entry, xml = _next_delta(target, part, now, oldest_event_at)
        target = msgspec.structs.replace(target, head_seq=entry.seq, head_sha256=entry.sha256)
        yield entry, xml


def _next_delta(
    target: TargetRow, delta: Delta, now: datetime, oldest_event_at: datetime | None
) -> tuple[DeltaEntry, bytes]:
    settings = target.settings
    xml = delta_document(Properties(source_of(target), settings.name, "delta", now, settings.dialect), delta)
    if target.head_seq is None or target.head_sha256 is None:
        raise FeedError(f"target {settings.name} has no snapshot to which its first delta could be chained")
    seq = target.head_seq + 1
    entry = DeltaEntry(
        seq=seq,
        path=delta_path(seq),
        sha256=hashlib.sha256(xml).hexdigest(),
        prev_sha256=target.head_sha256,
        size=len(xml),
        created=now,
        oldest_event_at=oldest_event_at,
        counts=delta.counts(),
    )
    return entry, xml
