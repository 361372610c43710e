"""The third check of a reconciliation: the facts are the source's rows, read there independently of capture.

A change on its way must not be reported as a difference. The source's position is read with its rows, and the two are
compared only when the state has passed that position. By then it may have applied later changes of the same rows, so
differing rows are compared twice again, and count only if both sides are still the same as before. A row that changes
all the time is not reported.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from consumers.database.sessions import Connection
from consumers.materialize import fact_tables
from consumers.reconciliation.results_store import Checked, done, not_done
from consumers.reconciliation.source_reader import SourceReader
from ims.source.columns import UNPUBLISHED
from ims.source.events import Row
from ims.source.facts import Table

ROUNDS: Final = 3
AGAIN_SECONDS: Final = 10.0
"""Time between two comparisons of the same rows."""
DEADLINE_SECONDS: Final = 120.0
"""Longest wait for the state to pass a position of the source: several heartbeats."""
_LOOK_SECONDS: Final = 0.2

Difference = tuple[str, int]
"""How a row differs, by names of columns and without values; and a digest of both sides."""
Differing = dict[tuple[Table, int], Difference]
"""The differing rows, by table and id."""


class FactsComparison:
    """The comparison of one owner.

    Args:
        state: connection to the state database.
        source: the source's rows.
        topic: topic of the change events.
        partition: the owner's partition.
        pause: waits for a number of seconds, and returns whether to stop.
    """

    def __init__(
        self, state: Connection, source: SourceReader, topic: str, partition: int, pause: Callable[[float], bool]
    ) -> None:
        self._state = state
        self._source = source
        self._topic = topic
        self._partition = partition
        self._pause = pause
        self._compared: Counter[Table] = Counter()
        self._unreadable: Counter[Table] = Counter()

    def check(
        self, owner_id: int, *, again_seconds: float = AGAIN_SECONDS, deadline_seconds: float = DEADLINE_SECONDS
    ) -> Checked:
        """Compare all rows of an owner.

        Args:
            owner_id: the owner.
            again_seconds: time between two comparisons of differing rows.
            deadline_seconds: longest wait for changes on their way.
        """
        differing: Differing | None = None
        for _ in range(ROUNDS):
            if differing is not None and self._pause(again_seconds):
                return not_done("source", "interrupted")
            with self._source.view() as position:
                if not self._passes(position, owner_id, deadline_seconds):
                    return not_done(
                        "source", f"the state did not reach the source's position within {deadline_seconds:g} seconds"
                    )
                found = self._differing(owner_id, differing)
            if differing is None and (nothing := self._not_compared(owner_id)):
                return not_done("source", nothing)
            differing = found if differing is None else dict(found.items() & differing.items())
            if not differing:
                break
        words = [f"{table.value} {id_}: {what}" for (table, id_), (what, _) in sorted((differing or {}).items())]
        checked = done("source", words)
        return msgspec.structs.replace(checked, details=(*checked.details, *self._aside()))

    def _not_compared(self, owner_id: int) -> str | None:
        """Return why the comparison says nothing: a table has rows and none of them can be read, or there are none."""
        silent = [table.value for table, rows in self._unreadable.items() if rows and not self._compared[table]]
        if silent:
            return (
                f"no row of {', '.join(silent)} can be read by this mapping, so that nothing was compared there:"
                " run `imsfeed mapping check`"
            )
        if not self._compared.total():
            return f"the source has no row of owner {owner_id}, so that nothing was compared"
        return None

    def _aside(self) -> Iterator[str]:
        """Yield what was not compared, beside what was."""
        for table, rows in self._unreadable.items():
            yield f"{table.value}: {rows} rows cannot be read and were not compared: `imsfeed quarantine list` says why"

    def _passes(self, position: int, owner_id: int, deadline_seconds: float) -> bool:
        """Wait until all commits before *position* are applied, and no transaction of the owner in part."""
        deadline = time.monotonic() + deadline_seconds
        query = (
            "select commit_lsn >= %s and not %s = any (open_owners) from imsfeed.topic_partition"
            " where topic = %s and partition = %s"
        )
        parameters = (position, owner_id, self._topic, self._partition)
        while self._state.execute(query, parameters).fetchone() != (True,):
            if time.monotonic() >= deadline or self._pause(_LOOK_SECONDS):
                return False
        return True

    def _differing(self, owner_id: int, before: Differing | None) -> Differing:
        found: Differing = {}
        if before is None:
            self._compared.clear()
            self._unreadable.clear()
        for table in Table:
            ids = None if before is None else {id_ for of, id_ in before if of is table}
            if ids is None or ids:
                found.update(self._in_table(table, owner_id, ids))
        return found

    def _in_table(
        self, table: Table, owner_id: int, ids: set[int] | None
    ) -> Iterator[tuple[tuple[Table, int], Difference]]:
        seen: set[int] = set()
        for rows in self._source.rows(table, owner_id, ids):
            with self._state.cursor() as cursor:
                stored = fact_tables.read_rows(cursor, table, list(rows))
            for key, values in rows.items():
                seen.add(key.id)
                if ids is None:
                    (self._unreadable if values is None else self._compared)[table] += 1
                what = None if values is None else _difference(table, values, stored.get(key))
                if what is not None:
                    yield (table, key.id), what
        if ids is None and self._source.skipped:
            self._unreadable[table] += self._source.skipped
        for id_ in self._stored_ids(table, owner_id) - seen:
            if ids is None or id_ in ids:
                yield (table, id_), ("is not in the source", 0)

    def _stored_ids(self, table: Table, owner_id: int) -> set[int]:
        column = "owner_id" if table is Table.OWNER else "id"
        query = f"select {column} from imsfeed.{table.value} where owner_id = %s"  # noqa: S608 - our own names
        return {id_ for (id_,) in self._state.execute(query.encode(), (owner_id,))}


def _difference(table: Table, source: Row, stored: Mapping[str, object] | None) -> Difference | None:
    there = tuple(source.values())
    if stored is None:
        return "is missing", hash(there)
    compared = source.keys() - UNPUBLISHED.get(table, frozenset())
    columns = sorted(name for name in compared if stored[name] != source[name])
    here = tuple(stored[name] for name in source)
    return (f"differs in {', '.join(columns)}", hash((there, here))) if columns else None
