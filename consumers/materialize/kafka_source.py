"""The one doorway to Kafka's messages: partitions read from given offsets, as they are in the state database."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.sasl.oauth import AbstractTokenProvider

from consumers.materialize.batch import Message
from ims.errors import ImsfeedError
from ims.runtime import kafka_internals
from ims.runtime.bearer_token import EndpointToken, FileToken
from ims.runtime.kafka_connection import KafkaUnreachableError, kafka_options, unreachable_error
from ims.runtime.settings import Settings

_FETCH_WAIT_MS: Final = 500
"""How long a broker holds an empty fetch. One byte ends it at once: it costs no change any time, and rest little."""
_BOOTSTRAP_MS: Final = 10_000
"""How long brokers are looked for in one piece; whoever asks to stop meanwhile waits as long."""

for provider in (FileToken, EndpointToken):
    AbstractTokenProvider.register(provider)

_METADATA_MS: Final = 5_000
"""Age at which the client asks for the topic's partitions and id again; by default it would be five minutes."""
_NO_ID: Final = UUID(int=0)
"""What a broker says of a topic that is not there."""

REMEDY: Final = "run `imsfeed setup state --reset-offsets`, start materialize again, then run `imsfeed resync all`"

CLOSE_MS: Final = 3_000
"""How long Kafka is waited for in the end; it answers nothing on a connection on which it lets a join wait."""
_RECONNECT_MS: Final = 1_000
"""Longest pause before the next try to connect; the client's own 30 s would add to every outage of Kafka."""


class OffsetLostError(ImsfeedError):
    """The stored offset says nothing about what Kafka has: messages are gone or the topic is another one."""


class KafkaSource:
    """A consumer of some partitions of the topic, each read from a given offset on.

    Raises:
        InvalidSettingsError: the settings of the connection do not go together.
        KafkaUnreachableError: no broker has let us in.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.kafka_topic
        try:
            self._consumer = connect(settings)
        except KafkaTimeoutError:
            raise unreachable_error(settings) from None

    def partitions(self) -> set[int]:
        """The topic's partitions; empty while it does not exist."""
        return set(self._consumer.partitions_for_topic(self._topic) or ())

    def topic_id(self) -> UUID | None:
        """Kafka's own id of the topic, another one once it was deleted and created anew.

        As of the last look at the topic, some seconds ago at most. ``None`` while there is no topic, and from brokers
        that give no ids (before Kafka 2.8).
        """
        self.partitions()  # asks anew: while none of them is assigned, the client forgets the topic with each refresh
        found = kafka_internals.topic_id(self._consumer, self._topic)
        return None if found == _NO_ID else found

    def first_offset(self, partition: int) -> int:
        """The oldest offset that Kafka still has."""
        return int(self._consumer.beginning_offsets([self._at(partition)])[self._at(partition)])

    def assign(self, offsets: dict[int, int]) -> None:
        """Read these partitions, each from its offset on, and no others.

        Raises:
            OffsetLostError: Kafka no longer has one of the offsets, or never had.
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
        """The next messages of each partition, waiting at most *seconds* for the first."""
        polled = self._consumer.poll(timeout_ms=int(seconds * 1000))
        return {
            at.partition: [Message(record.offset, record.key, record.value) for record in records]
            for at, records in polled.items()
        }

    def seek(self, partition: int, offset: int) -> None:
        """Read *partition* from *offset* on, whatever was polled before."""
        self._consumer.seek(self._at(partition), offset)

    def position(self, partition: int) -> int:
        """The offset of *partition* that is polled next."""
        return int(self._consumer.position(self._at(partition)))

    def lag(self, offsets: dict[int, int]) -> dict[int, int]:
        """Messages in each partition at and after its offset."""
        ends = self._ends(offsets)
        return {partition: max(0, ends[partition] - offset) for partition, offset in offsets.items()}

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close(timeout_ms=CLOSE_MS)

    def _ends(self, partitions: Iterable[int]) -> dict[int, int]:
        ends = self._consumer.end_offsets([self._at(partition) for partition in partitions])
        return {at.partition: int(end) for at, end in ends.items()}

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


def connect(settings: Settings, **group: Any) -> Any:  # noqa: ANN401 - kafka-python is untyped
    """Return a ``kafka.KafkaConsumer`` without partitions.

    Args:
        settings: where Kafka is.
        group: the client's options if it is to be a member of a consumer group.

    Raises:
        kafka.errors.KafkaTimeoutError: no broker has let us in.
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
    """Whether Kafka may answer differently later: any answer of its may be another one after it was mended."""
    return isinstance(error, KafkaError | KafkaUnreachableError)
