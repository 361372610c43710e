"""The source database of a schedule: tables, transactions that commit in order, the WAL, and one replication slot.

A transaction's changes get their LSNs when they are written, so that a long one's lie before the commits of others. A
crash takes the slot back to its last state on disk; a restore from a backup takes back everything, even the LSNs.
"""

import copy
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import msgspec

from ims.source.facts import FACT_TYPES, CourseGroup, Employee, Enrolment, Fact, Facts, Owner, Person, School, Table

Key = tuple[Table, int, int]
Tables = dict[Key, Fact]


class Written(msgspec.Struct, frozen=True):
    """A row inserted (no *old*), deleted (no *new*) or updated; ``sparing``: unchanged values are not sent (TOAST)."""

    old: Fact | None
    new: Fact | None
    lsn: int = 0
    sparing: bool = False

    @property
    def events(self) -> int:
        """Return how many events capture must make of it: a changed key is a delete and a create."""
        return 1 if self.old is None or self.new is None or key_of(self.old) == key_of(self.new) else 2


class Truncated(msgspec.Struct, frozen=True):
    """A table emptied in one step."""

    table: Table
    lsn: int = 0


class Beat(msgspec.Struct, frozen=True):
    """The heartbeat's row of a partition."""

    partition: int
    lsn: int = 0


Change = Written | Truncated | Beat


class Transaction(msgspec.Struct, frozen=True):
    """A committed transaction in the WAL."""

    xid: int
    commit_lsn: int
    end_lsn: int
    committed_at: datetime
    changes: tuple[Change, ...]

    def events(self) -> int:
        """Return how many events capture must make of it."""
        return sum(change.events if isinstance(change, Written) else 1 for change in self.changes)


class Slot(msgspec.Struct):
    """A replication slot: its confirmed position, and the one on disk, which a crash goes back to."""

    confirmed: int
    persisted: int


class CaptureRow(msgspec.Struct):
    """The slot's row of ``imsfeed.capture``."""

    epoch: int = 0
    loaded: bool = False


class Backup(msgspec.Struct):
    """The state that a restore brings back."""

    tables: Tables
    wal: list[Transaction]
    lsn: int
    capture: CaptureRow


class OpenTransaction(msgspec.Struct, frozen=True):
    """A transaction that has written rows and not ended, and the rows that it has locked."""

    what: str
    locks: frozenset[str]
    changes: list[Change]


class Source:
    """The database.

    Attributes:
        starts: counts the events that end every connection.
        damaged: a table was emptied in one step, which only a load can bring to the consumers.
        states: every state of each watched person and group, in order.
        versions: every version of each watched person's row, in order.
    """

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.tables: Tables = {}
        self.wal: list[Transaction] = []
        self.lsn = 1_000
        self.slot: Slot | None = None
        self.capture = CaptureRow()
        self.starts = 0
        self.damaged = False
        self.open_transactions: list[OpenTransaction] = []
        self.backup: Backup | None = None
        self.states: dict[tuple[int, str], list[object]] = {}
        self.versions: dict[tuple[int, int], list[str]] = {}
        self._xid = 700

    def write(self, changes: Iterable[Change], *, copied: bool = False) -> list[Change]:
        """Return the changes of an open transaction with their LSNs; rows *copied* in one statement share one."""
        self.lsn += 16
        written = []
        for change in changes:
            if not copied:
                self.lsn += 16
            written.append(msgspec.structs.replace(change, lsn=self.lsn))
        return written

    def commit(self, changes: Iterable[Change], now: datetime) -> Transaction:
        """Commit a transaction."""
        self._xid += 1
        commit_lsn = self.lsn
        self.lsn += 48
        transaction = Transaction(self._xid, commit_lsn, self.lsn, now, tuple(changes))
        for change in transaction.changes:
            self._apply(change)
        self.wal.append(transaction)
        self.note()
        return transaction

    def create_slot(self) -> tuple[int, Tables]:
        """Create or replace the slot; return its consistent point, and the rows as of that point."""
        self.slot = Slot(self.lsn, self.lsn)
        self.damaged = False
        return self.lsn, dict(self.tables)

    def crash(self) -> bool:
        """End every connection, and return whether the slot has gone back."""
        self.starts += 1
        self.open_transactions.clear()
        if self.slot is None:
            return False
        went_back = self.slot.persisted < self.slot.confirmed
        self.slot.confirmed = self.slot.persisted
        return went_back

    def take_backup(self) -> None:
        """Store the current state."""
        self.backup = Backup(dict(self.tables), list(self.wal), self.lsn, copy.copy(self.capture))

    def restore(self) -> None:
        """Restore the stored state: LSNs are reused for other changes, and the slot is lost."""
        assert self.backup is not None
        backup, self.backup = self.backup, None
        self.tables, self.wal, self.lsn = dict(backup.tables), list(backup.wal), backup.lsn
        self.capture = copy.copy(backup.capture)
        self.slot = None
        self.open_transactions.clear()
        self.starts += 1
        self.note()

    def facts(self, owner: int) -> Facts:
        """Return the owner's current rows, read without the code under test."""
        return facts_of(self.tables.values(), owner)

    def note(self) -> None:
        """Record the current states of all watched persons and groups that have changed."""
        now = watched(self.tables)
        for key in self.states.keys() | now.keys():
            past = self.states.setdefault(key, [None])
            if past[-1] != now.get(key):
                past.append(now.get(key))
        for row, version in versions(self.tables.values()).items():
            known = self.versions.setdefault(row, [])
            if known[-1:] != [version]:
                known.append(version)

    def _apply(self, change: Change) -> None:
        if isinstance(change, Written):
            if change.old is not None:
                del self.tables[key_of(change.old)]
            if change.new is not None:
                self.tables[key_of(change.new)] = change.new
        elif isinstance(change, Truncated):
            for key in [key for key in self.tables if key[0] is change.table]:
                del self.tables[key]
            self.damaged = True


def table_of(fact: Fact) -> Table:
    """Return the row's table."""
    return next(table for table, kind in FACT_TYPES.items() if isinstance(fact, kind))


def key_of(fact: Fact) -> Key:
    """Return the row's table and primary key."""
    return table_of(fact), fact.owner_id, fact.owner_id if isinstance(fact, Owner) else fact.id


def facts_of(rows: Iterable[Fact], owner: int) -> Facts:
    """Return an owner's rows as facts."""
    mine = [row for row in rows if row.owner_id == owner]
    return Facts(
        owner=next((row for row in mine if isinstance(row, Owner)), None),
        schools={row.id: row for row in mine if isinstance(row, School)},
        persons={row.id: row for row in mine if isinstance(row, Person)},
        employees={row.id: row for row in mine if isinstance(row, Employee)},
        groups={row.id: row for row in mine if isinstance(row, CourseGroup)},
        enrolments={row.id: row for row in mine if isinstance(row, Enrolment)},
    )


HOME_GROUPS = (1, 2)
"""Groups that always exist: a watched person is in exactly one of them, or does not exist."""


def watched(tables: Tables) -> dict[tuple[int, str], object]:
    """Return version and home group of each owner's watched persons (P1, P2 ...), and the names of the home groups.

    An importer must be sent only these states, in the order in which the source had them.
    """
    now: dict[tuple[int, str], object] = {}
    homes = Counter[tuple[int, int]]()
    home: dict[tuple[int, int], int] = {}
    for row in tables.values():
        if isinstance(row, Enrolment) and row.group_id in HOME_GROUPS:
            homes[row.owner_id, row.person_id] += 1
            home[row.owner_id, row.person_id] = row.group_id
    for row in tables.values():
        if isinstance(row, CourseGroup) and row.id in HOME_GROUPS:
            now[row.owner_id, f"group-{row.id}"] = row.name
        elif isinstance(row, Person) and row.given_name[0] == "P" and (row.owner_id, row.id) in home:
            assert homes[row.owner_id, row.id] == 1, (
                "the simulated administration never has a person in two home groups"
            )
            now[row.owner_id, row.given_name] = (row.family_name, home[row.owner_id, row.id])
    return now


def versions(rows: Iterable[Fact]) -> dict[tuple[int, int], str]:
    """Return the version of each watched person's row, by owner and running number."""
    return {
        (row.owner_id, row.id): row.family_name for row in rows if isinstance(row, Person) and row.given_name[0] == "P"
    }
