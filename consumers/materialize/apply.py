"""Write what a run of messages means to the state database, and find the one message that PostgreSQL refuses."""

from collections.abc import Iterable
from typing import Protocol

import msgspec
import psycopg

from consumers.materialize.batch import Message, Outcome, Progress, Refused, read_batch
from ims.source.mapping import SourceMapping


class Store(Protocol):
    """What materialize needs of the state database in order to apply a batch (:class:`FactsStore`)."""

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        """As :meth:`FactsStore.apply`."""

    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Iterable[Refused]) -> None:
        """As :meth:`FactsStore.refuse`."""


class Batch(msgspec.Struct, frozen=True):
    """Messages of a partition that are read and not written.

    Attributes:
        progress: where the partition stands before them.
        outcome: what they mean, and where it stands after them, whatever PostgreSQL refuses.
    """

    partition: int
    messages: list[Message]
    progress: Progress
    outcome: Outcome


def read(
    partition: int, messages: list[Message], progress: Progress, mapping: SourceMapping, default_epoch: int
) -> Batch:
    """Read *messages*, the next ones of *partition*; needs no database."""
    return Batch(partition, messages, progress, read_batch(progress, messages, mapping, default_epoch))


def write(store: Store, batch: Batch, mapping: SourceMapping, default_epoch: int) -> tuple[Outcome, list[Refused]]:
    """Apply *batch* in one transaction.

    Should PostgreSQL find a value impossible that the mapping let through, the batch is halved until the one message
    is found; that one goes to quarantine and the others are applied.

    Returns:
        The outcome with the progress reached, and all messages now in quarantine.

    Raises:
        FencedError: another process has applied this partition.
        psycopg.Error: nothing of the last batch has been applied.
    """
    partition, messages, progress, outcome = msgspec.structs.astuple(batch)
    try:
        return outcome, store.apply(partition, progress.next_offset, outcome)
    except psycopg.DataError as error:
        if len(messages) > 1:
            half = len(messages) // 2
            first, refused = materialize_once(store, partition, messages[:half], progress, mapping, default_epoch)
            second, more = materialize_once(store, partition, messages[half:], first.progress, mapping, default_epoch)
            return second, refused + more
        refused = [Refused(messages[0], "impossible_value", f"PostgreSQL refused it: {error.sqlstate}")]
        store.refuse(partition, progress.next_offset, outcome, refused)
        return outcome, refused


def materialize_once(
    store: Store,
    partition: int,
    messages: list[Message],
    progress: Progress,
    mapping: SourceMapping,
    default_epoch: int,
) -> tuple[Outcome, list[Refused]]:
    """Read *messages* and :func:`write` what they mean, which has the same results and errors."""
    return write(store, read(partition, messages, progress, mapping, default_epoch), mapping, default_epoch)
