"""Applying a batch of messages to the state database, and finding the one message in it that PostgreSQL refuses."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from consumers.database.error_causes import Cause, cause_of, refusal
from consumers.materialize.batch import Message, Outcome, Progress, Refused, read_batch
from consumers.materialize.restricted_rows import of_refused_rows, without_any_text
from ims.source.mapping import SourceMapping


class Store(Protocol):
    """The part of the state database that applying a batch needs (:class:`FactsStore`)."""

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        """Apply a batch, as :meth:`FactsStore.apply` does."""

    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Iterable[Refused]) -> None:
        """Move past a refused batch, as :meth:`FactsStore.refuse` does."""


class Batch(msgspec.Struct, frozen=True):
    """Messages of a partition that have been read and not yet written.

    Attributes:
        progress: the partition's progress before them.
        outcome: what they mean, and the progress after them. The progress holds even if PostgreSQL refuses a message,
            so the next batch can be read before this one is written.
    """

    partition: int
    messages: list[Message]
    progress: Progress
    outcome: Outcome


def read(
    partition: int, messages: list[Message], progress: Progress, mapping: SourceMapping, default_epoch: int
) -> Batch:
    """Read *messages*, the next ones of *partition*. No database is needed."""
    return Batch(partition, messages, progress, read_batch(progress, messages, mapping, default_epoch))


def write(store: Store, batch: Batch, mapping: SourceMapping, default_epoch: int) -> tuple[Outcome, list[Refused]]:
    """Apply *batch* in one transaction.

    If one of its rows cannot be written (:class:`consumers.database.error_causes.Cause`), the batch is halved, each
    half in a transaction of its own, until the one message is found. That message goes to quarantine and the others are
    applied.

    Returns:
        The outcome with the progress reached, and all messages of the batch that are now in quarantine.

    Raises:
        FencedError: another process has moved this partition on.
        psycopg.Error: an outage or a defect; nothing of the batch, or of its last part, has been applied.
    """
    partition, messages, progress, outcome = msgspec.structs.astuple(batch)
    try:
        return outcome, store.apply(partition, progress.next_offset, outcome)
    except Exception as error:
        if cause_of(error) is not Cause.ROW:
            raise
        if len(messages) > 1:
            half = len(messages) // 2
            first, refused = materialize_once(store, partition, messages[:half], progress, mapping, default_epoch)
            second, more = materialize_once(store, partition, messages[half:], first.progress, mapping, default_epoch)
            return second, refused + more
        refused = [Refused(messages[0], "impossible_value", refusal(error))]
        store.refuse(partition, progress.next_offset, _what_is_taken(outcome), refused)
        return outcome, refused


def _what_is_taken(outcome: Outcome) -> Outcome:
    """Return the outcome of a refused message with what its row takes away, without the texts that were refused."""
    taken = {**of_refused_rows(outcome.rows), **outcome.restricted}
    return msgspec.structs.replace(outcome, restricted={at: without_any_text(row) for at, row in taken.items()})


def materialize_once(
    store: Store,
    partition: int,
    messages: list[Message],
    progress: Progress,
    mapping: SourceMapping,
    default_epoch: int,
) -> tuple[Outcome, list[Refused]]:
    """Read *messages* and :func:`write` them, with the same results and errors."""
    return write(store, read(partition, messages, progress, mapping, default_epoch), mapping, default_epoch)
