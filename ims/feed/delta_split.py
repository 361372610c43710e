"""A very large delta as several, each complete in itself.

A changed setting or a new term may change everything at once, and importers have limits: Moodle needs minutes for a
file of some ten thousand records, during which nothing else is imported. The parts are contiguous deltas. After each of
them an importer's state holds together: groups come before their members, whatever concerns one person (the record,
every membership, an old id beside the new one) is in one part, and groups go after their members.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from ims.feed.delta import Change, Delta
from ims.records.vocabulary import RecordKind, RecStatus

LIMIT: Final = 10_000
"""Most records of a delta, unless one person alone has more: about 3 MB."""

_Numbered = tuple[int, Change]


def split(delta: Delta, persons: Mapping[str, int], limit: int = LIMIT) -> list[Delta]:
    """The parts of *delta*, in the order in which they are to be told; itself if it is small enough.

    Args:
        persons: running number of each person by ``sourcedid/id``, those told before among them, so that an old id is
            known to be the new one's. An id that is not here stands for a person of its own.
        limit: most records of a part.
    """
    if len(delta.changes) <= limit:
        return [delta] if delta else []
    return [
        Delta(tuple(change for _, change in sorted(part, key=lambda numbered: numbered[0])))
        for part in _packed(_units(delta, persons), limit)
    ]


def _units(delta: Delta, persons: Mapping[str, int]) -> Iterator[list[_Numbered]]:
    """What must not be parted, in order: groups that come, persons, groups that go."""
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
