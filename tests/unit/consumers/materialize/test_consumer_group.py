"""The assignment of partitions to members as the assignor and the member's callbacks decide it."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from kafka.errors import KafkaError
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kafka.structs import TopicPartition

from consumers.materialize import consumer_group
from consumers.materialize.consumer_group import ConsumerGroup, _AlternatingAssignor
from ims.runtime import kafka_internals
from ims.runtime.settings import Settings

TOPIC = "changes"
Assignment = dict[str, set[int]]
"""Partitions by member."""


def rebalanced(assignment: Assignment, partitions: int) -> Assignment:
    """Return the assignment after two rounds: the first revokes the partitions that the second assigns elsewhere."""
    cluster = SimpleNamespace(topics=lambda: {TOPIC}, partitions_for_topic=lambda _topic: set(range(partitions)))
    for _ in range(2):
        members = [
            SimpleNamespace(member_id=name, metadata=subscription(numbers)) for name, numbers in assignment.items()
        ]
        assignments = _AlternatingAssignor().assign(cluster, members)
        assignment = {name: {at.partition for at in assignments[name].partitions()} for name in assignment}
    return assignment


def subscription(partitions: set[int]) -> Any:
    """Return the subscription of a member with these partitions, as the group's leader decodes it."""
    assignor = _AlternatingAssignor()
    if partitions:
        assignor.on_assignment(ConsumerProtocolAssignment(1, [(TOPIC, sorted(partitions))], b""), None)
    return ConsumerProtocolSubscription.decode(assignor.metadata([TOPIC]).encode())


def test_a_second_member_gets_every_other_partition() -> None:
    assert rebalanced({"a": set(range(8)), "b": set()}, 8) == {"a": {0, 2, 4, 6}, "b": {1, 3, 5, 7}}


def test_two_first_members_share_the_lowest_partitions() -> None:
    first, second = rebalanced({"a": set(), "b": set()}, 8).values()
    assert {1 in first, 1 in second} == {2 in first, 2 in second} == {True, False}
    assert not {1, 2} <= first
    assert not {1, 2} <= second


def test_a_leaving_member_moves_no_partition_of_the_remaining_ones() -> None:
    before = rebalanced({"a": {0, 2, 4, 6}, "b": {1, 3, 5, 7}, "c": set()}, 8)
    after = rebalanced({"a": before["a"], "b": before["b"]}, 8)
    assert before["a"] <= after["a"]
    assert before["b"] <= after["b"]
    assert sorted(after["a"] | after["b"]) == list(range(8))


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Return a client that records its calls."""
    consumer = Mock()
    monkeypatch.setattr(consumer_group, "connect", lambda _settings, **_options: consumer)
    return consumer


@pytest.fixture
def group(consumer: Mock) -> Any:
    del consumer  # the group connects with it
    return ConsumerGroup(Settings.model_validate({"kafka_topic": TOPIC}))


def at(*partitions: int) -> set[TopicPartition]:
    return {TopicPartition(TOPIC, number) for number in partitions}


def test_a_member_claims_nothing_of_what_it_has_lost(group: Any) -> None:
    group._on_assigned(at(0, 1))
    group._assignor.on_assignment(ConsumerProtocolAssignment(1, [(TOPIC, [0, 1])], b""), None)
    assert group._assignor.metadata([TOPIC]).owned_partitions
    group._on_lost(at(0, 1))
    assert not group._assignor.metadata([TOPIC]).owned_partitions
    assert group.assigned() == frozenset()


def test_the_client_of_the_membership_reads_no_partition(group: Any, consumer: Mock) -> None:
    group._on_assigned(at(1))
    consumer.pause.assert_called_once_with(*at(1))
    consumer.seek.assert_called_once_with(*at(1), 0)


def test_a_revoked_partition_is_handed_over_after_its_use(
    group: Any, consumer: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[frozenset[int]] = []

    async def sleep(_consumer: Any, _seconds: float) -> None:
        waited.append(group.assigned())
        if len(waited) == 3:
            group.commit_offsets({0: 7, 1: 8})
            group.set_in_use({0})

    monkeypatch.setattr(kafka_internals, "sleep", sleep)
    group._on_assigned(at(0, 1))
    group.set_in_use({0, 1})
    revoking = group._on_revoked(at(1))
    with pytest.raises(StopIteration):
        revoking.send(None)
    assert waited == [frozenset({0})] * 3, "the partition is no longer assigned while it is in use"
    offsets = consumer.commit_async.call_args.args[0]
    assert {place.partition: offset.offset for place, offset in offsets.items()} == {1: 8}


def test_an_error_of_the_membership_is_raised_to_the_session(group: Any, consumer: Mock) -> None:
    consumer.poll.side_effect = KafkaError("refused")
    group.join()
    group._thread.join(10)
    with pytest.raises(KafkaError, match="refused"):
        group.assigned()
    consumer.close.assert_called_once()


def test_other_assignors_can_read_the_owned_partitions() -> None:
    read = subscription({0, 1, 2})
    assert [(owned.topic, sorted(owned.partitions)) for owned in read.owned_partitions] == [(TOPIC, [0, 1, 2])]
    assert TopicPartition(TOPIC, 2) in _AlternatingAssignor.parse_member_metadata(read).partitions
