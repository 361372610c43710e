"""A target's next deltas as files: numbered, chained to the previous ones, in parts if there are very many changes.

A changed setting or a new term may change every record in one step, and importers have limits: Moodle needs minutes for
a file of some ten thousand records, and imports nothing else meanwhile. The parts are consecutive deltas. An importer's
state is consistent after each of them: new groups come before their members; a person's records (the person, every
membership, under the old id and the new one) are in one part; groups are removed after their members.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import chain
from typing import Final

import msgspec

from ims.errors import FeedError
from ims.feed.delta import Change, Delta, delta_document
from ims.feed.manifest import DeltaEntry, delta_path
from ims.records.vocabulary import RecordKind, RecStatus
from ims.targets.importer_profiles import PROFILES, Profile
from ims.xml.writer import Properties

LIMIT: Final = 10_000
"""The maximum number of records in one delta (about 3 MB), exceeded only if one person alone has more."""

_Numbered = tuple[int, Change]


class Head(msgspec.Struct, frozen=True):
    """The number and digest of the file to which the next delta is chained; ``None`` before the first publication."""

    seq: int | None
    sha256: str | None


class Writing(msgspec.Struct, frozen=True):
    """How deltas are written.

    Attributes:
        properties: of each file.
        day: the date in the target's time zone.
        oldest_event_at: when the source committed the oldest change in the deltas.
        tombstones: store removed records as tombstones, for the file at the fixed path.
        profile: of the importer.
    """

    properties: Properties
    day: date
    oldest_event_at: datetime | None = None
    tombstones: bool = False
    profile: Profile = PROFILES["none"]


def next_deltas(
    head: Head, writing: Writing, delta: Delta, person_numbers: Mapping[str, int]
) -> Iterator[tuple[DeltaEntry, bytes]]:
    """Yield *delta* as the target's next one, or several if it is very large (:func:`split`).

    Args:
        head: the file to which the first of them is chained.
        person_numbers: running numbers by ``sourcedid/id``, published ids and current ones.

    Yields:
        The manifest's entry of each delta, chained to the previous one, and the file's bytes.

    Raises:
        FeedError: nothing has been published to the target yet.
    """
    for part in split(delta, person_numbers):
        entry, xml = _next_delta(head, writing, part)
        head = Head(entry.seq, entry.sha256)
        yield entry, xml


def _next_delta(head: Head, writing: Writing, delta: Delta) -> tuple[DeltaEntry, bytes]:
    properties = writing.properties
    xml = delta_document(properties, delta, writing.profile)
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
        closed_groups=delta.closed_groups,
    )
    return entry, xml


def split(delta: Delta, persons: Mapping[str, int], limit: int = LIMIT) -> list[Delta]:
    """Return the parts of *delta*, in the order of publication; only itself if it is small enough.

    What is removed ahead of the rest is always a part of its own.

    Args:
        persons: running number of each person by ``sourcedid/id``, for published ids and current ones, so that a
            person's old and new id are in one part. An id without a number counts as a person of its own.
        limit: the maximum number of records in one part.
    """
    if delta.ahead:
        first = tuple(change for change in delta.changes if change.key in delta.ahead)
        rest = tuple(change for change in delta.changes if change.key not in delta.ahead)
        return [*split(Delta(first), persons, limit), *split(Delta(rest, delta.closed_groups), persons, limit)]
    if len(delta.changes) <= limit:
        return [delta] if delta else []
    parts = [
        Delta(tuple(change for _, change in sorted(part, key=lambda numbered: numbered[0])))
        for part in _packed(_units(delta, persons), limit)
    ]
    # Like those that are removed, closed groups are closed after their members.
    return [*parts[:-1], msgspec.structs.replace(parts[-1], closed_groups=delta.closed_groups)]


def _units(delta: Delta, persons: Mapping[str, int]) -> Iterator[list[_Numbered]]:
    """Return the groups of changes that must not be split, in order: new groups, persons, removed groups.

    Persons are in the order of their last person record, so that a login is given up before it is taken here too.
    """
    current_groups: list[list[_Numbered]] = []
    removed_groups: list[list[_Numbered]] = []
    by_person: dict[int | str, list[_Numbered]] = {}
    for numbered in enumerate(delta.changes):
        change = numbered[1]
        key = change.key
        if key.kind is RecordKind.GROUP:
            (removed_groups if change.recstatus is RecStatus.GONE else current_groups).append([numbered])
        else:
            id_ = key.member or key.id
            person = persons.get(id_, id_)
            unit = by_person.setdefault(person, [])
            unit.append(numbered)
            if key.kind is RecordKind.PERSON:
                by_person[person] = by_person.pop(person)
    return chain(current_groups, by_person.values(), removed_groups)


def _packed(units: Iterator[list[_Numbered]], limit: int) -> Iterator[list[_Numbered]]:
    part: list[_Numbered] = []
    for unit in units:
        if part and len(part) + len(unit) > limit:
            yield part
            part = []
        part.extend(unit)
    if part:
        yield part
