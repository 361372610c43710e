"""The facts, progress and quarantine of the state database in memory, for replays and tests.

tests/contract checks that it does what :class:`consumers.materialize.facts_store.FactsStore` does on PostgreSQL.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from consumers.materialize.batch import Load, Outcome, Progress, Refused
from consumers.materialize.facts_store import FencedError
from consumers.materialize.restricted_rows import RestrictedRow, of_refused_rows
from ims.identifiers.national_id import NationalId
from ims.source.facts import FACT_TYPES, CourseGroup, Employee, Enrolment, Fact, Facts, Owner, Person, School, Table
from ims.source.mapping import COLUMNS, FactKey, missing_columns

T = TypeVar("T", bound=Fact)


class _Stored(msgspec.Struct, frozen=True):
    """A row, its partition, and the epoch and LSN in which it was last seen."""

    values: dict[str, Any]
    seen: tuple[int, int]
    partition: int


class MemoryFacts:
    """A :class:`~consumers.materialize.facts_store.FactsStore` in memory, without pending changes and quarantine."""

    def __init__(self) -> None:
        self._progress: dict[int, Progress] = {}
        self._rows: dict[tuple[Table, int], dict[int, _Stored]] = defaultdict(dict)
        self._quarantined = 0

    def progress(self, partition: int) -> Progress | None:
        """Return how far *partition* has been applied; see :meth:`FactsStore.progress`."""
        return self._progress.get(partition)

    def begin(self, partition: int, next_offset: int) -> Progress:
        """Register a partition that was never applied; see :meth:`FactsStore.begin`."""
        return self._progress.setdefault(partition, Progress(next_offset))

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        """Write the facts of *outcome* and move the partition on; see :meth:`FactsStore.apply`.

        Raises:
           FencedError: the partition's next offset is not *start*.
        """
        self._move(partition, start, outcome.progress)
        refused = list(outcome.refused)
        incomplete = {}
        for (table, key), row in outcome.rows.items():
            rows = self._rows[table, key.owner_id]
            if row.values is None:
                rows.pop(key.id, None)
                continue
            stored = rows[key.id].values if key.id in rows else {}
            values = row.values if row.whole else {**stored, **row.values}
            lacking = missing_columns(table, values)
            if lacking:
                refused.append(Refused(row.message, "missing_column", f"{table.value} without {', '.join(lacking)}"))
                incomplete[table, key] = row
            else:
                whole = {name: values.get(name) for name in COLUMNS[table]}
                rows[key.id] = _Stored(whole, (row.epoch, row.lsn), partition)
        self._restrict(partition, {**of_refused_rows(incomplete), **outcome.restricted})
        for (table, key), seen in outcome.unread.items():
            rows = self._rows[table, key.owner_id]
            if key.id in rows:
                rows[key.id] = msgspec.structs.replace(rows[key.id], seen=max(seen, rows[key.id].seen))
        for load in outcome.loads:
            self._sweep(partition, load)
        self._quarantined += len(refused)
        return refused

    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Iterable[Refused]) -> None:
        """Move past a batch and quarantine its messages; see :meth:`FactsStore.refuse`.

        Raises:
           FencedError: the partition's next offset is not *start*.
        """
        self._move(partition, start, outcome.progress)
        self._restrict(partition, outcome.restricted)
        self._quarantined += len(list(refused))

    def _restrict(self, partition: int, rows_restricted: Mapping[tuple[Table, FactKey], RestrictedRow]) -> None:
        """Apply what refused messages take away; see :meth:`FactsStore.apply`."""
        for (table, key), restricted in rows_restricted.items():
            rows = self._rows[table, key.owner_id]
            row = restricted.row(table, rows[key.id].values if key.id in rows else None)
            if row is not None and row.values is not None:
                rows[key.id] = _Stored(row.values, (row.epoch, row.lsn), partition)

    def quarantine_size(self) -> int:
        """Return how many messages were quarantined."""
        return self._quarantined

    def open_owners(self) -> frozenset[int]:
        """Return the owners with a source transaction that has arrived in part."""
        return frozenset().union(*(progress.open_owners for progress in self._progress.values()))

    def rows(self, table: Table) -> dict[FactKey, dict[str, Any]]:
        """Return the table's rows of all owners."""
        return {
            FactKey(owner_id, id_): stored.values
            for (of, owner_id), rows in self._rows.items()
            if of is table
            for id_, stored in rows.items()
        }

    def stored(self, table: Table, key: FactKey) -> dict[str, Any] | None:
        """Return one row's values."""
        row = self._rows[table, key.owner_id].get(key.id)
        return None if row is None else row.values

    def facts(self, owner_id: int) -> Facts:
        """Return all facts of an owner."""
        return Facts(
            owner=self._read(Owner, Table.OWNER, owner_id).get(owner_id),
            schools=self._read(School, Table.SCHOOL, owner_id),
            persons=self._read(Person, Table.PERSON, owner_id),
            employees=self._read(Employee, Table.EMPLOYEE, owner_id),
            groups=self._read(CourseGroup, Table.COURSE_GROUP, owner_id),
            enrolments=self._read(Enrolment, Table.ENROLMENT, owner_id),
        )

    def orgnr(self, owner_id: int) -> str | None:
        """Return the owner's organisation number as registered, ``""`` without one; ``None`` if no row has arrived."""
        stored = self._rows[Table.OWNER, owner_id].get(owner_id)
        return None if stored is None else stored.values["orgnr"] or ""

    def _read(self, kind: type[T], table: Table, owner_id: int) -> dict[int, T]:
        return {id_: kind(**_typed(table, stored.values)) for id_, stored in self._rows[table, owner_id].items()}

    def _move(self, partition: int, start: int, to: Progress) -> None:
        if self._progress[partition].next_offset != start:
            raise FencedError(f"partition {partition} is no longer at offset {start}")
        self._progress[partition] = to

    def _sweep(self, partition: int, load: Load) -> None:
        """Delete the rows of this partition that the completed load has not seen."""
        before = (load.epoch, load.lsn)
        for (_, owner_id), rows in self._rows.items():
            if load.owner_id in {None, owner_id}:
                for id_ in [n for n, row in rows.items() if row.partition == partition and row.seen < before]:
                    del rows[id_]


def _typed(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    if FACT_TYPES[table] is Person and values["national_id"] is not None:
        return {**values, "national_id": NationalId(values["national_id"])}
    return values
