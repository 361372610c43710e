"""The deltas of a step applied to the records before them, and the contradictions that they may have."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims.feed.changes import Changes
from ims.records.model import Record
from ims.records.vocabulary import RecStatus, RoleType
from tests.support.memory.feed import ANNA, ANNA_LEARNS, B1, BO, BO_LEARNS, MemoryFeed, State, delta_of, state_of
from tests.support.memory.verification import apply

NEW, CHANGED, GONE = RecStatus
Asked = tuple[RecStatus, Record]

B2 = msgspec.structs.replace(B1, id="group-8", short="B2")
RECORDS: list[Record] = [ANNA, BO, B1, B2, ANNA_LEARNS, BO_LEARNS, msgspec.structs.replace(ANNA_LEARNS, group=B2.id)]
STATES = st.sets(st.sampled_from(RECORDS)).map(lambda records: state_of(*records))
DELTAS = st.lists(st.tuples(st.sampled_from(RecStatus), st.sampled_from(RECORDS)), min_size=1, max_size=6).map(
    lambda asked: sorted(asked, key=lambda change: change[1].key)
)


def applied(before: State, *deltas: list[Asked]) -> tuple[State, list[str]]:
    """Return the records after the deltas, and the problems that were found."""
    feed = MemoryFeed()
    feed.files = {str(number): delta_of(asked) for number, asked in enumerate(deltas, 1)}
    changes = Changes(feed.open, list(feed.files))
    after = list(changes.applied_to(sorted(before.items())))
    assert [key for key, _ in after] == sorted(key for key, _ in after)
    return dict(after), sorted(changes.contradictions() + changes.missing())


def test_new_and_changed_records_are_stored_and_removed_ones_deleted() -> None:
    renamed = msgspec.structs.replace(B1, short="B2")
    asked: list[Asked] = [(NEW, BO), (GONE, ANNA), (CHANGED, renamed), (GONE, ANNA_LEARNS)]
    assert applied(state_of(ANNA, B1, ANNA_LEARNS), asked) == (state_of(BO, renamed), [])


def test_a_changed_role_is_removed_and_added_in_one_delta() -> None:
    teaches = msgspec.structs.replace(ANNA_LEARNS, role=RoleType.INSTRUCTOR)
    after, problems = applied(state_of(ANNA, B1, ANNA_LEARNS), [(GONE, ANNA_LEARNS), (NEW, teaches)])
    assert (after[ANNA_LEARNS.key], problems) == (teaches, [])


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ([(NEW, ANNA)], "1 x a new (1) person record that already existed"),
        ([(CHANGED, BO)], "1 x a changed (2) person record that did not exist"),
        ([(GONE, BO)], "1 x a removed (3) person record that did not exist"),
        ([(NEW, ANNA_LEARNS), (NEW, ANNA_LEARNS)], "2 x a new (1) membership record that already existed"),
        ([(NEW, BO_LEARNS)], "1 x a membership whose person is missing"),
        ([(GONE, ANNA)], "1 x a membership whose person is missing"),
        ([(GONE, B1)], "1 x a membership whose group is missing"),
    ],
)
def test_a_contradiction_in_a_delta_is_found(asked: list[Asked], problem: str) -> None:
    assert applied(state_of(ANNA, B1, ANNA_LEARNS), asked)[1] == [f"1: {problem}"]


def test_a_delta_with_a_problem_is_still_applied() -> None:
    renamed = msgspec.structs.replace(ANNA, given_name="Ann")
    after, problems = applied(state_of(ANNA), [(NEW, renamed), (CHANGED, BO)])
    assert after == state_of(renamed, BO)
    assert len(problems) == 2


def test_a_problem_names_the_delta_that_causes_it() -> None:
    before = state_of(ANNA, B1, ANNA_LEARNS)
    assert applied(before, [(GONE, ANNA)], [(GONE, ANNA_LEARNS)], [(GONE, ANNA)])[1] == [
        "1: 1 x a membership whose person is missing",
        "3: 1 x a removed (3) person record that did not exist",
    ]


@settings(deadline=None)
@given(before=STATES, deltas=st.lists(DELTAS, max_size=4))
def test_deltas_merged_in_one_pass_give_the_sequential_result(before: State, deltas: list[list[Asked]]) -> None:
    state, problems = dict(before), []
    for number, asked in enumerate(deltas, 1):
        wrong = apply(state, delta_of(asked))
        problems += [f"{number}: {count} x {what}" for what, count in sorted(wrong.items()) if count]
    assert applied(before, *deltas) == (state, sorted(problems))
