"""Export of the topic as a file of events for a replay, without personal data.

Each partition keeps its own order; between partitions the source's commit times decide. A message that materialize
would quarantine becomes a message that is quarantined for the same reason and has nothing of the original.
"""

import contextlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

import msgspec

from consumers.materialize.batch import HEARTBEAT_SCHEMA, Message, old_row
from consumers.replay.events_file import message_line, raw_line
from consumers.replay.pseudonyms import Pseudonyms
from ims.errors import BadMessageError, ImsfeedError, InvalidSettingsError
from ims.identifiers.national_id import without_national_ids
from ims.source.events import HEARTBEAT_TABLE, Change, Envelope, Row, Source, Transaction, decode, encode
from ims.source.facts import Table
from ims.source.mapping import SourceMapping

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of messages before the first one with a commit time."""
_POLL_SECONDS: Final = 0.5
_EMPTY_POLLS: Final = 120
"""Polls in a row without a message after which the broker counts as unreachable."""
_NO_TIME: Final = 10**18

_BROKEN: Final[Mapping[str, bytes]] = {
    "not_json": b"",
    "not_an_envelope": b'{"op":"c"}',
    "unknown_op": encode(Envelope(source=Source(schema="public", table="none"), op="?")),
    "impossible_value": encode(
        Envelope(source=Source(schema="public", table="none", ts_ms=_NO_TIME), op="c", after={})
    ),
}
"""For each reason why a message cannot be read, a message that is refused for that reason."""


class Topic(Protocol):
    """The part of :class:`consumers.materialize.kafka_source.KafkaSource` that an export needs."""

    def partitions(self) -> set[int]:
        """Return the topic's partitions."""

    def first_offset(self, partition: int) -> int:
        """Return the first offset that the partition still has."""

    def assign(self, offsets: dict[int, int]) -> None:
        """Assign these partitions, each from its offset on."""

    def poll(self, seconds: float) -> dict[int, list[Message]]:
        """Return the next messages by partition; wait for the first one for at most so many seconds."""

    def position(self, partition: int) -> int:
        """Return the offset after the last message that was polled."""

    def lag(self, offsets: dict[int, int]) -> dict[int, int]:
        """Return how many messages each partition has from its offset on."""

    def close(self) -> None:
        """Close the consumer."""


class Span(NamedTuple):
    """Offsets of a partition, from the first up to but not including the last."""

    start: int
    end: int


def export(
    open_topic: Callable[[], Topic],
    exporter: "Exporter",
    from_offsets: Mapping[int, int],
    progress: Callable[[int], Callable[[], None]],
) -> Iterator[bytes]:
    """Yield the lines of the file, up to the end of the topic as of now.

    Args:
        exporter: makes the lines.
        open_topic: opens a consumer for each partition, so that none is read further than the others.
        from_offsets: the first offset by partition; other partitions begin at their first offset.
        progress: called with the number of messages; returns a function that is called for each message.

    Raises:
        InvalidSettingsError: the topic does not exist, or has no such partition.
        OffsetLostError: the topic does not have the offset to begin at.
        ImsfeedError: the broker returns no more messages.
    """
    with contextlib.ExitStack() as stack:
        topic = stack.enter_context(contextlib.closing(open_topic()))
        spans = _spans(topic, from_offsets)
        at_each = progress(sum(span.end - span.start for span in spans.values()))
        partitions = []
        for partition, span in spans.items():
            own = stack.enter_context(contextlib.closing(open_topic()))
            partitions.append(exporter.lines(partition, _messages(own, partition, span, at_each)))
        for *_, line in heapq.merge(*partitions):
            yield line


def _spans(topic: Topic, from_offsets: Mapping[int, int]) -> dict[int, Span]:
    partitions = sorted(topic.partitions())
    missing = from_offsets.keys() - set(partitions)
    if not partitions or missing:
        what = f"partition {min(missing)}" if missing else "partitions"
        raise InvalidSettingsError(f"the topic has no {what}; check KAFKA_TOPIC and KAFKA_BOOTSTRAP_SERVERS")
    ends = topic.lag(dict.fromkeys(partitions, 0))
    return {p: Span(from_offsets.get(p, topic.first_offset(p)), ends[p]) for p in partitions}


def _messages(topic: Topic, partition: int, span: Span, at_each: Callable[[], None]) -> Iterator[Message]:
    topic.assign({partition: span.start})
    empty = 0
    while topic.position(partition) < span.end:
        messages = topic.poll(_POLL_SECONDS).get(partition, [])
        empty = 0 if messages else empty + 1
        if empty == _EMPTY_POLLS:
            raise ImsfeedError(f"partition {partition} returns nothing before offset {span.end}; is the broker up?")
        for message in messages:
            if message.offset < span.end:
                at_each()
                yield message


class Exporter:
    """Conversion of messages to lines.

    Args:
        mapping: the source's mapping; the file has the reference schema's names.
        default_epoch: the epoch of events without one.
        key: secret, for the choice of synthetic national ids.
        owner: only this owner's changes, or ``None`` for all.
    """

    def __init__(self, mapping: SourceMapping, default_epoch: int, key: bytes, owner: int | None = None) -> None:
        self._mapping = mapping
        self._default_epoch = default_epoch
        self._pseudonyms = Pseudonyms(key)
        self._owner = owner

    def lines(self, partition: int, messages: Iterable[Message]) -> Iterator[tuple[datetime, int, int, bytes]]:
        """Yield time, partition, offset and line of each exported message of a partition, in order.

        If the last event of a transaction is not exported, the event before it becomes the last one: in production too,
        a transaction that has begun in a partition ends with the next event that ends a transaction there.
        """
        at = _BEGINNING
        waiting: _Entry | None = None
        for message in messages:
            change, content = self._read(message)
            # Commits may have another order than their times, which are taken a moment before.
            at = max(at, (change and change.committed_at) or at)
            if content is None:
                if waiting is not None and change is not None and change.ends_transaction:
                    waiting.end()
                continue
            if waiting is not None:
                yield waiting.at, partition, waiting.offset, waiting.line(partition)
            waiting = _Entry(at, message.offset, content)
        if waiting is not None:
            yield waiting.at, partition, waiting.offset, waiting.line(partition)

    def _read(self, message: Message) -> tuple[Change | None, Envelope | bytes | None]:
        """Return the change and what is exported for it, which is ``None`` if it is not about this owner's rows."""
        try:
            change = decode(message.value, default_epoch=self._default_epoch)
        except BadMessageError as error:
            return None, None if self._owner is not None else _BROKEN[error.reason]
        if change is None or (change.schema, change.table) == (HEARTBEAT_SCHEMA, HEARTBEAT_TABLE):
            return change, None
        table = self._mapping.table_of(change.table)
        given = change.after if change.after is not None else old_row(message, change)
        row = {} if table is None else self._row(table, given)
        if self._owner not in {None, row.get("owner_id")}:
            return change, None
        return change, _envelope(
            change, f"unmapped {without_national_ids(change.table)}" if table is None else table.value, row
        )

    def _row(self, table: Table, given: Row) -> Row:
        return self._pseudonyms.row(table, self._mapping.translated(table, given))


class _Entry(NamedTuple):
    """A message to export; it waits until it is known whether it is the last exported one of its transaction."""

    at: datetime
    offset: int
    content: Envelope | bytes

    def end(self) -> None:
        """Make it the last of its transaction, since the rest of the transaction is not exported."""
        if isinstance(self.content, Envelope) and self.content.transaction is not None:
            self.content.transaction.last = True

    def line(self, partition: int) -> bytes:
        if not self.content:
            return raw_line(self.at, "", partition)
        value = encode(self.content) if isinstance(self.content, Envelope) else self.content
        return message_line(self.at, value, partition)


def _envelope(change: Change, table: str, row: Row) -> Envelope:
    """Return the change as an envelope that has only *row* and its position."""
    position = change.position
    return Envelope(
        before=row if change.op == "d" else None,
        after=row if change.after is not None else None,
        source=Source(
            schema="public",
            table=table,
            ts_ms=None if change.committed_at is None else round(change.committed_at.timestamp() * 1000),
            epoch=position.epoch,
            resync_owner=msgspec.UNSET if change.resync_owner is None else change.resync_owner,
            sequence=None if change.exact else f'["{position.lsn}","{position.ordinal}"]',
        ),
        op=change.op,
        transaction=Transaction(f"0:{position.lsn}", position.ordinal, 1, last=change.ends_transaction or None)
        if change.exact
        else None,
    )
