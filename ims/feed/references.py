"""A count, in bounded memory, of the memberships whose person or group is missing from their snapshot.

The ids of the persons are remembered until the memberships have been read. If there are more than :data:`LIMIT`, only
the first are remembered. A snapshot is in the order of its keys, so these decide about each membership of a person up
to the last remembered id; for the later persons the snapshot is read again. Groups are counted in the same way.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind

LIMIT: Final = 200_000
"""How many ids of persons are remembered at a time, and as many of groups: about 25 MB each."""

MISSING: Final = {
    RecordKind.PERSON: "a membership whose person is missing",
    RecordKind.GROUP: "a membership whose group is missing",
}
"""The problem of a membership, by the kind of the record that it lacks."""

Keyed = tuple[RecordKey, Record]


class References:
    """The memberships of one snapshot whose person or group is missing.

    Args:
        limit: see :data:`LIMIT`.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._first = [_Ids(kind, None, limit) for kind in MISSING]

    def watch(self, records: Iterable[Keyed]) -> Iterator[Keyed]:
        """Yield the records of the snapshot, in the order of their keys, and remember their ids."""
        persons, groups = self._first
        for keyed in records:
            persons.add(keyed[0])
            groups.add(keyed[0])
            yield keyed

    def problems(self, reread: Callable[[], Iterable[Keyed]]) -> Counter[str]:
        """Return how many memberships lack their person, and how many their group; valid once all records were yielded.

        Args:
            reread: yields the same records again; called only if there are more ids than the limit.
        """
        ids = self._first
        wrong: Counter[str] = Counter()
        while ids:
            for one in ids:
                wrong[MISSING[one.kind]] += one.missing
            ids = [one.following() for one in ids if one.is_full]
            for key, _ in reread() if ids else ():
                for one in ids:
                    one.add(key)
        return wrong


class _Ids:
    """The remembered ids of one kind, in order, and a count of the memberships that refer to a missing one.

    Args:
        kind: persons or groups.
        after: the last id that was remembered in an earlier reading; only greater ones are remembered in this one.
        limit: how many ids are remembered at most.

    Attributes:
        is_full: there are more ids than the limit.
        missing: the memberships of an id that is not remembered, though it is in the range of those that are.
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
        """Remember the id of a record of this kind; for a membership, look up the id to which it refers."""
        if key.kind is self.kind:
            self._remember(key.id)
        elif key.kind is RecordKind.MEMBERSHIP:
            id_ = key.member if self.kind is RecordKind.PERSON else key.id
            if id_ not in self._ids and self._is_within(id_):
                self.missing += 1

    def following(self) -> "_Ids":
        """Return an empty instance for the ids after the last remembered one."""
        return _Ids(self.kind, self._last, self._limit)

    def _remember(self, id_: str) -> None:
        if self._after is not None and id_ <= self._after:
            return
        if len(self._ids) < self._limit:
            self._ids.add(id_)
            self._last = id_
        else:
            self.is_full = True

    def _is_within(self, id_: str) -> bool:
        return (self._after is None or id_ > self._after) and (not self.is_full or id_ <= self._last)
