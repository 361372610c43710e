"""Memberships whose person or group is missing are found with few ids in memory at a time."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from ims.feed.references import References
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import RoleType
from tests.support.memory.feed import ANNA, ANNA_LEARNS, B1, BO, BO_LEARNS, SOURCE, State, state_of
from tests.support.memory.verification import lacking

IDS = st.sampled_from("abcdef")
STATES = st.lists(
    st.one_of(
        st.builds(lambda id_: PersonRecord(SOURCE, id_, None, "", "", None, ()), IDS),
        st.builds(lambda id_: GroupRecord(SOURCE, id_, "", "", "", "", "", None, None), IDS),
        st.builds(lambda group, person: MemberRecord(SOURCE, group, person, RoleType.LEARNER), IDS, IDS),
    ),
    max_size=30,
).map(lambda records: state_of(*records))


def problems(state: State, limit: int) -> tuple[dict[str, int], int]:
    """Return the count of each problem, and how often the records were read again."""
    references, readings = References(limit), 0

    def read_again() -> list[tuple[RecordKey, Record]]:
        nonlocal readings
        readings += 1
        return sorted(state.items())

    deque(references.watch(sorted(state.items())), maxlen=0)
    return {what: count for what, count in references.problems(read_again).items() if count}, readings


@settings(deadline=None)
@given(state=STATES, limit=st.integers(1, 7))
def test_any_limit_finds_the_same_missing_references(state: State, limit: int) -> None:
    assert problems(state, limit)[0] == {what: count for what, count in lacking(state).items() if count}


def test_records_are_read_again_only_beyond_the_limit() -> None:
    state = state_of(ANNA, BO, B1, ANNA_LEARNS, BO_LEARNS)
    assert problems(state, 2) == ({}, 0)
    assert problems(state, 1) == ({}, 1)
