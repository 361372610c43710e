"""The verification of a feed from its files alone, as an importer sees them.

The rules: the files that the manifest names exist, whole and unchanged; the deltas are numbered without a gap and
chained; every file is valid; and **snapshot + deltas == next snapshot**, record by record, for every two consecutive
snapshots that are kept. A problem names the file and the rule, and counts records; it never identifies a person.

A feed is verified step by step (:mod:`ims.feed.step`), so that only the deltas of one step are in memory. Files that
the manifest does not name yet are ignored, because they are being published; so are files of an older epoch.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import NamedTuple

from ims.errors import FeedError
from ims.feed.chain import chain_problems, first_missing, manifest_problems, start_problems
from ims.feed.files import OpenFile, delta_counts, digest_and_size, schema_problems_of, stored_file_problems
from ims.feed.manifest import (
    MANIFEST,
    SNAPSHOTS,
    DeltaEntry,
    Manifest,
    SnapshotEntry,
    SnapshotName,
    Totals,
    decode,
    parse_snapshot_name,
)
from ims.feed.step import StepVerification, check_step, damage

Progress = Callable[[int, int], None]
"""Called with the number of verified files, and the number of all files to verify."""


class Verification(NamedTuple):
    """The result of a verification; the feed is correct if there are no ``problems``.

    Attributes:
        snapshots: the number of kept snapshots.
        deltas: the number of deltas that were applied.
        records: the number of records after the last of them.
        problems: messages; each names the file and the rule.
    """

    snapshots: int
    deltas: int
    records: int
    problems: list[str]


def verify(
    open_file: OpenFile, names: Callable[[str], Iterable[str]], progress: Progress = lambda _done, _all: None
) -> Verification:
    """Verify the feed of one target.

    Args:
        open_file: opens a file of the feed.
        names: returns the names of the files in a subfolder.
        progress: called after each file that has been verified.
    """
    try:
        with open_file(MANIFEST) as file:
            manifest = decode(file.read())
    except FileNotFoundError:
        return Verification(0, 0, 0, [f"{MANIFEST}: is missing"])
    except FeedError as error:
        return Verification(0, 0, 0, [str(error)])
    return _FeedVerification(open_file, manifest, _announced(names(SNAPSHOTS), manifest), progress).run()


def verify_step(
    open_file: OpenFile,
    earlier: SnapshotEntry | None,
    later: SnapshotEntry,
    deltas: Sequence[DeltaEntry],
    recorded_in: str,
) -> StepVerification:
    """Verify that *earlier* and the deltas up to *later* give *later*, and that every file is as recorded.

    Args:
        open_file: opens a file of the feed.
        earlier: the previous snapshot, or ``None`` if *later* is the first one.
        later: the snapshot to verify.
        deltas: the recorded deltas after *earlier*, in order; of those after *later* only file and chain are verified.
        recorded_in: the record that has all these entries, named in the messages.
    """
    entries = [entry for entry in (earlier, later, *deltas) if entry is not None]
    damaged = [problem for entry in entries for problem in stored_file_problems(open_file, entry, recorded_in)]
    damaged += chain_problems(deltas, recorded_in)
    needed = range((earlier or later).seq + 1, max(entry.seq for entry in entries) + 1)
    damaged += first_missing(needed, {entry.seq for entry in deltas}, recorded_in)
    if damaged:
        return damage(*damaged)
    between = [entry.path for entry in deltas if entry.seq <= later.seq]
    closed = {entry.path: entry.closed_groups for entry in deltas}
    try:
        return check_step(open_file, earlier.path if earlier is not None else None, between, later.path, closed=closed)
    except FileNotFoundError:
        return damage("a file was removed during the verification")


class _FeedVerification:
    """The state of one feed's verification: its inputs, and the problems found so far."""

    def __init__(
        self, open_file: OpenFile, manifest: Manifest, snapshots: Sequence[SnapshotName], progress: Progress
    ) -> None:
        self._open_file = open_file
        self._manifest = manifest
        self._snapshots = snapshots
        self._progress = progress
        self._verified = 0
        self._problems: list[str] = []
        self._listed = {entry.seq for entry in manifest.deltas}
        self._readable: dict[int, str] = {}
        self._applied: set[str] = set()
        self._closed = {entry.path: entry.closed_groups for entry in manifest.deltas}

    def run(self) -> Verification:
        """Verify the manifest, each delta by itself, and then the steps."""
        manifest = self._manifest
        self._problems += manifest_problems(manifest)
        self._problems += chain_problems(manifest.deltas, MANIFEST)
        self._problems += start_problems(manifest.deltas, manifest.epoch_seq, self._first_digests())
        self._problems += stored_file_problems(self._open_file, manifest.snapshot, MANIFEST)
        for entry in manifest.deltas:
            self._verify_delta(entry)
            self._count_file()
        totals = self._verify_steps()
        records = totals.person + totals.group + totals.membership
        # If a snapshot cannot be read, the deltas before it are applied again in the step to the next one.
        problems = list(dict.fromkeys(self._problems))
        return Verification(len(self._snapshots), len(self._applied), records, problems)

    def _first_digests(self) -> set[str]:
        """Return the digests of the kept snapshots that began the epoch."""
        digests = set()
        for name in self._snapshots:
            if name.seq == self._manifest.epoch_seq:
                with suppress(FileNotFoundError), self._open_file(name.path) as file:
                    digests.add(digest_and_size(file)[0])
        return digests

    def _verify_delta(self, entry: DeltaEntry) -> None:
        """Verify the file of a delta by itself."""
        self._problems += stored_file_problems(self._open_file, entry, MANIFEST)
        # stored_file_problems has reported a missing file.
        with suppress(FileNotFoundError):
            self._problems += schema_problems_of(self._open_file, entry.path)
            try:
                counts = delta_counts(self._open_file, entry.path)
            except FeedError as error:
                self._problems.append(str(error))
                return
            if counts != entry.counts:
                self._problems.append(f"{entry.path}: its counts differ from those in {MANIFEST}")
            self._readable[entry.seq] = entry.path

    def _verify_steps(self) -> Totals:
        """Verify each snapshot with the deltas before it, and the deltas after the last snapshot.

        Returns:
            The number of records after the last step.
        """
        earlier: SnapshotName | None = None
        totals = Totals()
        for later in self._snapshots:
            # A snapshot may be removed after its name was read; run() has reported a missing one of the manifest.
            with suppress(FileNotFoundError):
                self._problems += schema_problems_of(self._open_file, later.path)
                found = self._apply(earlier, later.seq, later) if earlier is not None else None
                found = found or self._check(None, (), later)
                if found is not None:
                    earlier, totals = later, found.totals
                    self._check_totals(later, totals)
            self._count_file()
        if earlier is not None and earlier.seq < self._manifest.head_seq:
            found = self._apply(earlier, self._manifest.head_seq, None)
            totals = totals if found is None else found.totals
        return totals

    def _apply(self, earlier: SnapshotName, through: int, later: SnapshotName | None) -> StepVerification | None:
        """Verify the step from a snapshot through a delta; return ``None`` if one of its files cannot be read."""
        needed = range(earlier.seq + 1, through + 1)
        self._problems += first_missing(needed, self._listed, MANIFEST)
        deltas = [self._readable[seq] for seq in takewhile(self._readable.__contains__, needed)]
        if len(deltas) == through - earlier.seq:
            return self._check(earlier, deltas, later)
        self._check(earlier, deltas, None)
        return None

    def _check(
        self, earlier: SnapshotName | None, deltas: Sequence[str], later: SnapshotName | None
    ) -> StepVerification | None:
        try:
            found = check_step(
                self._open_file, earlier and earlier.path, deltas, later and later.path, closed=self._closed
            )
        except FileNotFoundError:
            return None  # expired files may be removed at any moment
        self._problems += found.problems
        if found.damaged:
            return None
        self._applied.update(deltas)
        return found

    def _check_totals(self, name: SnapshotName, totals: Totals) -> None:
        entry = self._manifest.snapshot
        if entry.path == name.path and entry.counts != totals:
            self._problems.append(f"{MANIFEST}: the snapshot's counts differ from those of the file")

    def _count_file(self) -> None:
        self._verified += 1
        self._progress(self._verified, len(self._manifest.deltas) + len(self._snapshots))


def _announced(names: Iterable[str], manifest: Manifest) -> list[SnapshotName]:
    """Return the epoch's kept snapshots up to the one that the manifest names, oldest first."""
    last = SnapshotName(manifest.snapshot.seq, manifest.snapshot.local_date)
    found = filter(None, map(parse_snapshot_name, names))
    return sorted(name for name in found if name.seq >= manifest.epoch_seq and name <= last)
