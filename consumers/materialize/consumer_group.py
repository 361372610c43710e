"""Membership of Kafka's consumer group, by which Kafka gives each partition to one of several materializers.

Only the sharing is Kafka's. A partition is read by another client (:mod:`consumers.materialize.kafka_source`) from the
offset in the state database, and two members that have it at the same time for a moment (one was paused, or Kafka lost
sight of it) are kept apart where messages are applied (:meth:`consumers.materialize.facts_store.FactsStore.apply`).

The membership has a client and a thread of its own because kafka-python's consumer gives no messages while it waits for
the other members in a rebalance, forgets a join that ends between two polls, and leaves the group when it is not polled
for too long. So a rebalance stops no partition but those that move, however long a batch takes to apply.
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
"""Most time between two heartbeats; a member hears at its next one that partitions are to be shared again."""
_SILENT_MS: Final = 60_000
"""How long a rebalance waits for a member that sends heartbeats and does not join, after which it is out of the group;
and so how long partitions that are to be handed over may be held."""
_LOOK_SECONDS: Final = 0.2
"""Time between two looks at what the heartbeats have heard."""
_LOOKS_PER_POLL: Final = 5
"""Even if they have heard nothing there is a poll now and then, which raises what has gone wrong."""
_JOIN_MS: Final = 500
"""Length of a poll in which the group is joined; what is to be shown to Kafka waits as long."""
_HELD_SECONDS: Final = 0.02
"""Time between two looks at whether partitions that Kafka takes are still held."""


class ConsumerGroup:
    """A member of the group ``KAFKA_GROUP``, once it has joined.

    With ``KAFKA_INSTANCE`` it is a static member: it remains one when it is closed, and has its partitions again if it
    is back before ``KAFKA_SESSION_SECONDS`` are over. Otherwise it leaves the group.

    Raises:
        InvalidSettingsError: the settings of the connection do not go together.
        KafkaUnreachableError: no broker has let us in.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._assignor = _ByTurns()
        self._assigned: frozenset[int] = frozenset()
        self._held: frozenset[int] = frozenset()
        self._shown: Mapping[int, int] = {}
        self._error: BaseException | None = None
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer-group", daemon=True)
        session_ms = int(settings.kafka_session_seconds * 1000)
        try:
            self._consumer = connect(
                settings,
                group_id=settings.kafka_group,
                group_instance_id=settings.kafka_instance,
                session_timeout_ms=session_ms,
                heartbeat_interval_ms=min(_HEARTBEAT_MS, session_ms // 4),
                max_poll_interval_ms=_SILENT_MS,
                partition_assignment_strategy=(self._assignor,),
            )
        except KafkaTimeoutError:
            raise unreachable_error(settings) from None

    def join(self) -> None:
        """Join the group, unless it has been joined; the topic must be there. Returns before anything is assigned."""
        if self._thread.ident is None:
            topic = self._settings.kafka_topic
            self._consumer.subscribe([topic], listener=_Listener(self._give, self._hand_over, self._lose))
            self._consumer.partitions_for_topic(topic)  # waits for them; without, we would join a second time
            self._thread.start()

    def assigned(self) -> frozenset[int]:
        """Return the partitions that are ours to apply now, as Kafka says.

        Raises:
            InvalidSettingsError: another process has our ``KAFKA_INSTANCE``, or ``KAFKA_SESSION_SECONDS`` is not what
                Kafka allows.
            KafkaError: Kafka refuses us in another way.
        """
        if self._error is not None:
            raise self._error
        return self._assigned

    def wait(self, seconds: float) -> None:
        """Wait until other partitions are ours, but at most so long."""
        self._changed.wait(seconds)
        self._changed.clear()

    def hold(self, partitions: Collection[int]) -> None:
        """Say which partitions are being applied; no other member gets one of them before it is held no longer."""
        self._held = frozenset(partitions)

    def show(self, offsets: Mapping[int, int]) -> None:
        """Let Kafka have the offsets up to which all is applied, for others to look at."""
        self._shown = dict(offsets)

    def close(self) -> None:
        """Leave the group, unless as a static member; nothing may be being applied."""
        self._held = frozenset()
        self._ended.set()
        if self._thread.ident is None:
            self._consumer.close(timeout_ms=CLOSE_MS)
        else:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._be_a_member()
        except BaseException as error:  # noqa: BLE001 - it ends the process's session, in another thread
            self._error = self._explained(error)
        finally:
            self._assigned = frozenset()
            self._changed.set()
            with suppress(KafkaError, OSError):  # if it is not heard, we are out of the group when the session is over
                self._consumer.close(timeout_ms=CLOSE_MS)

    def _be_a_member(self) -> None:
        looks = 0
        committed: Mapping[int, int] = {}
        while not self._ended.is_set():
            if self._consumer.group_metadata().state is MemberState.REBALANCING:
                # The last poll has ended before the join has: see there why it would not go on by itself.
                kafka_internals.request_rejoin(self._consumer)
            if kafka_internals.needs_to_join(self._consumer):
                self._consumer.poll(timeout_ms=_JOIN_MS)
                continue
            looks += 1
            if looks % _LOOKS_PER_POLL == 0:
                self._consumer.poll(timeout_ms=0)
            if self._shown is not committed:
                committed = self._shown
                self._commit(committed)
            self._ended.wait(_LOOK_SECONDS)

    def _commit(self, offsets: Mapping[int, int]) -> None:
        """Commit to Kafka without waiting for the answer."""
        if offsets:
            self._consumer.commit_async(
                {self._at(partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()},
                callback=_ignore,
            )

    def _explained(self, error: BaseException) -> BaseException:
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

    def _give(self, partitions: Collection[TopicPartition]) -> None:
        """Note that these are ours; another client reads them."""
        for at in partitions:
            self._consumer.pause(at)
            self._consumer.seek(at, 0)  # any offset: without one, it would look for the one that Kafka has been shown
        self._assigned |= {at.partition for at in partitions}
        self._changed.set()

    def _take(self, partitions: Collection[TopicPartition]) -> None:
        """Note that these are ours no longer."""
        self._assigned -= {at.partition for at in partitions}
        self._changed.set()

    def _lose(self, partitions: Collection[TopicPartition]) -> None:
        """Note that these were taken from us without our knowing; other members may have them already."""
        self._assignor.member_assignment = None  # or the group would be told when we join again that they are ours
        self._take(partitions)

    async def _hand_over(self, partitions: Collection[TopicPartition]) -> None:
        """Let the next member have these as soon as they are held no longer."""
        self._take(partitions)
        while self._held & {at.partition for at in partitions}:
            await kafka_internals.sleep(self._consumer, _HELD_SECONDS)
        shown = self._shown
        self._commit({at.partition: shown[at.partition] for at in partitions if at.partition in shown})


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is untyped
    """Hears in the client's own thread what Kafka gives and takes.

    Args:
        give: called with partitions that Kafka gives.
        hand_over: awaited with partitions that Kafka takes; the next member gets them afterwards.
        lose: called with partitions that Kafka has taken already.
    """

    def __init__(
        self,
        give: Callable[[Collection[TopicPartition]], None],
        hand_over: Callable[[Collection[TopicPartition]], Awaitable[None]],
        lose: Callable[[Collection[TopicPartition]], None],
    ) -> None:
        self._give = give
        self._hand_over = hand_over
        self._lose = lose

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._give(assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._hand_over(revoked)

    async def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._lose(lost)


class _ByTurns(CooperativeStickyAssignor):  # type: ignore[misc]  # kafka-python is untyped
    """Gives every other partition of a member away first, as far as any are given away.

    Owners are often numbered from 1 on, and so the few of a small installation come apart.
    """

    def metadata(self, topics: Collection[str]) -> Any:  # noqa: ANN401 - kafka-python is untyped
        """Return what a member says of itself when it joins; the assignor takes partitions from the end of its list."""
        subscription = super().metadata(topics)
        for owned in subscription.owned_partitions:
            owned.partitions = sorted(owned.partitions, key=lambda number: (number % 2, number))
        return subscription


def _ignore(*_: Any) -> None:  # noqa: ANN401 - kafka-python is untyped
    """A commit that failed is repeated by the next one."""
