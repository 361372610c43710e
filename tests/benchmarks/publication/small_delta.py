"""The publication of a delta of a hundred changes, in turn with few and with many persons published."""

import random
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Final

from consumers.database.targets_table import all_targets
from consumers.feed.manifests import write_manifest
from consumers.publication.delta import publish_delta
from ims.feed.manifest import DeltaEntry
from tests.benchmarks.figure import Figure
from tests.benchmarks.publication.large_state import MEMBERS, NOW, Published, change

_ROUNDS: Final = 15
_WARM_UP: Final = 3
_CHANGES: Final = 100


def small_deltas(large: Published, small: Published) -> Figure:
    """Return the time of publishing a hundred changes, in turn with few and with many persons published."""
    changes = min(_CHANGES, small.persons // MEMBERS)
    both = _Changes(large, changes), _Changes(small, changes)
    took = [tuple(one.publish() for one in both) for _ in range(_ROUNDS)][_WARM_UP:]
    ours, reference = (statistics.median(one) * 1000 for one in zip(*took, strict=True))
    note = f"{changes} changes; {large.persons:,} persons published against {small.persons:,}; median of {len(took)}"
    return Figure("delta_100_large_vs_small", ours, reference, "ms", note)


class _Changes:
    """An ordinary day's changes, of other persons in each round, and the publication of them.

    Of a hundred persons, forty get another name, five leave altogether and the five of the round before come back, and
    the others leave one of their groups or join another one.
    """

    def __init__(self, published: Published, changes: int) -> None:
        self._in = published
        self._leaving = max(1, changes // 20)
        self._renamed = changes * 2 // 5
        self._moving = (changes - self._renamed - 2 * self._leaving) // 2
        learners = random.Random(1).sample(range(published.persons // MEMBERS * (MEMBERS - 1)), _ROUNDS * changes)
        self._learners = (n // (MEMBERS - 1) * MEMBERS + n % (MEMBERS - 1) + 1 for n in learners)
        self._numbers = count(3 * published.persons + 1)
        self._left: list[int] = []
        self._rounds = count(1)

    def publish(self) -> float:
        """Return the seconds from the pending changes to the linked file and the manifest that names it."""
        now = NOW + timedelta(minutes=next(self._rounds))
        renamed, parting, joining, leaving = (
            self._some(size) for size in (self._renamed, self._moving, self._moving, self._leaving)
        )
        connection = self._in.connection
        with connection.transaction():
            connection.execute("update imsfeed.person set given_name = 'Ny' where id = any (%s)", (renamed,))
            self._enrol("withdrawn", [3 * person - 1 for person in parting])
            self._enrol("withdrawn", [3 * person - n for person in leaving for n in range(3)])
            self._enrol("active", [3 * person - n for person in self._left for n in range(3)])
            self._join(joining)
            change(connection, "person", [*renamed, *parting, *joining, *leaving, *self._left])
        expected = self._renamed + 2 * self._moving + 4 * (len(leaving) + len(self._left))
        self._left = leaving
        target = all_targets(connection)[0].target_id
        began = time.perf_counter()
        publication = publish_delta(connection, target, now, 0)
        written = write_manifest(connection, self._in.root, target, now)
        took = time.perf_counter() - began
        assert publication is not None
        assert written
        assert records_of(publication.entries) == expected, (
            f"{records_of(publication.entries)} records published, {expected} changed"
        )
        return took

    def _some(self, size: int) -> list[int]:
        return [next(self._learners) for _ in range(size)]

    def _enrol(self, status: str, enrolments: Sequence[int]) -> None:
        self._in.connection.execute(
            "update imsfeed.enrolment set status = %s where id = any (%s)", (status, list(enrolments))
        )

    def _join(self, persons: Sequence[int]) -> None:
        """Enrol persons in another class."""
        groups = [((person - 1) // MEMBERS + 7) % (self._in.persons // MEMBERS) + 1 for person in persons]
        self._in.connection.execute(
            "insert into imsfeed.enrolment (owner_id, id, person_id, group_id, role, starts_on, status, source_epoch)"
            " select 1, *, 'learner', '2026-08-10', 'active', 1 from unnest(%s::bigint[], %s::bigint[], %s::bigint[])",
            ([next(self._numbers) for _ in persons], list(persons), groups),
        )


def records_of(entries: Sequence[DeltaEntry]) -> int:
    """Return how many records these deltas have."""
    kinds = [kind for entry in entries for kind in (entry.counts.person, entry.counts.group, entry.counts.membership)]
    return sum(kind.new + kind.changed + kind.gone for kind in kinds)
