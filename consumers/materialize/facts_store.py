"""The one doorway to the state database for materialize: facts, progress and marks, changed together or not at all."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg

from consumers.database.array_literals import array_literal
from consumers.database.notifications import CHANNEL
from consumers.materialize import fact_tables, quarantine_store
from consumers.materialize.batch import Load, Message, Outcome, Progress, Refused, RowState, earliest
from consumers.materialize.fact_tables import Cursor
from ims.errors import ImsfeedError
from ims.runtime.failpoints import failpoint
from ims.source.events import Position
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, FactKey, missing_columns

_REFERENCES: Final[Mapping[Table, str]] = {Table.EMPLOYEE: "person_id", Table.ENROLMENT: "person_id"}
"""Tables whose rows bear on a person: the one they point to now, and the one they pointed to before."""

ChangedKey = tuple[int, str, int]
ChangedKeys = dict[ChangedKey, datetime | None]


class FencedError(ImsfeedError):
    """Another process has moved this partition on: what was read here is not applied. Start again from its row."""


class FactsStore:
    """Facts and progress of one topic in the state database."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], topic: str, partitions: int) -> None:
        self._connection = connection
        self._topic = topic
        self._partitions = partitions

    def progress(self, partition: int) -> Progress | None:
        """How far *partition* has been applied, or ``None`` if nothing ever was or its offset was forgotten."""
        row = self._connection.execute(
            "select next_offset, source_epoch, commit_lsn, ordinal, open_owners, heartbeat_at, committed_at"
            " from imsfeed.topic_partition where topic = %s and partition = %s and next_offset is not null",
            (self._topic, partition),
        ).fetchone()
        if row is None:
            return None
        position = None if row[1] is None else Position(row[1], int(row[2]), row[3])
        return Progress(row[0], position, frozenset(row[4]), row[5], row[6])

    def begin(self, partition: int, next_offset: int) -> Progress:
        """Register a partition that was never applied, or whose offset was forgotten, from *next_offset* on."""
        self._connection.execute(
            "insert into imsfeed.topic_partition as p (topic, partition, next_offset) values (%s, %s, %s)"
            " on conflict (topic, partition) do update set next_offset = excluded.next_offset"
            " where p.next_offset is null",
            (self._topic, partition, next_offset),
        )
        return self.progress(partition) or Progress(next_offset)

    def belong_to(self, topic_id: UUID, partitions: Iterable[int]) -> list[int]:
        """Remember that the offsets of *partitions* are those of the topic with this id, unless they have another's.

        Returns:
            The partitions whose offsets are those of another topic.
        """
        rows = self._connection.execute(
            "update imsfeed.topic_partition set topic_id = coalesce(topic_id, %s)"
            " where topic = %s and partition = any (%s) and topic_id is distinct from %s returning partition, topic_id",
            (topic_id, self._topic, list(partitions), topic_id),
        ).fetchall()
        return [partition for partition, remembered in rows if remembered != topic_id]

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        """Make the facts what *outcome* says, move the partition on from *start*, mark what may have changed.

        All in one transaction; the compare-and-set on the partition's row comes first, so that marks of one owner are
        numbered in the order of their commits.

        Returns:
            The messages that turned out not to be applicable, now in quarantine with those of *outcome*.

        Raises:
            FencedError: the partition no longer stands at *start*.
            psycopg.Error: nothing has been applied.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            waiting = self._move(cursor, partition, start, outcome.progress)
            changes: ChangedKeys = {}
            refused = [*outcome.refused, *self._apply_rows(cursor, outcome, changes)]
            applied = _applied(outcome, refused) if waiting or refused else []
            if waiting:
                quarantine_store.resolve(cursor, self._topic, partition, applied)
            _keep(cursor, outcome.unread)
            for load in outcome.loads:
                self._sweep(cursor, partition, load, changes)
                if load.owner_id is None:
                    quarantine_store.resolve_by_load(cursor, self._topic, partition, load.epoch)
            quarantine_store.quarantine(cursor, self._topic, partition, refused, applied)
            _insert_changes(cursor, changes)
            failpoint("materialize.before_commit")
        failpoint("materialize.committed")
        return refused

    def apply_again(self, partition: int, outcome: Outcome, number: int) -> list[Refused]:
        """Make the facts what a message from quarantine says; the partition stays where it is.

        For a transaction that holds the partition's lock, as :meth:`apply` does while it moves it on.

        Args:
            number: the message's in quarantine; earlier ones about the same row are healed by it.

        Returns:
            The message, if it still cannot be applied.
        """
        with self._connection.cursor() as cursor:
            changes: ChangedKeys = {}
            refused = [*outcome.refused, *self._apply_rows(cursor, outcome, changes)]
            quarantine_store.resolve(cursor, self._topic, partition, _applied(outcome, refused), before=number)
            _insert_changes(cursor, changes)
        return refused

    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Iterable[Refused]) -> None:
        """Move past a batch none of which can be applied: its messages go to quarantine.

        Raises:
            FencedError: the partition no longer stands at *start*.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            self._move(cursor, partition, start, outcome.progress)
            _keep(cursor, {key: (row.epoch, row.lsn) for key, row in outcome.rows.items() if row.loading})
            quarantine_store.quarantine(cursor, self._topic, partition, refused, ())

    def quarantine_size(self) -> int:
        """How many messages wait in quarantine; those that were healed do not."""
        return quarantine_store.waiting(self._connection)

    def unresolved_references(self) -> int:
        """How many references point to a row that has not arrived."""
        row = self._connection.execute(_UNRESOLVED).fetchone()
        return int(row[0]) if row else 0

    def _move(self, cursor: Cursor, partition: int, start: int, to: Progress) -> bool:
        """Move the partition on, and tell whether messages of it wait in quarantine."""
        position = to.position or (None, None, None)
        cursor.execute(
            "update imsfeed.topic_partition set next_offset = %s, source_epoch = %s, commit_lsn = %s, ordinal = %s,"
            " open_owners = %s, heartbeat_at = %s, committed_at = %s, updated_at = now()"
            " where topic = %s and partition = %s and next_offset = %s"
            " returning exists (select from imsfeed.quarantine q where q.topic = topic_partition.topic"
            " and q.partition = topic_partition.partition and q.resolved_at is null)",
            (
                to.next_offset,
                *position,
                sorted(to.open_owners),
                to.heartbeat_at,
                to.committed_at,
                self._topic,
                partition,
                start,
            ),
        )
        row = cursor.fetchone()
        if row is None:
            raise FencedError(f"partition {partition} no longer stands at offset {start}: another process applied it")
        return bool(row[0])

    def _apply_rows(self, cursor: Cursor, outcome: Outcome, changes: ChangedKeys) -> list[Refused]:
        refused = []
        for table, rows in _by_table(outcome.rows).items():
            refused += self._apply_table(cursor, table, rows, changes)
        return refused

    def _apply_table(
        self, cursor: Cursor, table: Table, rows: dict[FactKey, RowState], changes: ChangedKeys
    ) -> list[Refused]:
        incomplete = [key for key, row in rows.items() if row.values and len(row.values) < len(COLUMNS[table])]
        stored = _stored(cursor, table, rows, [key for key in incomplete if not rows[key].whole])
        refused = _complete(table, rows, incomplete, stored)
        fact_tables.delete(cursor, table, [key for key, row in rows.items() if row.values is None])
        fact_tables.upsert(cursor, table, [row for row in rows.values() if row.values is not None])
        for key, row in rows.items():
            for change in changed_keys(table, key, row, stored.get(key)):
                changes[change] = earliest(changes.get(change), row.committed_at)
        return refused

    def _sweep(self, cursor: Cursor, partition: int, load: Load, changes: ChangedKeys) -> None:
        """Remove the rows that the completed load has not seen."""
        for table in Table:
            for owner_id in fact_tables.sweep(cursor, table, load, self._partitions, partition):
                changes.setdefault((owner_id, "owner", owner_id), None)


def _applied(outcome: Outcome, refused: Iterable[Refused]) -> list[Message]:
    """The messages whose rows were written; of several about one row the last."""
    quarantined = {one.message.offset for one in refused}
    return [row.message for row in outcome.rows.values() if row.message.offset not in quarantined]


def _keep(cursor: Cursor, seen: Mapping[tuple[Table, FactKey], tuple[int, int]]) -> None:
    for table in Table:
        fact_tables.keep(cursor, table, {key: at for (of, key), at in seen.items() if of is table})


def _by_table(rows: Mapping[tuple[Table, FactKey], RowState]) -> dict[Table, dict[FactKey, RowState]]:
    tables: dict[Table, dict[FactKey, RowState]] = defaultdict(dict)
    for (table, key), row in rows.items():
        tables[table][key] = row
    return tables


def _stored(
    cursor: Cursor, table: Table, rows: Mapping[FactKey, RowState], partial: list[FactKey]
) -> Mapping[FactKey, Mapping[str, Any]]:
    """What matters of the rows as stored: the columns that events left out of *partial*, and whom they pointed to."""
    pointing = _REFERENCES.get(table)
    if pointing is None:
        return fact_tables.stored(cursor, table, partial)
    needed = frozenset(partial)
    keys = [key for key, row in rows.items() if not row.loading or key in needed]
    return fact_tables.stored(cursor, table, keys, None if partial else ("owner_id", "id", pointing))


def _complete(
    table: Table, rows: dict[FactKey, RowState], incomplete: list[FactKey], stored: Mapping[FactKey, Mapping[str, Any]]
) -> list[Refused]:
    """Fill in the columns that events left out; take out, and return, the rows that stay without a needed one."""
    refused = []
    for key in incomplete:
        row = rows[key]
        values = {**({} if row.whole else stored.get(key, {})), **(row.values or {})}
        lacking = missing_columns(table, values)
        if lacking:
            refused.append(Refused(row.message, "missing_column", f"{table.value} without {', '.join(lacking)}"))
            del rows[key]
        else:
            rows[key] = msgspec.structs.replace(row, values=values)
    return refused


def changed_keys(table: Table, key: FactKey, row: RowState, stored: Mapping[str, Any] | None) -> Iterator[ChangedKey]:
    """Whom a row that is written or removed may bear on: owner, kind and id.

    Args:
        stored: the row before, if it is one that points to a person.
    """
    if row.loading or table is Table.OWNER:
        yield key.owner_id, "owner", key.owner_id
    elif table in _REFERENCES:
        for values in (stored, row.values):
            if values:
                yield key.owner_id, "person", values[_REFERENCES[table]]
    else:
        yield key.owner_id, "group" if table is Table.COURSE_GROUP else table.value, key.id


def _insert_changes(cursor: Cursor, changes: ChangedKeys) -> None:
    if not changes:
        return
    owners, kinds, ids = zip(*changes, strict=True)
    cursor.execute(
        "insert into imsfeed.pending_change (owner_id, kind, id, committed_at)"
        " select * from unnest(%s::bigint[], %s::text[], %s::bigint[], %s::timestamptz[])",
        [array_literal(column) for column in (owners, kinds, ids, list(changes.values()))],
    )
    cursor.execute(f"notify {CHANNEL}")


_UNRESOLVED: Final = """
select (select count(*) from imsfeed.enrolment e where not exists
           (select from imsfeed.person p where (p.owner_id, p.id) = (e.owner_id, e.person_id)))
     + (select count(*) from imsfeed.enrolment e where not exists
           (select from imsfeed.course_group g where (g.owner_id, g.id) = (e.owner_id, e.group_id)))
     + (select count(*) from imsfeed.employee e where not exists
           (select from imsfeed.person p where (p.owner_id, p.id) = (e.owner_id, e.person_id)))
     + (select count(*) from imsfeed.employee e where not exists
           (select from imsfeed.school s where (s.owner_id, s.id) = (e.owner_id, e.school_id)))
     + (select count(*) from imsfeed.course_group g where not exists
           (select from imsfeed.school s where (s.owner_id, s.id) = (g.owner_id, g.school_id)))
"""
