"""A very large delta in parts: consecutive, complete, and with the same result."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ims.feed.delta import Delta, between, delta_document
from ims.feed.delta_files import split
from ims.feed.login_order import Handover
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RoleType
from ims.xml.writer import Properties, fragment
from tests.support.memory.verification import apply

SOURCE = "imsfeed@100000008"
PROPERTIES = Properties(SOURCE, "lms", "delta", datetime(2026, 10, 15, tzinfo=UTC))
State = dict[RecordKey, Record]


def a_person(number: int, id_: str | None = None) -> PersonRecord:
    return PersonRecord(
        SOURCE, id_ or f"p{number}", f"ada{number}@x.example", "Ada", "T", None, (InstitutionRole.STUDENT,)
    )


def a_group(number: int, name: str = "Norsk") -> GroupRecord:
    return GroupRecord(SOURCE, f"g{number}", "class", f"8A {number}", name, "Fjordvik", "Skolen", None, None)


@st.composite
def states(draw: st.DrawFn) -> tuple[State, dict[str, int]]:
    """Draw a roster of groups and persons 0 to 7, each under one of two ids, and the persons' numbers by id."""
    groups = [a_group(n, draw(st.sampled_from(["Norsk", "Matte"]))) for n in draw(st.sets(st.integers(0, 3)))]
    state: State = {group.key: group for group in groups}
    persons: dict[str, int] = {}
    for number in draw(st.sets(st.integers(0, 7))):
        person = a_person(number, draw(st.sampled_from([f"p{number}", f"q{number}"])))
        records: list[Record] = [person]
        for group in groups:
            role = draw(st.sampled_from([None, *RoleType]))
            if role is not None:
                records.append(MemberRecord(SOURCE, group.id, person.id, role))
        for record in records:
            state[record.key] = record
        persons[person.id] = number
    return state, persons


def delta_between(before: State, now: State) -> Delta:
    return between({key: fragment(record) for key, record in before.items()}, now)


def test_a_small_delta_is_one_part_and_an_empty_one_none() -> None:
    delta = delta_between({}, {a_group(1).key: a_group(1)})
    assert split(delta, {}, 1) == [delta]
    assert split(Delta(()), {}) == []


@settings(deadline=None)
@given(before=states(), now=states(), limit=st.integers(1, 12))
def test_the_parts_give_the_same_state_and_each_is_consistent(
    before: tuple[State, dict[str, int]], now: tuple[State, dict[str, int]], limit: int
) -> None:
    delta = delta_between(before[0], now[0])
    parts = split(delta, {**before[1], **now[1]}, limit)
    assert sorted(map(repr, (c for part in parts for c in part.changes))) == sorted(map(repr, delta.changes))
    state = dict(before[0])
    for part in parts:
        assert apply(state, delta_document(PROPERTIES, part)).total() == 0
    assert state == now[0]


@settings(deadline=None)
@given(before=states(), now=states(), limit=st.integers(1, 12))
def test_only_one_persons_part_may_exceed_the_limit(
    before: tuple[State, dict[str, int]], now: tuple[State, dict[str, int]], limit: int
) -> None:
    persons = {**before[1], **now[1]}
    published: list[int] = []
    for part in split(delta_between(before[0], now[0]), persons, limit):
        keys = [change.record.key for change in part.changes]
        about = {persons[key.member or key.id] for key in keys if key.kind is not RecordKind.GROUP}
        published += about
        assert len(part.changes) <= limit or (len(about) == 1 and not _groups(part))
    assert len(published) == len(set(published)), "a person's records are in two parts"


def _groups(part: Delta) -> int:
    return sum(change.record.key.kind is RecordKind.GROUP for change in part.changes)


def test_the_parts_keep_the_order_in_which_a_login_passes() -> None:
    giver, taker = a_person(1), msgspec.structs.replace(a_person(2, "b2"), login="ada1@x.example")
    before = {record.key: fragment(record) for record in (giver, a_person(2, "a2"))}
    delta = between(before, {taker.key: taker}, handovers=[Handover("ada1@x.example", giver.id, taker.id)])
    first, second = split(delta, {giver.id: 1, "a2": 2, "b2": 2}, 2)
    assert [change.key.id for change in (*first.changes, *second.changes)] == [giver.id, "a2", "b2"]
