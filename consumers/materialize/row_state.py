"""A message of Kafka, and the state of one row after a batch of them."""

from datetime import datetime
from typing import Any

import msgspec


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
