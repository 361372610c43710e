"""What refused messages of a batch take away from a row, in order with the changes between them. Pure.

A message whose row cannot be read whole is quarantined. What it takes away (:mod:`ims.source.restrictions`) is applied
all the same, to the row as it is in the state database.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from consumers.materialize.row_state import Message, RowState, earliest
from ims.source.events import Change
from ims.source.facts import Table
from ims.source.mapping import COLUMNS, FactChange, FactKey, UnreadableRowError
from ims.source.restrictions import restricted, restriction_of, without_texts


class Step(msgspec.Struct, frozen=True, gc=False):
    """A message's part in a restricted row: what it takes away, or the columns that it sets."""

    values: dict[str, Any]
    restricts: bool


class RestrictedRow(msgspec.Struct, frozen=True, gc=False):
    """What refused messages of the batch take away from one row.

    Attributes:
        steps: the first refused message, and all after it, in order.
        message: the last refused message.
        epoch: the epoch of the source in which that message saw the row.
        lsn: the LSN of the commit or load in which it saw the row.
        committed_at: when the source committed the first refused message.
        loading: all refused messages are rows of a load.
    """

    steps: tuple[Step, ...]
    message: Message
    epoch: int
    lsn: int
    committed_at: datetime | None
    loading: bool

    def row(self, table: Table, stored: dict[str, Any] | None) -> RowState | None:
        """Return the whole row after the steps, or ``None`` if they change nothing.

        Args:
            table: the row's table.
            stored: the row's values after the other changes of the batch, or ``None`` if there is no row.
        """
        values = stored
        for step in self.steps:
            if step.restricts:
                values = restricted(table, values, step.values) or values
            elif values is not None:
                values = {**values, **step.values}
        if values is None or values == stored:
            return None
        whole = {**dict.fromkeys(COLUMNS[table]), **values}
        return RowState(
            values=whole,
            message=self.message,
            whole=True,
            epoch=self.epoch,
            lsn=self.lsn,
            committed_at=self.committed_at,
            loading=self.loading,
        )


def restrict(
    known: RestrictedRow | None, error: UnreadableRowError, message: Message, change: Change
) -> RestrictedRow | None:
    """Return *known* with what a message takes away whose row cannot be read whole; ``None`` if there is nothing."""
    restriction = restriction_of(error.table, error.readable, error.unreadable)
    if restriction is None:
        return known
    return RestrictedRow(
        steps=(*(() if known is None else known.steps), Step(restriction, restricts=True)),
        message=message,
        epoch=change.position.epoch,
        lsn=change.position.lsn,
        committed_at=change.committed_at if known is None else earliest(known.committed_at, change.committed_at),
        loading=change.loading and (known is None or known.loading),
    )


def supersede(known: RestrictedRow, fact: FactChange, change: Change) -> RestrictedRow | None:
    """Return what is left of *known* after a change that can be read: nothing after one that has the whole row."""
    if change.op != "u" or fact.values is None or len(fact.values) == len(COLUMNS[fact.table]):
        return None
    return msgspec.structs.replace(known, steps=(*known.steps, Step(fact.values, restricts=False)))


def of_refused_rows(rows: Mapping[tuple[Table, FactKey], RowState]) -> dict[tuple[Table, FactKey], RestrictedRow]:
    """Return what rows take away that could be read and are refused all the same, when they are written."""
    taken = {}
    for (table, key), row in rows.items():
        restriction = None if row.values is None else restriction_of(table, row.values, ())
        if restriction is not None:
            taken[table, key] = RestrictedRow(
                steps=(Step(restriction, restricts=True),),
                message=row.message,
                epoch=row.epoch,
                lsn=row.lsn,
                committed_at=row.committed_at,
                loading=row.loading,
            )
    return taken


def without_any_text(row: RestrictedRow) -> RestrictedRow:
    """Return the restricted row without texts, which PostgreSQL may have refused."""
    steps = tuple(Step(without_texts(step.values), step.restricts) for step in row.steps)
    return msgspec.structs.replace(row, steps=steps)
