"""Capture's only adapter to Kafka: sends messages, and knows up to which commit Kafka has them all.

A consumer drops a message that is not newer than the last one that it applied, so no message may overtake another
within a partition. The idempotent producer guarantees that as long as it neither gives up on a message nor goes on
after one that failed. Hence messages never expire, and the first failure ends the producer; capture then sends
everything again from the slot's confirmed position.
"""

import contextlib
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.record import util as record_util

from ims.errors import InvalidSettingsError
from ims.runtime import kafka_internals
from ims.runtime.bearer_token import EndpointToken, FileToken
from ims.runtime.failpoints import failpoint
from ims.runtime.kafka_connection import kafka_options
from ims.runtime.lifecycle import Stop
from ims.runtime.logs import get_logger
from ims.runtime.metrics import CaptureMetrics
from ims.runtime.settings import Settings
from producers.events.batched_producer import KafkaProducer
from producers.events.ordered_events import KafkaMessage
from producers.events.oversized_rows import LARGEST_MESSAGE, is_too_large, reduced
from producers.events.topic import BOOTSTRAP_MS
from producers.source.replication import StoppedError

log = get_logger(__name__)

_STALL_SECONDS: Final = 120.0
"""Time without any acknowledgement, while messages are in flight, after which another producer is tried."""
_CLOSE_SECONDS: Final = 5.0
_TURN_SECONDS: Final = 0.02
_RECONNECT_MS: Final = 1_000
"""Longest pause between attempts to connect; the client's own 30 s would prolong every outage of Kafka."""

for provider in (FileToken, EndpointToken):
    AbstractTokenProvider.register(provider)


def refuse_slow_crc() -> None:
    """Check that kafka-python uses the compiled checksum; its Python fallback more than halves capture's speed.

    Raises:
        InvalidSettingsError: the package ``crc32c`` is missing.
    """
    if not kafka_internals.checksum_is_compiled(record_util):
        raise InvalidSettingsError("the package crc32c is missing; install kafka-python[crc32c]")


def producer_options(settings: Settings) -> dict[str, Any]:
    """Return the options with which ``KafkaProducer`` keeps messages in order and never gives up on one.

    An idempotent producer numbers the messages of a partition, so that the broker refuses a gap: this keeps the order
    with up to five requests in flight for each broker (the client's default), without waiting for each in turn.
    """
    return {
        **kafka_options(settings),
        "client_id": "imsfeed-capture",
        "acks": "all",
        "enable_idempotence": True,
        "delivery_timeout_ms": math.inf,
        "linger_ms": 5,
        "batch_size": 256 * 1024,
        "max_request_size": LARGEST_MESSAGE,
        "compression_type": "lz4",
        "max_block_ms": 5_000,
        "reconnect_backoff_max_ms": _RECONNECT_MS,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "allow_auto_create_topics": False,
    }


def connect(settings: Settings) -> Any:  # noqa: ANN401 - kafka-python is untyped
    """Return a producer that keeps messages in order and never gives up on one.

    Raises:
        kafka.errors.KafkaError: Kafka cannot be reached, or refuses.
    """
    producer = KafkaProducer(**producer_options(settings))
    try:
        producer.partitions_for(settings.kafka_topic)  # fetched now, and not while the walsender waits for a report
    except KafkaError:
        producer.close(timeout=0)
        raise
    return producer


class Publisher:
    """Sends messages in order, and knows up to which commit Kafka has acknowledged every one.

    It does not limit what is in flight: the stream stops reading, and a load waits in :meth:`drain`, once
    ``inflight`` reaches the setting INFLIGHT_LIMIT.

    Args:
        producer: a ``KafkaProducer``, from :func:`connect`; closed with this.
        topic: the topic's name.
        metrics: counts what is sent and what is acknowledged.
        largest: the largest message that Kafka takes, in bytes. A larger one is sent without its largest texts.

    Attributes:
        inflight: messages that have been sent and are not acknowledged yet.
        committed_ms: commit time in the source of the last message acknowledged, in milliseconds since 1970.
    """

    def __init__(
        self,
        producer: Any,  # noqa: ANN401 - kafka-python is untyped
        topic: str,
        metrics: CaptureMetrics,
        largest: int = LARGEST_MESSAGE,
    ) -> None:
        self._largest = largest
        self._producer = producer
        self._topic = topic
        self._metrics = metrics
        # In the order of sending: (future, table, op, committed_ms) of a message, or the LSN of a commit point.
        self._outstanding: deque[tuple[Any, str, str, int] | int] = deque()
        # The newest future of each partition. Messages of a batch share one, which needs only one errback.
        self._watched: dict[int, Any] = {}
        self._acknowledged: int | None = None
        self._heard = time.monotonic()
        self._attempts = 0
        self.inflight = 0
        self.committed_ms: int | None = None

    def send(self, message: KafkaMessage) -> None:
        """Hand a message to the client, which sends it soon, in a batch.

        Raises:
            kafka.errors.KafkaError: the client refuses the message.
        """
        if is_too_large(message, self._largest):
            message = self._reduced(message)
        if not self.inflight:
            self._heard = time.monotonic()
        future = self._producer.send(self._topic, value=message.value, key=message.key, partition=message.partition)
        if future is not self._watched.get(message.partition):
            future.add_errback(self._give_up)
            self._watched[message.partition] = future
        self._outstanding.append((future, message.table, message.op, message.committed_ms))
        self.inflight += 1
        self._attempts += 1

    def _reduced(self, message: KafkaMessage) -> KafkaMessage:
        """Return *message* without its largest texts, and log and count what its row lacks."""
        message, oversized = reduced(message, self._largest)
        if oversized is not None:
            self._metrics.oversized_rows.inc()
            log.error(
                "row too large for Kafka",
                table=message.table,
                key=oversized.key,
                column=oversized.column,
                size=oversized.size,
            )
        return message

    def commit_point(self, lsn: int) -> None:
        """Note that every message of the commits up to *lsn* has been sent."""
        self._outstanding.append(lsn)

    def acknowledged(self) -> int | None:
        """Return the last commit point before which Kafka has acknowledged everything; ``None`` before the first.

        Raises:
            kafka.errors.KafkaError: a message failed, or Kafka has acknowledged nothing for too long.
        """
        published: defaultdict[tuple[str, str], int] = defaultdict(int)
        try:
            self._hear(published)
        finally:
            self._count(published)
        if self.inflight and time.monotonic() - self._heard > _STALL_SECONDS:
            raise KafkaTimeoutError(f"no acknowledgement for {_STALL_SECONDS:g} seconds")
        return self._acknowledged

    def _hear(self, published: defaultdict[tuple[str, str], int]) -> None:
        """Move on to the first message that is not acknowledged.

        Acknowledgements of different partitions come in any order. Only the first messages in the order of sending
        count, so that a commit point is passed when everything before it has been acknowledged.

        Args:
            published: counts the acknowledged messages by table and operation.
        """
        outstanding = self._outstanding
        while outstanding:
            first = outstanding[0]
            if isinstance(first, int):
                self._acknowledged = first
            else:
                future, table, op, committed_ms = first
                if not future.is_done:
                    return
                if future.exception is not None:
                    raise future.exception
                self.inflight -= 1
                self.committed_ms = committed_ms
                published[table, op] += 1
                failpoint("capture.acknowledged")
            outstanding.popleft()

    def _count(self, published: Mapping[tuple[str, str], int]) -> None:
        """Update the metrics; once for all messages, since doing it for each would cost too much."""
        if published:
            self._heard = time.monotonic()
        for (table, op), count in published.items():
            self._metrics.events_published.labels(table, op).inc(count)
        self._metrics.publish_attempts.inc(self._attempts)
        self._attempts = 0

    def oldest_committed_ms(self) -> int | None:
        """Return when the oldest message in flight was committed in the source, in ms since 1970; ``None`` without."""
        return next((item[3] for item in self._outstanding if not isinstance(item, int)), None)

    def drain(self, limit: int, stop: Stop, report: Callable[[], None]) -> None:
        """Wait until at most *limit* messages are in flight, and call *report* again and again meanwhile.

        Raises:
            StoppedError: asked to stop before that.
            kafka.errors.KafkaError: as :meth:`acknowledged`.
        """
        while True:
            report()
            self.acknowledged()
            self._metrics.publish_inflight_messages.set(self.inflight)
            if stop:
                raise StoppedError
            if self.inflight <= limit:
                return
            stop.wait(_TURN_SECONDS)

    def flush(self, seconds: float) -> None:
        """Wait until everything is acknowledged.

        Args:
            seconds: longest wait.

        Raises:
            kafka.errors.KafkaTimeoutError: Kafka needs longer.
        """
        self._producer.flush(timeout=seconds)

    def close(self) -> None:
        """Close the producer without sending what is still in flight."""
        self._give_up()
        with contextlib.suppress(KafkaError):  # nothing is lost: what is in flight has not been confirmed to the slot
            self._producer.close(timeout=_CLOSE_SECONDS)

    def _give_up(self, _error: object = None) -> None:
        # Not close(): this is called in the client's own thread, before the next message leaves.
        self._producer.give_up_unsent()
