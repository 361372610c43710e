"""Materialize's adapter to the state database: facts, progress and pending changes in one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg

from consumers.database.array_literals import array_literal
from consumers.database.notifications import CHANNEL
from consumers.materialize import fact_tables, quarantine_store
from consumers.materialize.batch import Load, Message, Outcome, Progress, Refused, RowState, earliest, without_misplaced
from consumers.materialize.fact_tables import Cursor
from consumers.materialize.restricted_rows import RestrictedRow, of_refused_rows
from consumers.materialize.row_state import REFERENCES, ChangedKey, changed_keys
from ims.errors import ImsfeedError
from ims.runtime.failpoints import failpoint
from ims.source.events import Position
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, FactKey, missing_columns

R = TypeVar("R")
ChangedKeys = dict[ChangedKey, datetime | None]
"""With the source's time of the earliest change, if it is known."""


class FencedError(ImsfeedError):
    """Another process has moved this partition on. Nothing was applied; read its stored progress and start there."""


class FactsStore:
    """Facts and progress of one topic in the state database.

    Args:
        partitions: how many partitions the topic has.
    """

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], topic: str, partitions: int) -> None:
        self._connection = connection
        self._topic = topic
        self._partitions = partitions

    def progress(self, partition: int) -> Progress | None:
        """Return how far *partition* has been applied; ``None`` if it never was, or its offset was reset."""
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
        """Register a partition that was never applied, or whose offset was reset, from *next_offset* on."""
        self._connection.execute(
            "insert into imsfeed.topic_partition as p (topic, partition, next_offset) values (%s, %s, %s)"
            " on conflict (topic, partition) do update set next_offset = excluded.next_offset"
            " where p.next_offset is null",
            (self._topic, partition, next_offset),
        )
        return self.progress(partition) or Progress(next_offset)

    def belong_to(self, topic_id: UUID, partitions: Iterable[int]) -> list[int]:
        """Store the topic's id with *partitions* that have none.

        Returns:
            The partitions whose offsets belong to another topic, by its id.
        """
        rows = self._connection.execute(
            "update imsfeed.topic_partition set topic_id = coalesce(topic_id, %s)"
            " where topic = %s and partition = any (%s) and topic_id is distinct from %s returning partition, topic_id",
            (topic_id, self._topic, list(partitions), topic_id),
        ).fetchall()
        return [partition for partition, remembered in rows if remembered != topic_id]

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        """Write the facts of *outcome*, move the partition on from *start*, and insert the pending changes.

        All of it is one transaction. The compare-and-set on the partition's row comes first and locks it, so that
        pending changes of one owner get their numbers in the order in which they are committed.

        Returns:
            The refused messages, now in quarantine: those of *outcome*, and those found while writing.

        Raises:
            FencedError: the partition's next offset is no longer *start*.
            psycopg.Error: nothing has been applied.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            any_waiting = self._move(cursor, partition, start, outcome.progress)
            changes: ChangedKeys = {}
            outcome, misplaced = without_misplaced(outcome, partition, self._partitions)
            refused = [*outcome.refused, *misplaced, *self._apply_rows(cursor, outcome, changes)]
            applied = _applied(outcome, refused) if any_waiting or refused else []
            # Earlier messages in quarantine first: those of this batch are compared when they are inserted below.
            if any_waiting:
                quarantine_store.resolve(cursor, self._topic, partition, applied)
            # Rows that could not be read exist all the same: they are marked before a completed load sweeps.
            fact_tables.mark_rows_seen(cursor, outcome.unread)
            for load in outcome.loads:
                self._sweep(cursor, partition, load, changes)
                if load.owner_id is None:
                    quarantine_store.resolve_by_load(cursor, self._topic, partition, load.epoch)
            quarantine_store.quarantine(cursor, self._topic, partition, refused, applied)
            if outcome.loads or any(one.reason == "truncate" for one in refused):
                quarantine_store.resolve_truncates(cursor, self._topic)
            _insert_changes(cursor, changes)
            failpoint("materialize.before_commit")
        failpoint("materialize.committed")
        return refused

    def apply_again(self, partition: int, outcome: Outcome, number: int) -> list[Refused]:
        """Write the facts of a message from quarantine; the partition's progress stays as it is.

        The caller's transaction must hold the lock of the partition's row, as :meth:`apply` does.

        Args:
            number: the message's number in quarantine. It resolves earlier messages about the same row.

        Returns:
            The message, if it still cannot be applied.
        """
        with self._connection.cursor() as cursor:
            changes: ChangedKeys = {}
            outcome, misplaced = without_misplaced(outcome, partition, self._partitions)
            refused = [*outcome.refused, *misplaced, *self._apply_rows(cursor, outcome, changes)]
            quarantine_store.resolve(cursor, self._topic, partition, _applied(outcome, refused), before=number)
            _insert_changes(cursor, changes)
        return refused

    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Iterable[Refused]) -> None:
        """Move past a batch whose rows cannot be applied, except ``outcome.restricted``; its messages are quarantined.

        Raises:
            FencedError: the partition's next offset is no longer *start*.
        """
        changes: ChangedKeys = {}
        with self._connection.transaction(), self._connection.cursor() as cursor:
            self._move(cursor, partition, start, outcome.progress)
            self._restrict(cursor, outcome.restricted, changes)
            fact_tables.mark_rows_seen(
                cursor, {key: (row.epoch, row.lsn) for key, row in outcome.rows.items() if row.loading}
            )
            quarantine_store.quarantine(cursor, self._topic, partition, refused, ())
            _insert_changes(cursor, changes)

    def quarantine_size(self) -> int:
        """Return how many unresolved messages are in quarantine."""
        return quarantine_store.count_unresolved(self._connection)

    def _move(self, cursor: Cursor, partition: int, start: int, to: Progress) -> bool:
        """Move the partition on by compare-and-set; return whether it has unresolved messages in quarantine.

        Both in one statement, so that the usual batch without any costs no second query.
        """
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
        if (row := cursor.fetchone()) is None:
            raise FencedError(f"partition {partition} is no longer at offset {start}: another process has moved it on")
        return bool(row[0])

    def _apply_rows(self, cursor: Cursor, outcome: Outcome, changes: ChangedKeys) -> list[Refused]:
        refused = []
        for table, rows in _by_table(outcome.rows).items():
            refused += self._apply_table(cursor, table, rows, changes)
        aside = {one.message.offset for one in refused}
        taken = of_refused_rows({at: row for at, row in outcome.rows.items() if row.message.offset in aside})
        self._restrict(cursor, {**taken, **outcome.restricted}, changes)
        return refused

    def _apply_table(
        self, cursor: Cursor, table: Table, rows: dict[FactKey, RowState], changes: ChangedKeys
    ) -> list[Refused]:
        # An update may leave out large values that did not change (TOAST); they are taken from the stored rows.
        incomplete = [key for key, row in rows.items() if row.values and len(row.values) < len(COLUMNS[table])]
        stored = _read_stored(cursor, table, rows, [key for key in incomplete if not rows[key].whole])
        refused = _complete(table, rows, incomplete, stored)
        fact_tables.delete(cursor, table, [key for key, row in rows.items() if row.values is None])
        fact_tables.upsert(cursor, table, [row for row in rows.values() if row.values is not None])
        for key, row in rows.items():
            for change in changed_keys(table, key, row, stored.get(key)):
                changes[change] = earliest(changes.get(change), row.committed_at)
        return refused

    def _restrict(
        self, cursor: Cursor, restricted: Mapping[tuple[Table, FactKey], RestrictedRow], changes: ChangedKeys
    ) -> None:
        """Apply what refused messages take away, after the other rows have been written."""
        for table, rows in _by_table(restricted).items():
            stored = fact_tables.read_rows(cursor, table, list(rows))
            found = {key: row.row(table, stored.get(key)) for key, row in rows.items()}
            changed = {key: row for key, row in found.items() if row is not None}
            fact_tables.upsert(cursor, table, list(changed.values()))
            for key, row in changed.items():
                for change in changed_keys(table, key, row, stored.get(key)):
                    changes[change] = earliest(changes.get(change), row.committed_at)

    def _sweep(self, cursor: Cursor, partition: int, load: Load, changes: ChangedKeys) -> None:
        """Delete the rows that the completed load has not seen, and report their owners as changed.

        The whole owner, because the deleted rows do not say whom they affected.
        """
        for table in Table:
            for owner_id in fact_tables.sweep(cursor, table, load, self._partitions, partition):
                changes.setdefault((owner_id, "owner", owner_id), None)


def _applied(outcome: Outcome, refused: Iterable[Refused]) -> list[Message]:
    """Return the messages whose rows were written; of several about one row, the last."""
    aside = {one.message.offset for one in refused}
    return [row.message for row in outcome.rows.values() if row.message.offset not in aside]


def _by_table(rows: Mapping[tuple[Table, FactKey], R]) -> dict[Table, dict[FactKey, R]]:
    tables: dict[Table, dict[FactKey, R]] = defaultdict(dict)
    for (table, key), row in rows.items():
        tables[table][key] = row
    return tables


def _read_stored(
    cursor: Cursor, table: Table, rows: Mapping[FactKey, RowState], partial: list[FactKey]
) -> Mapping[FactKey, Mapping[str, Any]]:
    """Read what is needed of the stored rows.

    That is all of *partial*, whose events left out columns, and the person that each changed row pointed to before. A
    row that was only loaded needs no such person, because its whole owner counts as changed.
    """
    pointing = REFERENCES.get(table)
    if pointing is None:
        return fact_tables.read_rows(cursor, table, partial)
    needed = frozenset(partial)
    keys = [key for key, row in rows.items() if not row.loading or key in needed]
    return fact_tables.read_rows(cursor, table, keys, None if partial else ("owner_id", "id", pointing))


def _complete(
    table: Table, rows: dict[FactKey, RowState], incomplete: list[FactKey], stored: Mapping[FactKey, Mapping[str, Any]]
) -> list[Refused]:
    """Fill in the columns that events left out; remove from *rows*, and return, those that still lack a needed one."""
    refused = []
    for key in incomplete:
        row = rows[key]
        values = {**({} if row.whole else stored.get(key, {})), **(row.values or {})}
        missing = missing_columns(table, values)
        if missing:
            refused.append(Refused(row.message, "missing_column", f"{table.value} without {', '.join(missing)}"))
            del rows[key]
        else:
            rows[key] = msgspec.structs.replace(row, values=values)
    return refused


def _insert_changes(cursor: Cursor, changes: ChangedKeys) -> None:
    if not changes:
        return
    cursor.execute(
        "insert into imsfeed.pending_change (owner_id, kind, id, committed_at)"
        " select * from unnest(%s::bigint[], %s::text[], %s::bigint[], %s::timestamptz[])",
        [array_literal([*column]) for column in (*zip(*changes, strict=True), changes.values())],
    )
    cursor.execute(f"notify {CHANNEL}")
