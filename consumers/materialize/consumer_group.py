"""Membership of Kafka's consumer group, through which Kafka assigns each partition to one of several materializers.

Kafka only assigns partitions here. Another client (:mod:`consumers.materialize.kafka_source`) reads them, from the
offsets in the state database. After a pause or a lost connection two members may both believe that a partition is
theirs; :meth:`consumers.materialize.facts_store.FactsStore.apply` then lets only one of them apply messages.

The membership has its own client and thread because kafka-python's consumer returns no messages while it waits for the
other members in a rebalance, forgets a join that ends between two polls, and leaves the group if it is not polled often
enough. With a separate client, a rebalance interrupts only the partitions that move, however long a batch takes.
"""

import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import FencedInstanceIdError, InvalidSessionTimeoutError, KafkaError, KafkaTimeoutError
from kafka.structs import MemberState, OffsetAndMetadata, TopicPartition

from consumers.materialize.kafka_source import CLOSE_MS, connect
from ims.errors import InvalidSettingsError
from ims.runtime import kafka_internals
from ims.runtime.kafka_connection import unreachable_error
from ims.runtime.settings import Settings

_HEARTBEAT_MS: Final = 500
"""Longest time between two heartbeats; a member learns of a rebalance from the answer to a heartbeat."""
_REBALANCE_MS: Final = 60_000
"""How long a rebalance waits for a member that sends heartbeats but does not join, before it removes the member.

Revoked partitions may therefore remain in use for at most this time."""
_CHECK_SECONDS: Final = 0.2
"""Time between two checks of whether a heartbeat has reported a rebalance."""
_CHECKS_PER_POLL: Final = 5
"""Number of checks per poll outside a rebalance; such a poll raises the client's errors."""
_JOIN_MS: Final = 500
"""Length of a poll that joins the group; offsets to commit wait that long."""
_RELEASE_SECONDS: Final = 0.02
"""Time between two checks of whether revoked partitions are still in use."""


class ConsumerGroup:
    """A member of the group ``KAFKA_GROUP``, once it has joined.

    With ``KAFKA_INSTANCE`` it is a static member: closing it does not leave the group, and a process with the same
    instance gets its partitions again if it joins within ``KAFKA_SESSION_SECONDS``. Any other member leaves the group
    when it is closed.

    Raises:
        InvalidSettingsError: the settings of the connection contradict each other.
        KafkaUnreachableError: no broker accepts a connection.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._assignor = _AlternatingAssignor()
        self._assigned: frozenset[int] = frozenset()
        self._in_use: frozenset[int] = frozenset()
        self._offsets: Mapping[int, int] = {}
        self._error: BaseException | None = None
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer-group", daemon=True)
        session_ms = int(settings.kafka_session_seconds * 1000)
        try:
            self._consumer = connect(
                settings,
                group_id=settings.kafka_group,
                group_instance_id=settings.kafka_instance,
                session_timeout_ms=session_ms,
                heartbeat_interval_ms=min(_HEARTBEAT_MS, session_ms // 4),
                max_poll_interval_ms=_REBALANCE_MS,
                partition_assignment_strategy=(self._assignor,),
            )
        except KafkaTimeoutError:
            raise unreachable_error(settings) from None

    def join(self) -> None:
        """Begin to join the group unless that has been done; the topic must exist. Does not wait for partitions."""
        if self._thread.ident is None:
            topic = self._settings.kafka_topic
            self._consumer.subscribe([topic], listener=_Listener(self._on_assigned, self._on_revoked, self._on_lost))
            # Load the topic's partitions first: learning of them during the join would cause a second one.
            self._consumer.partitions_for_topic(topic)
            self._thread.start()

    def assigned(self) -> frozenset[int]:
        """Return the partitions that Kafka assigns to this process now.

        Raises:
            InvalidSettingsError: another process has the same ``KAFKA_INSTANCE``, or ``KAFKA_SESSION_SECONDS`` is
                outside the limits of the brokers.
            KafkaError: Kafka refuses this member for another reason.
        """
        if self._error is not None:
            raise self._error
        return self._assigned

    def wait(self, seconds: float) -> None:
        """Wait until the assigned partitions change, but at most *seconds*."""
        self._changed.wait(seconds)
        self._changed.clear()

    def set_in_use(self, partitions: Collection[int]) -> None:
        """Set which partitions are being applied; Kafka assigns none of them to another member until it is released."""
        self._in_use = frozenset(partitions)

    def commit_offsets(self, offsets: Mapping[int, int]) -> None:
        """Let the membership's thread commit these offsets to Kafka, where Kafka's tools show them; none is read back.

        Args:
            offsets: the next offset to apply, by partition.
        """
        self._offsets = dict(offsets)

    def close(self) -> None:
        """Leave the group unless this is a static member; no batch may be running."""
        self._in_use = frozenset()
        self._closing.set()
        if self._thread.ident is None:
            self._consumer.close(timeout_ms=CLOSE_MS)
        else:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._run_membership()
        except BaseException as error:  # noqa: BLE001 - assigned() raises it in the session's thread
            self._error = self._explained(error)
        finally:
            self._assigned = frozenset()
            self._changed.set()
            with suppress(KafkaError, OSError):  # without an answer, the group's session times out
                self._consumer.close(timeout_ms=CLOSE_MS)

    def _run_membership(self) -> None:
        checks = 0
        committed: Mapping[int, int] = {}
        while not self._closing.is_set():
            if self._consumer.group_metadata().state is MemberState.REBALANCING:
                # The last poll ended before the join did, and the next would not resume it: see request_rejoin().
                kafka_internals.request_rejoin(self._consumer)
            if kafka_internals.needs_to_join(self._consumer):
                self._consumer.poll(timeout_ms=_JOIN_MS)
                continue
            checks += 1
            if checks % _CHECKS_PER_POLL == 0:
                self._consumer.poll(timeout_ms=0)
            if self._offsets is not committed:
                committed = self._offsets
                self._commit(committed)
            self._closing.wait(_CHECK_SECONDS)

    def _commit(self, offsets: Mapping[int, int]) -> None:
        """Commit to Kafka without waiting for the answer."""
        if offsets:
            self._consumer.commit_async(
                {self._at(partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()},
                callback=_ignore,
            )

    def _explained(self, error: BaseException) -> BaseException:
        """Return *error*, or an error that names the setting to correct if one is the cause."""
        settings = self._settings
        if isinstance(error, FencedInstanceIdError):
            return InvalidSettingsError(
                f"another process is in the group {settings.kafka_group} as KAFKA_INSTANCE {settings.kafka_instance};"
                " give each its own"
            )
        if isinstance(error, InvalidSessionTimeoutError):
            return InvalidSettingsError(
                f"Kafka refuses KAFKA_SESSION_SECONDS {settings.kafka_session_seconds:g}; see the brokers'"
                " group.min.session.timeout.ms and group.max.session.timeout.ms"
            )
        return error

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._settings.kafka_topic, partition)

    def _on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Add newly assigned partitions, and keep this client from reading them: another client does."""
        for at in partitions:
            self._consumer.pause(at)
            self._consumer.seek(at, 0)  # any offset: without one, the client would fetch the committed offset
        self._assigned |= {at.partition for at in partitions}
        self._changed.set()

    def _remove(self, partitions: Collection[TopicPartition]) -> None:
        """Remove partitions from the assigned ones."""
        self._assigned -= {at.partition for at in partitions}
        self._changed.set()

    def _on_lost(self, partitions: Collection[TopicPartition]) -> None:
        """Remove partitions that Kafka has already revoked; other members may have them."""
        self._assignor.member_assignment = None  # otherwise the next join would claim these partitions again
        self._remove(partitions)

    async def _on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Remove partitions that Kafka revokes, wait until they are no longer in use, and commit their offsets."""
        self._remove(partitions)
        while self._in_use & {at.partition for at in partitions}:
            await kafka_internals.sleep(self._consumer, _RELEASE_SECONDS)
        offsets = self._offsets
        self._commit({at.partition: offsets[at.partition] for at in partitions if at.partition in offsets})


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is untyped
    """Callbacks for changes of the assignment; kafka-python calls them in the client's own thread.

    Args:
        on_assigned: called with newly assigned partitions.
        on_revoked: awaited with revoked partitions; Kafka assigns them to another member afterwards.
        on_lost: called with partitions that Kafka has already revoked.
    """

    def __init__(
        self,
        on_assigned: Callable[[Collection[TopicPartition]], None],
        on_revoked: Callable[[Collection[TopicPartition]], Awaitable[None]],
        on_lost: Callable[[Collection[TopicPartition]], None],
    ) -> None:
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_lost = on_lost

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._on_assigned(assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._on_revoked(revoked)

    async def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._on_lost(lost)


class _AlternatingAssignor(CooperativeStickyAssignor):  # type: ignore[misc]  # kafka-python is untyped
    """A cooperative sticky assignor that takes every other partition when a member has too many.

    Owners are often numbered from 1, so this spreads the few owners of a small installation over the members.
    """

    def metadata(self, topics: Collection[str]) -> Any:  # noqa: ANN401 - kafka-python is untyped
        """Return a member's subscription with its odd partitions last: the assignor takes partitions from the end."""
        subscription = super().metadata(topics)
        for owned in subscription.owned_partitions:
            owned.partitions = sorted(owned.partitions, key=lambda number: (number % 2, number))
        return subscription


def _ignore(*_: Any) -> None:  # noqa: ANN401 - kafka-python is untyped
    """Ignore the outcome of a commit: the next one replaces it."""
