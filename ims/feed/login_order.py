"""The order of a delta's persons where one gives a login up and another takes it.

An importer stops at a login that another account still has (Moodle), or gives that account to the person who takes it.
So the record that gives a login up comes before the one that takes it.
"""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import msgspec

from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind

T = TypeVar("T")


class Handover(msgspec.Struct, frozen=True):
    """A login that passes from one person to another in a delta.

    Attributes:
        giver: ``sourcedid/id`` under which the login is published.
        taker: ``sourcedid/id`` under which it is published next.
    """

    login: str
    giver: str
    taker: str


def in_order(changes: Sequence[T], handovers: Collection[Handover], key_of: Callable[[T], RecordKey]) -> list[T]:
    """Return the changes, each person who gives a login up before the one who takes it, and else as they are.

    Args:
        changes: in the order of the file: persons first. Several changes of one person stay in their order.
        handovers: without a cycle (:func:`ims.publication.handovers.staged`); what is in one stays as it is.

    >>> from ims.records.vocabulary import RecordKind
    >>> keys = [RecordKey(RecordKind.PERSON, id_) for id_ in "abc"]
    >>> [key.id for key in in_order(keys, [Handover("ada@x", "c", "a")], lambda key: key)]
    ['b', 'c', 'a']
    """
    if not handovers:
        return list(changes)
    persons = [change for change in changes if key_of(change).kind is RecordKind.PERSON]
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, change in enumerate(persons):
        places[key_of(change).id].append(number)
    edges = {pair for numbers in places.values() for pair in itertools.pairwise(numbers)}
    for one in handovers:
        edges.update(itertools.product(places.get(one.giver, ()), places.get(one.taker, ())))
    after: defaultdict[int, list[int]] = defaultdict(list)
    before = dict.fromkeys(range(len(persons)), 0)
    for giver, taker in edges:
        after[giver].append(taker)
        before[taker] += 1
    ready = [number for number, count in before.items() if count == 0]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        number = heapq.heappop(ready)
        order.append(number)
        for taker in after[number]:
            before[taker] -= 1
            if before[taker] == 0:
                heapq.heappush(ready, taker)
    order += [number for number, count in before.items() if count > 0]
    return [*(persons[number] for number in order), *changes[len(persons) :]]
