"""A count, in bounded memory, of the logins that more than one person in a snapshot has.

An importer that finds accounts by user name makes one account of such persons. A login is remembered by a number made
of it. If there are more than :data:`LIMIT`, only those with the smallest numbers are remembered, and the snapshot is
read again for the others.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ims.feed.references import Keyed
from ims.records.logins import names_of
from ims.records.model import PersonRecord

LIMIT: Final = 200_000
"""How many logins are remembered at a time: about 20 MB."""

SHARED: Final = "a login that another person has too"
"""The problem of a person."""

_END: Final = 1 << 64


class SharedLogins:
    """The persons of one snapshot who have a login that a person before them has.

    Args:
        limit: see :data:`LIMIT`.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._begin_at(0)

    def watch(self, records: Iterable[Keyed]) -> Iterator[Keyed]:
        """Yield the records of the snapshot, and remember the logins in them."""
        for keyed in records:
            record = keyed[1]
            if isinstance(record, PersonRecord):
                self._add(record)
            yield keyed

    def count(self, reread: Callable[[], Iterable[Keyed]]) -> int:
        """Return how many persons share a login with one before them; valid once all records were yielded.

        Args:
            reread: yields the same records again; called only if there are more logins than the limit.
        """
        shared = self._shared
        while self._end < _END:
            self._begin_at(self._end)
            for _ in self.watch(reread()):
                pass
            shared += self._shared
        return shared

    def _begin_at(self, start: int) -> None:
        self._start, self._end, self._shared = start, _END, 0
        self._seen: set[int] = set()
        self._repeated: list[int] = []

    def _add(self, record: PersonRecord) -> None:
        for name in names_of(record):
            number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
            if not self._start <= number < self._end:
                continue
            if number in self._seen:
                self._shared += 1
                self._repeated.append(number)
            self._seen.add(number)
            if len(self._seen) > self._limit:
                self._forget_the_larger_half()

    def _forget_the_larger_half(self) -> None:
        self._end = sorted(self._seen)[len(self._seen) // 2]
        self._seen = {number for number in self._seen if number < self._end}
        # What is beyond the new end is counted in the next reading.
        self._repeated = [number for number in self._repeated if number < self._end]
        self._shared = len(self._repeated)
