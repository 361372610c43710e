"""Rows that are too large for Kafka: sent without their largest texts, and never without their row.

Kafka refuses a message above a size, and everything behind it would wait. Most of a row's columns are small, those that
decide whether a person may be in a feed among them. So the largest texts are replaced by a mark
(:func:`ims.source.events.too_large`), from which a consumer knows that it cannot read them.
"""

from typing import Any, Final, NamedTuple

import msgspec

from ims.identifiers.national_id import without_national_ids
from ims.source.events import Envelope, Row, encode, too_large
from producers.events.ordered_events import KafkaMessage

LARGEST_MESSAGE: Final = 16 * 1024 * 1024
"""Largest message of a topic that capture creates, in bytes: far more than a row of any administration system needs."""
OVERHEAD: Final = 1024
"""Bytes that Kafka adds to a message's key and value; more than it needs."""
_MARKED: Final = 200
"""Bytes; a shorter text is never replaced, because the mark would be as long."""

_ENVELOPE: Final = msgspec.json.Decoder(Envelope)


class Oversized(NamedTuple):
    """The row of a message that was too large: its key, and the column with its largest value in bytes."""

    key: str
    column: str
    size: int


def is_too_large(message: KafkaMessage, largest: int) -> bool:
    """Return True if Kafka would refuse *message*, where a message may have *largest* bytes."""
    return len(message.value) + len(message.key) + OVERHEAD > largest


def reduced(message: KafkaMessage, largest: int) -> tuple[KafkaMessage, Oversized | None]:
    """Return *message* without its largest texts, so that it fits.

    First those of the old row, which consumers need only for its key, then those of the new one.

    Returns:
        The message, and what of its new row is missing; ``None`` if nothing is.
    """
    envelope = _ENVELOPE.decode(message.value)
    excess = len(message.value) + len(message.key) + OVERHEAD - largest
    key = _key_text(message.key)
    for name in _longest_first(envelope.before or {}):
        if excess > 0 and envelope.before is not None:
            excess -= _size(envelope.before.pop(name))
    oversized = None
    for name in _longest_first(envelope.after or {}):
        if excess > 0 and envelope.after is not None:
            size = _size(envelope.after[name])
            envelope.after[name] = too_large(size, key)
            excess -= size - _size(envelope.after[name])
            oversized = oversized or Oversized(key, name, size)
    return msgspec.structs.replace(message, value=encode(envelope)), oversized


def _longest_first(row: Row) -> list[str]:
    texts = [name for name, value in row.items() if isinstance(value, str) and _size(value) > _MARKED]
    return sorted(texts, key=lambda name: -_size(row[name]))


def _size(value: Any) -> int:  # noqa: ANN401 - JSON
    return len(msgspec.json.encode(value))


def _key_text(key: bytes) -> str:
    """Return the row's key for a person to read."""
    row: dict[str, Any] = msgspec.json.decode(key)
    return without_national_ids(", ".join(f"{name} {value}" for name, value in row.items() if name != "table")[:200])
