"""Which partitions members have, whoever comes and goes, as far as it is ours to decide."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from kafka.errors import KafkaError
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kafka.structs import TopicPartition

from consumers.materialize import consumer_group
from consumers.materialize.consumer_group import ConsumerGroup, _ByTurns
from ims.runtime import kafka_internals
from ims.runtime.settings import Settings

TOPIC = "changes"
Held = dict[str, set[int]]


def rebalanced(held: Held, partitions: int) -> Held:
    """What members have after the group's leader has assigned twice: what moves is given up before it is given."""
    cluster = SimpleNamespace(topics=lambda: {TOPIC}, partitions_for_topic=lambda _topic: set(range(partitions)))
    for _ in range(2):
        members = [SimpleNamespace(member_id=name, metadata=said(numbers)) for name, numbers in held.items()]
        assignments = _ByTurns().assign(cluster, members)
        held = {name: {at.partition for at in assignments[name].partitions()} for name in held}
    return held


def said(partitions: set[int]) -> Any:
    """What a member with these partitions says of itself, as another one reads it."""
    assignor = _ByTurns()
    if partitions:
        assignor.on_assignment(ConsumerProtocolAssignment(1, [(TOPIC, sorted(partitions))], b""), None)
    return ConsumerProtocolSubscription.decode(assignor.metadata([TOPIC]).encode())


def test_the_first_owners_come_apart_when_a_second_member_comes() -> None:
    assert rebalanced({"a": set(range(8)), "b": set()}, 8) == {"a": {0, 2, 4, 6}, "b": {1, 3, 5, 7}}


def test_the_first_owners_come_apart_when_two_members_begin() -> None:
    held = rebalanced({"a": set(), "b": set()}, 8)
    assert {1 in numbers for numbers in held.values()} == {2 in numbers for numbers in held.values()} == {True, False}
    assert not any({1, 2} <= numbers for numbers in held.values())


def test_a_member_that_goes_moves_no_partition_of_those_that_stay() -> None:
    before = rebalanced({"a": {0, 2, 4, 6}, "b": {1, 3, 5, 7}, "c": set()}, 8)
    after = rebalanced({"a": before["a"], "b": before["b"]}, 8)
    assert before["a"] <= after["a"]
    assert before["b"] <= after["b"]
    assert sorted(after["a"] | after["b"]) == list(range(8))


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """The client, and what it is told of partitions."""
    consumer = Mock()
    monkeypatch.setattr(consumer_group, "connect", lambda _settings, **_options: consumer)
    return consumer


@pytest.fixture
def group(consumer: Mock) -> Any:
    del consumer  # it is the group's
    return ConsumerGroup(Settings.model_validate({"kafka_topic": TOPIC}))


def at(*partitions: int) -> set[TopicPartition]:
    return {TopicPartition(TOPIC, number) for number in partitions}


def test_a_member_claims_nothing_of_what_it_has_lost(group: Any) -> None:
    group._give(at(0, 1))
    group._assignor.on_assignment(ConsumerProtocolAssignment(1, [(TOPIC, [0, 1])], b""), None)
    assert group._assignor.metadata([TOPIC]).owned_partitions
    group._lose(at(0, 1))
    assert not group._assignor.metadata([TOPIC]).owned_partitions
    assert group.assigned() == frozenset()


def test_the_members_own_client_reads_no_partition(group: Any, consumer: Mock) -> None:
    group._give(at(1))
    consumer.pause.assert_called_once_with(*at(1))
    consumer.seek.assert_called_once_with(*at(1), 0)


def test_a_partition_is_handed_over_when_it_is_held_no_longer(
    group: Any, consumer: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[frozenset[int]] = []

    async def sleep(_consumer: Any, _seconds: float) -> None:
        waited.append(group.assigned())
        if len(waited) == 3:
            group.show({0: 7, 1: 8})
            group.hold({0})

    monkeypatch.setattr(kafka_internals, "sleep", sleep)
    group._give(at(0, 1))
    group.hold({0, 1})
    revoking = group._hand_over(at(1))
    with pytest.raises(StopIteration):
        revoking.send(None)
    assert waited == [frozenset({0})] * 3, "it counts as taken all the while"
    offsets = consumer.commit_async.call_args.args[0]
    assert {place.partition: offset.offset for place, offset in offsets.items()} == {1: 8}


def test_what_ends_the_membership_is_raised_to_the_session(group: Any, consumer: Mock) -> None:
    consumer.poll.side_effect = KafkaError("refused")
    group.join()
    group._thread.join(10)
    with pytest.raises(KafkaError, match="refused"):
        group.assigned()
    consumer.close.assert_called_once()


def test_what_a_member_has_is_understood_by_other_clients() -> None:
    read = said({0, 1, 2})
    assert [(owned.topic, sorted(owned.partitions)) for owned in read.owned_partitions] == [(TOPIC, [0, 1, 2])]
    assert TopicPartition(TOPIC, 2) in _ByTurns.parse_member_metadata(read).partitions
