"""A target's next deltas as files: numbered, chained to the ones before, in parts if there are very many changes."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from ims.errors import FeedError
from ims.feed.delta import Delta, delta_document
from ims.feed.delta_split import split
from ims.feed.manifest import DeltaEntry, delta_path
from ims.xml.writer import Properties


class Head(msgspec.Struct, frozen=True):
    """The file to which the next delta is chained: its number and digest, ``None`` where there is none yet."""

    seq: int | None
    sha256: str | None


class Writing(msgspec.Struct, frozen=True):
    """How deltas are written.

    Attributes:
        properties: what each file says about itself.
        oldest_event_at: when the source committed the oldest change that is published.
        tombstones: keep what is removed for the file at the fixed path.
    """

    properties: Properties
    oldest_event_at: datetime | None = None
    tombstones: bool = False


def next_deltas(
    head: Head, writing: Writing, delta: Delta, person_numbers: Mapping[str, int]
) -> Iterator[tuple[DeltaEntry, bytes]]:
    """Yield *delta* as the target's next one, or several if it is very large (:mod:`ims.feed.delta_split`).

    Args:
        person_numbers: running numbers by ``sourcedid/id``, the published and the current ones.

    Yields:
        Each one's entry in the manifest, chained to the one before, and its bytes.

    Raises:
        FeedError: the target was never published.
    """
    for part in split(delta, person_numbers):
        entry, xml = _next_delta(head, writing, part)
        head = Head(entry.seq, entry.sha256)
        yield entry, xml


def _next_delta(head: Head, writing: Writing, delta: Delta) -> tuple[DeltaEntry, bytes]:
    properties = writing.properties
    xml = delta_document(properties, delta)
    if head.seq is None or head.sha256 is None:
        raise FeedError(f"target {properties.target} has no snapshot to which its first delta could be chained")
    seq = head.seq + 1
    entry = DeltaEntry(
        seq=seq,
        path=delta_path(seq),
        sha256=hashlib.sha256(xml).hexdigest(),
        prev_sha256=head.sha256,
        size=len(xml),
        created=properties.at,
        oldest_event_at=writing.oldest_event_at,
        counts=delta.counts(),
    )
    return entry, xml
