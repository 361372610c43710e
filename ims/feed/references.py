"""Memberships whose person or group is not in the same snapshot, counted in bounded memory.

A snapshot is in the order of its keys: persons, groups, memberships. The ids of the persons are kept until the
memberships have been read. If there are more than :data:`LIMIT`, only the first are kept, with which the memberships of
every person up to the last of them can be checked; the snapshot is then read again for the persons after that one.
Groups likewise.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind

LIMIT: Final = 200_000
"""How many ids of persons are kept at a time, and as many of groups: some 25 MB each."""

NOT_THERE: Final = {
    RecordKind.PERSON: "a membership of a person who is not there",
    RecordKind.GROUP: "a membership of a group that is not there",
}
"""What is wrong with a membership, by the kind of the record that it lacks."""

Keyed = tuple[RecordKey, Record]


class References:
    """The memberships of one snapshot that lack their person or group.

    Args:
        limit: see :data:`LIMIT`.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._first = [_Ids(kind, None, limit) for kind in NOT_THERE]

    def watch(self, records: Iterable[Keyed]) -> Iterator[Keyed]:
        """Yield the records of the snapshot, given in the order of their keys, and take note of them."""
        persons, groups = self._first
        for keyed in records:
            persons.add(keyed[0])
            groups.add(keyed[0])
            yield keyed

    def problems(self, again: Callable[[], Iterable[Keyed]]) -> Counter[str]:
        """Return how many memberships lack their person or group, once :meth:`watch` has yielded all records.

        Args:
            again: returns the same records; called only if there are more ids than the limit.
        """
        ids = self._first
        wrong: Counter[str] = Counter()
        while ids:
            for one in ids:
                wrong[NOT_THERE[one.kind]] += one.missing
            ids = [one.following() for one in ids if one.is_full]
            for key, _ in again() if ids else ():
                for one in ids:
                    one.add(key)
        return wrong


class _Ids:
    """The next ids of persons or of groups after *after*, in order, up to the limit.

    Attributes:
        is_full: there are more ids than the limit.
        missing: number of memberships that refer to an id which should be among these, and is not.
    """

    def __init__(self, kind: RecordKind, after: str | None, limit: int) -> None:
        self.kind = kind
        self.is_full = False
        self.missing = 0
        self._after = after
        self._limit = limit
        self._ids: set[str] = set()
        self._last = ""

    def add(self, key: RecordKey) -> None:
        """Keep the id of a record of the kind; look up the id that a membership refers to."""
        if key.kind is self.kind:
            self._keep(key.id)
        elif key.kind is RecordKind.MEMBERSHIP:
            id_ = key.member if self.kind is RecordKind.PERSON else key.id
            if id_ not in self._ids and self._is_within(id_):
                self.missing += 1

    def following(self) -> "_Ids":
        """Return the ids after these, still to be added."""
        return _Ids(self.kind, self._last, self._limit)

    def _keep(self, id_: str) -> None:
        if self._after is not None and id_ <= self._after:
            return
        if len(self._ids) < self._limit:
            self._ids.add(id_)
            self._last = id_
        else:
            self.is_full = True

    def _is_within(self, id_: str) -> bool:
        return (self._after is None or id_ > self._after) and (not self.is_full or id_ <= self._last)
