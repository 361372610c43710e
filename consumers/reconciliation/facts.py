"""The third check of a reconciliation: the facts are the source's rows, read there independently of capture.

What is on its way must not be called wrong. The source's position is read with its rows; only when the state has passed
that position are the two compared. By then it may have taken in later changes of the same rows: what differs is
compared again, twice, and counts only if both sides are still what they were. A row that changes all the time is left
to its next change.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from consumers.database.sessions import Connection
from consumers.materialize import fact_tables
from consumers.reconciliation.results_store import Checked, done, not_done
from consumers.reconciliation.source_reader import SourceReader
from ims.source.events import Row
from ims.source.facts import Table

ROUNDS: Final = 3
AGAIN_SECONDS: Final = 10.0
"""Time between two comparisons of the same rows."""
DEADLINE_SECONDS: Final = 120.0
"""Longest wait for the state to pass a position of the source: several heartbeats."""
_LOOK_SECONDS: Final = 0.2

Difference = tuple[str, int]
"""What is wrong with a row, by the names of columns and no value; and a digest of what either side has."""
Differing = dict[tuple[Table, int], Difference]
"""The rows that are not the same, by table and id."""


class FactsComparison:
    """The comparison of one owner.

    Args:
        state: to the state database.
        source: to the source.
        topic: of the change events.
        partition: the owner's.
        pause: waits so many seconds, and returns whether to stop.
    """

    def __init__(
        self, state: Connection, source: SourceReader, topic: str, partition: int, pause: Callable[[float], bool]
    ) -> None:
        self._state = state
        self._source = source
        self._topic = topic
        self._partition = partition
        self._pause = pause

    def check(
        self, owner_id: int, *, again_seconds: float = AGAIN_SECONDS, deadline_seconds: float = DEADLINE_SECONDS
    ) -> Checked:
        """Compare all that an owner has.

        Args:
            owner_id: the owner.
            again_seconds: time between two comparisons of what differs.
            deadline_seconds: longest wait for what is on its way.
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
            differing = found if differing is None else dict(found.items() & differing.items())
            if not differing:
                break
        words = [f"{table.value} {id_}: {what}" for (table, id_), (what, _) in sorted((differing or {}).items())]
        return done("source", words)

    def _passes(self, position: int, owner_id: int, deadline_seconds: float) -> bool:
        """Wait until all that the source committed before *position* is applied, and nothing of the owner in part."""
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
                what = None if values is None else _difference(values, stored.get(key))
                if what is not None:
                    yield (table, key.id), what
        for id_ in self._stored_ids(table, owner_id) - seen:
            if ids is None or id_ in ids:
                yield (table, id_), ("is not in the source", 0)

    def _stored_ids(self, table: Table, owner_id: int) -> set[int]:
        column = "owner_id" if table is Table.OWNER else "id"
        query = f"select {column} from imsfeed.{table.value} where owner_id = %s"  # noqa: S608 - our own names
        return {id_ for (id_,) in self._state.execute(query.encode(), (owner_id,))}


def _difference(source: Row, stored: Mapping[str, object] | None) -> Difference | None:
    there = tuple(source.values())
    if stored is None:
        return "is missing", hash(there)
    columns = sorted(name for name, value in source.items() if stored[name] != value)
    here = tuple(stored[name] for name in source)
    return (f"differs in {', '.join(columns)}", hash((there, here))) if columns else None
