"""The history of a source as capture's messages: the topic of a benchmark.

Several owners are registered in large transactions (an import); then rows are changed and deleted, mostly one or a few
at a time, and now and then a thousand. No person in it exists: the rows are those of the demo.
"""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from deploy.demo.roster import synthetic_owner
from ims.source.facts import FACT_TYPES, CourseGroup, Employee, Enrolment, Fact, Owner, Person, School
from producers.events.change_events import partition_of
from producers.events.ordered_events import KafkaMessage, OrderedEvents, Origin, RowEvent, TransactionContext
from producers.source.captured_table import OWNER_COLUMN, CapturedTable, TableName
from tests.support.pipeline import row_of

OWNERS: Final = (1, 2, 3, 4, 9, 10)
"""These fill four of eight partitions, two of them with two owners."""

_TODAY: Final = date(2026, 10, 15)
_CREATED: Final = 0.6
"""The share of events that only create rows, in transactions of an import's size; after them all kinds are mixed."""
_IMPORT: Final = 500
_TRANSACTIONS: Final = ((1, 70), (2, 20), (5, 8), (30, 2), (1000, 0.2))
"""Rows of a later transaction, and how often it has that size: half of the changed rows are in small ones."""
_OPS: Final = (("u", 75), ("c", 15), ("d", 10))
_REFERENCES: Final = ("id", "person_id", "group_id")
_ROSTER_IDS: Final = 10_000
"""More than the largest id in a roster; added to the ids of an owner's next copy of it."""

_TABLES: Final = {
    kind: CapturedTable(
        TableName("public", table.value),
        OWNER_COLUMN,
        tuple(name for name in ("owner_id", "id") if name in kind.__struct_fields__),
        kind.__struct_fields__,
    )
    for table, kind in FACT_TYPES.items()
}


class _Administration:
    """One owner's current rows, and random changes of them."""

    def __init__(self, owner_id: int, rows: int, chance: random.Random) -> None:
        self._chance = chance
        self._last_id = 1_000_000
        registered = list(_registered(owner_id, rows))
        chosen = sorted(chance.sample(range(len(registered)), rows))
        self.registered = [registered[number] for number in chosen]
        self._rows: list[Fact] = [row for row in self.registered if not isinstance(row, Owner | School)]

    def next_change(self) -> tuple[str, Fact]:
        """Change one row; return the operation (``c``, ``u`` or ``d``) and the row."""
        (op,) = self._chance.choices([op for op, _ in _OPS], [often for _, often in _OPS])
        place = self._chance.randrange(len(self._rows))
        row: Fact = self._rows[place]
        if op == "c":
            self._last_id += 1
            row = _with(row, id=self._last_id)
            self._rows.append(row)
        elif op == "u":
            row = self._rows[place] = self._changed(row)
        elif len(self._rows) > 1:
            self._rows[place] = self._rows[-1]
            self._rows.pop()
        else:
            op = "u"
        return op, row

    def _changed(self, row: Fact) -> Fact:
        changes: dict[str, Any]
        number = self._chance.randrange(10**6)
        match row:
            case Person():
                changes = {"email": f"ny{number}@fjordlia.example"} if number % 2 else {"mobile": f"+4700{number:06}"}
            case Enrolment():
                ends_on = _TODAY + timedelta(days=number % 200)
                changes = {"status": "withdrawn"} if number % 3 == 0 else {"ends_on": ends_on}
            case CourseGroup():
                changes = {"name": f"Norsk {number}"}
            case Employee():
                changes = {"active": not row.active}
            case _:
                changes = {}
        return _with(row, **changes)


def history(events: int, partitions: int) -> Iterator[KafkaMessage]:
    """Yield so many events of several owners, the same ones every time, in the order in which capture sends them."""
    chance = random.Random(1)
    each = max(1, int(events * _CREATED) // len(OWNERS))
    administrations = {owner_id: _Administration(owner_id, each, chance) for owner_id in OWNERS}
    commits = _Commits(partitions)
    for begin in range(0, each, _IMPORT):
        for administration in administrations.values():
            yield from commits.commit([("c", row) for row in administration.registered[begin : begin + _IMPORT]])
    left = events - each * len(OWNERS)
    while left:
        (size,) = chance.choices([size for size, _ in _TRANSACTIONS], [often for _, often in _TRANSACTIONS])
        administration = administrations[chance.choice(OWNERS)]
        yield from commits.commit([administration.next_change() for _ in range(min(size, left))])
        left -= min(size, left)


class _Commits:
    """Makes the messages of the source's transactions, one after the other."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._origin = Origin("school", 1_790_000_000)
        self._began = int(datetime(2026, 10, 15, 8, tzinfo=UTC).timestamp() * 1000)
        self._number = 0

    def commit(self, changes: list[tuple[str, Fact]]) -> Iterator[KafkaMessage]:
        self._number += 1
        lsn = 0x2_0000_0000 + self._number * 4096
        context = TransactionContext(str(self._number), lsn, self._began + self._number * 50, self._number)
        events = OrderedEvents(self._origin, context)
        for number, (op, fact) in enumerate(changes):
            ready = events.add(self._event(op, fact), lsn - 4096 + number)
            if ready is not None:
                yield ready
        yield from events.finish()

    def _event(self, op: str, fact: Fact) -> RowEvent:
        row = row_of(fact)
        table = _TABLES[type(fact)]
        key = {name: row[name] for name in table.key_columns}
        before, after = (key, None) if op == "d" else (None, row)
        return RowEvent(table, op, key, before, after, partition_of(fact.owner_id, self._partitions))


def _registered(owner_id: int, rows: int) -> Iterator[Fact]:
    """Yield at least so many rows of an owner, each before those that refer to it."""
    roster = synthetic_owner(_TODAY)
    facts = [fact for table in roster.tables().values() for fact in table]
    copies = -(-rows // (len(facts) - 5))
    yield msgspec.structs.replace(roster.owner, owner_id=owner_id)
    yield from (msgspec.structs.replace(school, owner_id=owner_id) for school in roster.schools)
    for copy in range(copies):
        yield from (
            _moved(fact, owner_id, copy * _ROSTER_IDS) for fact in facts if not isinstance(fact, Owner | School)
        )


def _moved(fact: Fact, owner_id: int, ids: int) -> Fact:
    changes = {name: getattr(fact, name) + ids for name in _REFERENCES if hasattr(fact, name)}
    return _with(fact, owner_id=owner_id, **changes)


def _with(fact: Fact, **changes: Any) -> Fact:
    return msgspec.structs.replace(fact, **changes)
