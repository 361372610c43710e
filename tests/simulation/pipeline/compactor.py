"""Compact in a schedule: a process that works on a target step by step, and may pause or die at each of them."""

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from consumers.database.targets_table import valid_orgnr
from consumers.facts.pending_changes import settled
from ims.targets.schedule import due_snapshot, local_day
from tests.simulation.pipeline.feed_folder import FeedFolder
from tests.support.memory import compact
from tests.support.memory.compact import Session, SessionLostError, Steps
from tests.support.memory.state import MemoryState, Target

SETTLE_SECONDS = 0.5
"""Longer than in production, so that more happens before a change settles."""
_MANIFEST_EVERY = timedelta(seconds=60)


class _Work(NamedTuple):
    target: Target
    steps: Steps


class Compactor:
    """A process that works on one target at a time; ``at`` is its current step, or ``None`` while it has no work."""

    def __init__(self, state: MemoryState, folders: dict[int, FeedFolder], happened: Callable[[str], None]) -> None:
        self._state, self._folders, self._happened = state, folders, happened
        self._session = Session()
        self._work: _Work | None = None
        self._still = 0
        self.at: str | None = None

    def choices(self, now: datetime) -> list[tuple[str, Target]]:
        """Return the kinds of work that each target has."""
        return [(what, target) for target in self._state.targets for what in self._due(target, now)]

    def begin(self, what: str, target: Target, now: datetime) -> None:
        """Begin one of the choices."""
        folder, session = self._folders[target.number], self._session
        if what == "first publication":
            steps = compact.publish_first(self._state, target, session, now)
        elif what == "delta":
            self._notice_publication(target, now)
            steps = compact.publication(self._state, target, session, now, SETTLE_SECONDS)
        elif what == "manifest":
            steps = compact.manifest(self._state, target, folder, session, now)
        else:
            settings = target.settings
            day = due_snapshot(now, settings.snapshot_hour, settings.zone, target.position.snapshot_through)
            scheduled = day if target.snapshots else None
            steps = compact.snapshot(self._state, target, folder, session, now, scheduled)
        self._work = _Work(target, steps)
        self.go_on()

    def go_on(self) -> None:
        """Do the next step."""
        assert self._work is not None
        try:
            self.at = next(self._work.steps, None)
        except SessionLostError:
            self._happened("a compactor's transaction was ended by the server")
            self._end()
        if self.at is None:
            self._end()
        else:
            self._happened(self.at)

    def die(self) -> None:
        """End the process immediately, and start another one."""
        if self.at is not None:
            self._happened(f"a compactor died: {self.at}")
        self._end()

    def lose_session(self, steps: int) -> None:
        """Pause the process for so many steps, in which the server ends its session."""
        self._happened("a compactor paused and lost its session")
        self._session.end_by_server()
        self._still = steps

    def is_awake(self) -> bool:
        """Return whether it is not paused; asked at every step."""
        self._still = max(0, self._still - 1)
        return not self._still

    def _end(self) -> None:
        self._session.end()
        self._session = Session()
        self._still = 0
        self._work = self.at = None

    def _due(self, target: Target, now: datetime) -> list[str]:
        row = self._state.read(target)
        if row.state == "waiting":
            return (
                []
                if row.owner.open or valid_orgnr(row.owner.registered, row.settings) is None
                else ["first publication"]
            )
        if not target.snapshots:
            return ["snapshot"]
        written = self._folders[target.number].manifest
        due = ["manifest"] if compact.expired_manifest(row, written, now, _MANIFEST_EVERY) else []
        if compact.is_due(row, now, SETTLE_SECONDS):
            due.append("delta")
        day = due_snapshot(now, row.settings.snapshot_hour, row.settings.zone, row.position.snapshot_through)
        return [*due, "snapshot"] if day is not None and row.state == "ok" else due

    def _notice_publication(self, target: Target, now: datetime) -> None:
        row = self._state.read(target)
        if row.owner.open:
            self._happened("a publication waits for the rest of a transaction")
        if target.locked_by is not None:
            self._happened("a target was locked by another compactor")
        if local_day(now, row.settings.zone) > (row.position.dated_through or date.min):
            self._happened("a day has ended")
        changes = self._state.changes(target)
        taken = settled(changes, SETTLE_SECONDS, after=row.position.changes_through)
        if any(m.kind == "person" and m.change_id <= taken.through and m.id not in taken.persons for m in changes):
            self._happened("a person was left to the next publication")


def choose(compactor: Compactor, now: datetime, chance: random.Random) -> bool:
    """Begin a random choice, and return whether there was any."""
    choices = compactor.choices(now)
    if choices:
        compactor.begin(*chance.choice(choices), now)
    return bool(choices)
