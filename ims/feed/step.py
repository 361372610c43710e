"""The verification of one step of a feed: an earlier snapshot and the deltas after it give the later snapshot.

Snapshots are in the order of their keys, so the two are read side by side, record by record. Only the deltas of the
step are held in memory, and a limited number of ids (:mod:`ims.feed.references`), whatever the size of the snapshots.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ims.errors import FeedError
from ims.feed.changes import Changes
from ims.feed.files import OpenFile, SnapshotReader, kind_of, tallied
from ims.feed.manifest import Totals
from ims.feed.references import LIMIT, Keyed, References
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind


class StepVerification(NamedTuple):
    """The problems of a step. Their texts name files and count records, and never say whose records they are.

    Attributes:
        damaged: files that are not as recorded, cannot be read, or do not follow each other. If there are any, the step
            itself could not be verified.
        differences: where the records of the snapshots and the deltas do not agree.
        inconsistencies: memberships without their person or group, and records that occur twice. The files agree on
            them, so a new snapshot would have them too.
        totals: number of records after the step: in the later snapshot, or after the last delta if there is none.
    """

    damaged: list[str]
    differences: list[str]
    inconsistencies: list[str]
    totals: Totals

    @property
    def problems(self) -> list[str]:
        """Return everything that is wrong with the step."""
        return self.damaged + self.differences + self.inconsistencies


def check_step(
    open_file: OpenFile, earlier: str | None, deltas: Sequence[str], later: str | None, limit: int = LIMIT
) -> StepVerification:
    """Verify that *earlier* and the deltas give *later*, and that no membership in it lacks its person or group.

    Args:
        open_file: opens a file of the feed.
        earlier: path of the snapshot before, which the step before has verified; ``None`` if *later* is the first.
        deltas: paths of the deltas after *earlier* up to *later*, in order; none without *earlier*.
        later: path of the snapshot to verify; ``None`` if no snapshot has been taken since the deltas.
        limit: how many ids are kept at a time (:data:`ims.feed.references.LIMIT`).

    Raises:
        FileNotFoundError: one of the files is not there.
    """
    try:
        changes = Changes(open_file, deltas)
        expected = changes.applied_to(SnapshotReader(open_file, earlier).records() if earlier is not None else ())
        if later is None:
            counted = Counter(key.kind for key, _ in expected)
            return StepVerification([], changes.contradictions(), changes.lacking(), _totals(counted))
        snapshot, references, counted = SnapshotReader(open_file, later), References(limit), Counter()
        published = _counted(references.watch(snapshot.records()), counted)
        wrong: Counter[str] = Counter()
        if earlier is not None:
            wrong = _differences(expected, published)
        else:
            deque(published, maxlen=0)  # only what watches the records is wanted
        lacking = references.problems(snapshot.records) + Counter({"a record occurs twice": snapshot.repeated})
    except FeedError as error:
        return damage(str(error))
    differences = changes.contradictions() + tallied(later, wrong)
    return StepVerification([], differences, changes.lacking() + tallied(later, lacking), _totals(counted))


def damage(*problems: str) -> StepVerification:
    """Return the outcome for a step that cannot be verified."""
    return StepVerification([*problems], [], [], Totals())


def _counted(records: Iterable[Keyed], counted: Counter[RecordKind]) -> Iterator[Keyed]:
    for keyed in records:
        counted[keyed[0].kind] += 1
        yield keyed


def _totals(counted: Counter[RecordKind]) -> Totals:
    return Totals(*(counted[kind] for kind in RecordKind))


def _differences(expected: Iterator[Keyed], published: Iterator[Keyed]) -> Counter[str]:
    """Return how many records of a snapshot are not the expected ones."""
    wrong: Counter[str] = Counter()
    for key, due, found in _side_by_side(expected, published):
        if found is None:
            wrong[f"a {kind_of(key)} record is missing that the earlier snapshot and its deltas give"] += 1
        elif due is None:
            wrong[f"a {kind_of(key)} record is there that the earlier snapshot and its deltas do not give"] += 1
        elif due != found:
            wrong[f"a {kind_of(key)} record is not as the earlier snapshot and its deltas give it"] += 1
    return wrong


def _side_by_side(
    left: Iterator[Keyed], right: Iterator[Keyed]
) -> Iterator[tuple[RecordKey, Record | None, Record | None]]:
    """Yield each key once, in order, with the record of either side, if any; both sides are in the same order."""
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
