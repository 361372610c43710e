"""The actions in the source of a schedule, and its failures."""

from datetime import timedelta

from ims.source.facts import Table
from tests.simulation.pipeline.source import Beat, OpenTransaction, Truncated
from tests.simulation.world import Action, World


class SourceActions:
    """Case workers, long transactions, the heartbeat; crashes, backups, a lost slot, and the request of a load."""

    def __init__(self, world: World) -> None:
        self._world, self._source, self._chance = world, world.source, world.chance

    def usual(self) -> list[Action]:
        """Return the source's usual actions."""
        source = self._source
        return [
            Action(14, lambda: True, self._commit),
            Action(4, lambda: len(source.open_transactions) < 2, self._begin_long),
            Action(5, lambda: bool(source.open_transactions), self._end_long),
            Action(2, lambda: True, self._beat),
            Action(2, lambda: source.slot is not None, self._checkpoint),
            Action(30, lambda: source.capture.loaded and source.slot is None, self.ask_for_load),
        ]

    def unusual(self) -> list[Action]:
        """Return the source's failures."""
        source = self._source
        return [
            Action(1, lambda: not source.open_transactions, self._truncate),
            Action(2, lambda: source.capture.loaded, self._crash_source),
            Action(1, lambda: source.slot is not None and not self._world.capture.lives, self._lose_slot),
            Action(1, lambda: source.backup is None and source.capture.loaded, self._back_up),
            Action(1, lambda: source.backup is not None and source.capture.loaded, self._restore),
            Action(1, lambda: source.capture.loaded, self.ask_for_load),
        ]

    def _commit(self) -> None:
        locked = {lock for transaction in self._source.open_transactions for lock in transaction.locks}
        plan = self._world.administration.plan(self._world.now.date(), locked)
        if plan is not None:
            copied = self._chance.random() < 0.3
            self._source.commit(self._source.write(plan.rows, copied=copied), self._world.now)
            self._world.note(
                "a transaction was committed while another was open" if locked else "a transaction was committed"
            )
            self._world.detail(plan.what)

    def _begin_long(self) -> None:
        locked = {lock for transaction in self._source.open_transactions for lock in transaction.locks}
        plan = self._world.administration.plan(self._world.now.date(), locked)
        if plan is not None:
            changes = self._source.write(plan.rows)
            self._source.open_transactions.append(OpenTransaction(plan.what, plan.locks, changes))
            self._world.note("a long transaction was begun")

    def _end_long(self) -> None:
        transaction = self._source.open_transactions.pop(self._chance.randrange(len(self._source.open_transactions)))
        if self._chance.random() < 0.2:
            self._world.note("a long transaction was rolled back")
            return
        self._source.commit(transaction.changes, self._world.now)
        self._world.note("a long transaction was committed")
        self._world.detail(transaction.what)

    def _beat(self) -> None:
        beats = [Beat(partition) for partition in range(self._source.partitions)]
        self._source.commit(self._source.write(beats), self._world.now)
        self._world.note("the heart beat")

    def _truncate(self) -> None:
        self._source.commit(self._source.write([Truncated(Table.EMPLOYEE)]), self._world.now)
        self._world.note("a table was emptied in one step")

    def _checkpoint(self) -> None:
        assert self._source.slot is not None
        self._source.slot.persisted = self._source.slot.confirmed

    def _crash_source(self) -> None:
        self._world.note("the source crashed")
        if self._source.crash():
            self._world.note("the slot went back")

    def _lose_slot(self) -> None:
        self._source.slot = None
        self._world.note("the slot was lost")

    def _back_up(self) -> None:
        self._source.take_backup()

    def _restore(self) -> None:
        self._source.restore()
        self._world.now += timedelta(
            seconds=2
        )  # a restore takes two seconds at least; a load's epoch is made of the time
        self._world.note("the source was restored")

    def ask_for_load(self) -> None:
        """Request a load, as ``imsfeed setup source --reload`` does."""
        self._source.capture.loaded = False
        self._world.note("a load was asked for")
