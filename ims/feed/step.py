"""The verification of one step: an earlier snapshot and the deltas after it give the later snapshot, record by record.

Snapshots are in the order of their keys, so the two are read side by side. For snapshots of any size, only the step's
deltas and a bounded number of ids (:mod:`ims.feed.references`) are in memory.
"""

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ims.errors import FeedError
from ims.feed.changes import Changes, Closed
from ims.feed.files import OpenFile, SnapshotReader, kind_of, tallied
from ims.feed.manifest import Totals
from ims.feed.references import LIMIT, Keyed, References
from ims.feed.shared_logins import SHARED, SharedLogins
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind


class StepVerification(NamedTuple):
    """The problems of a step; the messages name files and count records, and never identify a person.

    Attributes:
        damaged: problems of files that differ from their record, cannot be read, or are not chained. If there are any,
            the step itself could not be verified.
        differences: contradictions between the records of the snapshots and of the deltas.
        inconsistencies: memberships without their person or group, duplicate records, logins of two persons, and
            removals in a wrong order. The files agree on them, so a new snapshot would contain them again.
        totals: the number of records after the step: in the later snapshot, or after the last delta if there is no
            later snapshot yet.
    """

    damaged: list[str]
    differences: list[str]
    inconsistencies: list[str]
    totals: Totals

    @property
    def problems(self) -> list[str]:
        """Return all problems of the step."""
        return self.damaged + self.differences + self.inconsistencies


def check_step(
    open_file: OpenFile,
    earlier: str | None,
    deltas: Sequence[str],
    later: str | None,
    limit: int = LIMIT,
    closed: Closed = MappingProxyType({}),
) -> StepVerification:
    """Verify that *earlier* and the deltas give *later*, and that each membership in it has its person and group.

    Args:
        open_file: opens a file of the feed.
        earlier: path of the previous snapshot, verified in the previous step; ``None`` if *later* is the first one.
        deltas: paths of the deltas after *earlier* up to *later*, in order; none without *earlier*.
        later: path of the snapshot to verify; ``None`` if no snapshot has been taken since the deltas.
        limit: how many ids are remembered at a time (:data:`ims.feed.references.LIMIT`).
        closed: the groups that the deltas close without a record.

    Raises:
        FileNotFoundError: one of the files does not exist.
    """
    try:
        changes = Changes(open_file, deltas, closed)
        expected = changes.applied_to(SnapshotReader(open_file, earlier).records() if earlier is not None else ())
        if later is None:
            return _without_snapshot(changes, expected)
        snapshot, references = SnapshotReader(open_file, later), References(limit)
        counted: Counter[RecordKind] = Counter()
        logins = SharedLogins(limit)
        published = _counted(references.watch(logins.watch(snapshot.records())), counted)
        wrong: Counter[str] = Counter()
        if earlier is not None:
            wrong = _differences(expected, published)
        else:
            deque(published, maxlen=0)  # only the references and the counts are needed
        inconsistent = references.problems(snapshot.records) + Counter({"a duplicate record": snapshot.repeated})
        inconsistent[SHARED] += logins.count(snapshot.records)
    except FeedError as error:
        return damage(str(error))
    differences = changes.contradictions() + tallied(later, wrong)
    inconsistencies = changes.missing() + changes.disorder() + tallied(later, inconsistent)
    return StepVerification([], differences, inconsistencies, _totals(counted))


def _without_snapshot(changes: Changes, expected: Iterator[Keyed]) -> StepVerification:
    """Return the result for deltas after which no snapshot has been taken yet."""
    logins = SharedLogins(sys.maxsize)
    counted: Counter[RecordKind] = Counter()
    deque(_counted(logins.watch(expected), counted), maxlen=0)
    shared = logins.count(lambda: ())
    inconsistent = tallied("the records after the last delta", Counter({SHARED: shared}))
    inconsistencies = changes.missing() + changes.disorder() + inconsistent
    return StepVerification([], changes.contradictions(), inconsistencies, _totals(counted))


def damage(*problems: str) -> StepVerification:
    """Return the result for a step that cannot be verified."""
    return StepVerification([*problems], [], [], Totals())


def _counted(records: Iterable[Keyed], counted: Counter[RecordKind]) -> Iterator[Keyed]:
    for keyed in records:
        counted[keyed[0].kind] += 1
        yield keyed


def _totals(counted: Counter[RecordKind]) -> Totals:
    return Totals(*(counted[kind] for kind in RecordKind))


def _differences(expected: Iterator[Keyed], published: Iterator[Keyed]) -> Counter[str]:
    """Return how many records differ from the expected ones, by problem; both are in the order of their keys."""
    wrong: Counter[str] = Counter()
    for key, due, found in _side_by_side(expected, published):
        if found is None:
            wrong[f"a {kind_of(key)} record that the earlier snapshot and deltas give is missing"] += 1
        elif due is None:
            wrong[f"a {kind_of(key)} record that the earlier snapshot and deltas do not give"] += 1
        elif due != found:
            wrong[f"a {kind_of(key)} record differs from what the earlier snapshot and deltas give"] += 1
    return wrong


def _side_by_side(
    left: Iterator[Keyed], right: Iterator[Keyed]
) -> Iterator[tuple[RecordKey, Record | None, Record | None]]:
    """Yield each key once, in order, with its record on the left and on the right; ``None`` where there is none."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if one is not None and (other is None or one[0] < other[0]):
            yield one[0], one[1], None
            one = next(left, None)
        elif other is not None and (one is None or other[0] < one[0]):
            yield other[0], None, other[1]
            other = next(right, None)
        elif one is not None and other is not None:
            yield one[0], one[1], other[1]
            one, other = next(left, None), next(right, None)
