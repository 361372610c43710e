"""A message of Kafka, the state of one row after a batch of them, and which pending changes it leads to."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from ims.source.facts import Table
from ims.source.mapping import FactKey

REFERENCES: Final[Mapping[Table, str]] = {Table.EMPLOYEE: "person_id", Table.ENROLMENT: "person_id"}
"""Tables whose rows affect a person: the one they point to now, and the one they pointed to before."""
ChangedKey = tuple[int, str, int]
"""Owner, kind (``person``, ``group``, ``school``, ``owner``) and id of a pending change."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """A Kafka message in its partition."""

    offset: int
    key: bytes | None
    value: bytes | None


class RowState(msgspec.Struct, frozen=True, gc=False):
    """The state of one row after a batch.

    Attributes:
        values: the columns that the batch sets; ``None`` if the row is deleted.
        message: the last message about the row, for quarantine.
        whole: the row was created in this batch, so a column that is not set is null; otherwise it keeps its value.
        epoch: the epoch of the source in which the row was last seen.
        lsn: the LSN of the commit or load in which the row was last seen.
        committed_at: when the source committed the earliest of the row's changes in this batch.
        loading: only a load has seen the row in this batch.
    """

    values: dict[str, Any] | None
    message: Message
    whole: bool
    epoch: int
    lsn: int
    committed_at: datetime | None
    loading: bool


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier of two times; if only one is known, that one."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def changed_keys(table: Table, key: FactKey, row: RowState, stored: Mapping[str, Any] | None) -> Iterator[ChangedKey]:
    """Yield the pending changes of a row that is written or deleted.

    Args:
        stored: the row before the change, if the table's rows point to a person.
    """
    if row.loading or table is Table.OWNER:
        yield key.owner_id, "owner", key.owner_id
    elif table in REFERENCES:
        for values in (stored, row.values):
            if values:
                yield key.owner_id, "person", values[REFERENCES[table]]
    else:
        yield key.owner_id, "group" if table is Table.COURSE_GROUP else table.value, key.id
