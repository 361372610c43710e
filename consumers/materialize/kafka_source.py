"""The adapter that reads Kafka's messages, each partition from the offset that the state database stores."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.sasl.oauth import AbstractTokenProvider

from consumers.materialize.batch import Message
from ims.errors import OperatorNeededError
from ims.runtime import kafka_internals
from ims.runtime.bearer_token import EndpointToken, FileToken
from ims.runtime.kafka_connection import KafkaUnreachableError, kafka_options, unreachable_error
from ims.runtime.settings import Settings

_FETCH_WAIT_MS: Final = 500
"""How long a broker delays the answer to a fetch without messages.

A message is answered immediately, so this delays no change and keeps an idle topic cheap."""
_BOOTSTRAP_MS: Final = 10_000
"""How long one search for a broker may take; a stop of the process waits that long."""

for provider in (FileToken, EndpointToken):
    AbstractTokenProvider.register(provider)

_METADATA_MS: Final = 5_000
"""Age at which the client asks for the topic's partitions and id again; by default it would be five minutes."""
_NO_ID: Final = UUID(int=0)
"""The id that a broker returns for a topic that does not exist."""

REMEDY: Final = "run `imsfeed setup state --reset-offsets`, start materialize again, then run `imsfeed resync all`"

CLOSE_MS: Final = 3_000
"""How long to wait for Kafka's answer when closing; it never comes on a connection that still waits for a join."""
_RECONNECT_MS: Final = 1_000
"""Longest pause between attempts to connect; the client's default of 30 s would lengthen every outage of Kafka."""


class OffsetLostError(OperatorNeededError):
    """The stored offset does not match Kafka's messages: some were removed, or the topic is another one."""


class KafkaSource:
    """A consumer of some partitions of the topic, each read from a given offset.

    Raises:
        InvalidSettingsError: the settings of the connection contradict each other.
        KafkaUnreachableError: no broker accepts a connection.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.kafka_topic
        try:
            self._consumer = connect(settings)
        except KafkaTimeoutError:
            raise unreachable_error(settings) from None

    def partitions(self) -> set[int]:
        """Return the topic's partitions; none while it does not exist."""
        return set(self._consumer.partitions_for_topic(self._topic) or ())

    def topic_id(self) -> UUID | None:
        """Return Kafka's id of the topic; a topic that was deleted and created again has another id.

        The id comes from the client's metadata, which are a few seconds old at most. It is ``None`` while the topic
        does not exist, and from brokers that assign no ids (before Kafka 2.8).
        """
        self.partitions()  # asks again: without assigned partitions, each refresh makes the client forget the topic
        found = kafka_internals.topic_id(self._consumer, self._topic)
        return None if found == _NO_ID else found

    def first_offset(self, partition: int) -> int:
        """Return the oldest offset of *partition* that Kafka still has."""
        return int(self._consumer.beginning_offsets([self._at(partition)])[self._at(partition)])

    def assign(self, offsets: dict[int, int]) -> None:
        """Read these partitions, each from its offset, and no others.

        Raises:
            OffsetLostError: Kafka does not have one of the offsets.
        """
        self._consumer.assign([self._at(partition) for partition in offsets])
        ends = self._ends(offsets)
        starts = self._consumer.beginning_offsets([self._at(partition) for partition in offsets])
        for partition, offset in offsets.items():
            first, end = starts[self._at(partition)], ends[partition]
            if not first <= offset <= end:
                raise OffsetLostError(
                    f"{self._topic}[{partition}]: offset {offset} is outside {first}..{end}, what Kafka has: messages"
                    f" were removed before they were applied, or the topic is another one; {REMEDY}"
                )
            self._consumer.seek(self._at(partition), offset)

    def poll(self, seconds: float) -> dict[int, list[Message]]:
        """Return the next messages of each partition; wait at most *seconds* for the first."""
        polled = self._consumer.poll(timeout_ms=int(seconds * 1000))
        return {
            at.partition: [Message(record.offset, record.key, record.value) for record in records]
            for at, records in polled.items()
        }

    def seek(self, partition: int, offset: int) -> None:
        """Read *partition* from *offset*, regardless of what was polled before."""
        self._consumer.seek(self._at(partition), offset)

    def position(self, partition: int) -> int:
        """Return the offset of *partition* that is polled next."""
        return int(self._consumer.position(self._at(partition)))

    def lag(self, offsets: dict[int, int]) -> dict[int, int]:
        """Return the number of messages in each partition at and after its offset."""
        ends = self._ends(offsets)
        return {partition: max(0, ends[partition] - offset) for partition, offset in offsets.items()}

    def close(self) -> None:
        """Close the connections to Kafka."""
        self._consumer.close(timeout_ms=CLOSE_MS)

    def _ends(self, partitions: Iterable[int]) -> dict[int, int]:
        ends = self._consumer.end_offsets([self._at(partition) for partition in partitions])
        return {at.partition: int(end) for at, end in ends.items()}

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def connect(settings: Settings, **group: Any) -> Any:  # noqa: ANN401 - kafka-python is untyped
    """Return a ``kafka.KafkaConsumer`` without partitions.

    Args:
        settings: Kafka's address and security, and the batch size.
        group: further options of a client that joins a consumer group.

    Raises:
        kafka.errors.KafkaTimeoutError: no broker accepts a connection.
    """
    return KafkaConsumer(
        **kafka_options(settings),
        client_id="imsfeed-materialize",
        enable_auto_commit=False,
        auto_offset_reset="none",
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=_BOOTSTRAP_MS,
        max_poll_records=settings.batch_limit,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        metadata_max_age_ms=_METADATA_MS,
        reconnect_backoff_max_ms=_RECONNECT_MS,
        **group,
    )


def is_transient(error: BaseException) -> bool:
    """Return True if *error* comes from Kafka: any Kafka error may clear once the broker is fixed."""
    return isinstance(error, KafkaError | KafkaUnreachableError)
