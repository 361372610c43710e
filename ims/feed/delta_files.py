"""A target's next deltas as files: numbered, chained to the ones before, in parts if there are very many changes.

A changed setting or a new term may change everything in one step, and importers have limits: Moodle needs minutes for a
file of some ten thousand records, during which nothing else is imported. The parts are contiguous deltas. After each of
them an importer's state holds together: new groups come before their members, all that concerns one person (the record,
every membership, an old id beside the new one) is in one part, and groups are removed after their members.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Final

import msgspec

from ims.errors import FeedError
from ims.feed.delta import Change, Delta, delta_document
from ims.feed.manifest import DeltaEntry, delta_path
from ims.records.vocabulary import RecordKind, RecStatus
from ims.xml.writer import Properties

LIMIT: Final = 10_000
"""Most records of a delta, unless one person alone has more: about 3 MB."""

_Numbered = tuple[int, Change]


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
    """Yield *delta* as the target's next one, or several if it is very large (:func:`split`).

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


def split(delta: Delta, persons: Mapping[str, int], limit: int = LIMIT) -> list[Delta]:
    """Return the parts of *delta*, in the order in which they are published; itself if it is small enough.

    Args:
        persons: running number of each person by ``sourcedid/id``, the published ones too, so that an old id is
            known to be the same person's as the new one. An id that is not here stands for another person.
        limit: most records of a part.
    """
    if len(delta.changes) <= limit:
        return [delta] if delta else []
    return [
        Delta(tuple(change for _, change in sorted(part, key=lambda numbered: numbered[0])))
        for part in _packed(_units(delta, persons), limit)
    ]


def _units(delta: Delta, persons: Mapping[str, int]) -> Iterator[list[_Numbered]]:
    """Yield what must not be parted, in order: new groups, persons, removed groups."""
    coming: list[list[_Numbered]] = []
    going: list[list[_Numbered]] = []
    by_person: dict[int | str, list[_Numbered]] = {}
    for numbered in enumerate(delta.changes):
        change = numbered[1]
        key = change.key
        if key.kind is RecordKind.GROUP:
            (going if change.recstatus is RecStatus.GONE else coming).append([numbered])
        else:
            id_ = key.member or key.id
            by_person.setdefault(persons.get(id_, id_), []).append(numbered)
    return chain(coming, by_person.values(), going)


def _packed(units: Iterator[list[_Numbered]], limit: int) -> Iterator[list[_Numbered]]:
    part: list[_Numbered] = []
    for unit in units:
        if part and len(part) + len(unit) > limit:
            yield part
            part = []
        part.extend(unit)
    if part:
        yield part
