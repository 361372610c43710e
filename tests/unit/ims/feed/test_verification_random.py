"""Random feeds with random damage, verified whole, step by step, and by an oracle that keeps all records in memory."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ims.feed.manifest import MANIFEST
from ims.feed.step import check_step
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record
from ims.records.vocabulary import InstitutionRole, RecordKind, RecStatus, RoleType
from ims.xml.writer import Properties, document_parts, fragment
from tests.support.memory.feed import ANNA, AT, SOURCE, MemoryFeed, State, a_feed, delta_of, state_of
from tests.support.memory.verification import lacking, problems_of, records_or_none

IDS = st.sampled_from("1234")
PERSONS = st.builds(
    lambda id_, name: PersonRecord(SOURCE, id_, None, name, "Li", None, (InstitutionRole.STUDENT,)),
    IDS,
    st.sampled_from(["Anna", "Bo"]),
)
GROUPS = st.builds(
    lambda id_, name: GroupRecord(SOURCE, id_, "class", name, name, "Fjord", "", None, None),
    IDS,
    st.sampled_from(["Norsk", "Matte"]),
)
MEMBERS = st.builds(MemberRecord, st.just(SOURCE), IDS, IDS, st.sampled_from(RoleType))
RECORDS = st.lists(st.one_of(PERSONS, GROUPS, MEMBERS), max_size=20)
CHANGES = st.lists(st.tuples(st.sampled_from(RecStatus), st.one_of(PERSONS, GROUPS, MEMBERS)), min_size=1, max_size=6)
"""The changes of a damaged delta."""


def complete(records: list[Record]) -> State:
    """Return the records by key, without memberships whose person or group is missing."""
    state = state_of(*records)
    return {
        key: record
        for key, record in state.items()
        if key.kind is not RecordKind.MEMBERSHIP or not lacking({**state, key: record}, {key}).total()
    }


@st.composite
def feeds(draw: st.DrawFn) -> MemoryFeed:
    """Draw a correct feed of up to four snapshots, with deltas between them and after the last."""
    feed = MemoryFeed()
    for deltas in draw(st.lists(st.integers(0, 3), min_size=1, max_size=4)):
        feed.take_snapshot()
        for _ in range(deltas):
            feed.publish_delta(complete(draw(RECORDS)))
    return feed


def damage(data: st.DataObject, feed: MemoryFeed) -> None:
    """Replace a delta or a snapshot by another one, and make the lists agree with it."""
    draw = data.draw
    if feed.seq and draw(st.booleans()):
        asked = sorted(draw(CHANGES), key=lambda change: change[1].key)
        feed.replace_delta(draw(st.integers(1, feed.seq)), delta_of(asked))
        return
    number = draw(st.integers(0, len(feed.snapshots) - 1))
    records = [record for record, _ in records_or_none(feed.files[feed.snapshots[number].path]) or ()]
    kept = [record for record in records if not draw(st.booleans())]
    rows = sorted((record.key, fragment(record)) for record in kept + draw(RECORDS))
    xml = "".join(document_parts(Properties(SOURCE, "lms", "full", AT), SOURCE, rows)).encode()
    feed.replace_snapshot(number, xml)


def steps_of(feed: MemoryFeed) -> list[str]:
    """Return the problems of a feed's steps, each verified alone."""
    found = [feed.verify_step_to(number) for number in range(len(feed.snapshots))]
    last = feed.snapshots[-1]
    unfinished = [entry.path for entry in feed.entries[last.seq :]]
    found.append(check_step(feed.open, last.path, unfinished, None))
    return [problem for step in found for problem in step.problems]


@settings(max_examples=200, deadline=None)
@given(feeds())
def test_a_random_feed_is_correct(feed: MemoryFeed) -> None:
    verification = feed.verify()
    assert (verification.problems, steps_of(feed)) == ([], [])
    assert verification[:3] == (len(feed.snapshots), len(feed.entries), len(feed.published))


@settings(max_examples=200, deadline=None)
@given(feed=feeds(), data=st.data())
def test_whole_and_stepwise_verification_find_the_same_problems(feed: MemoryFeed, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        damage(data, feed)
    # Only the manifest has counts; those of a replaced file no longer agree with it.
    whole = [problem for problem in feed.verify().problems if "counts" not in problem]
    assert sorted(whole) == sorted(steps_of(feed))
    # The order within a delta does not change what it leads to.
    assert sorted(problem for problem in whole if "after one that is added" not in problem) == sorted(problems_of(feed))


@st.composite
def damaged_bytes(draw: st.DrawFn, before: bytes) -> bytes:
    """Draw the bytes with one byte changed, lost or inserted."""
    at, byte = draw(st.integers(0, len(before) - 1)), draw(st.binary(max_size=1))
    after = before[:at] + byte + before[at + draw(st.integers(0, 1)) :]
    assume(after != before)
    return after


def three_snapshots() -> MemoryFeed:
    feed = a_feed()
    feed.take_snapshot()
    feed.publish_delta(state_of(ANNA))
    return feed


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_byte_is_found(data: st.DataObject) -> None:
    feed = three_snapshots()
    path = data.draw(st.sampled_from([path for path in feed.files if path != MANIFEST]))
    before = feed.files[path]
    feed.files[path] = data.draw(damaged_bytes(before))
    if path == feed.snapshots[1].path:
        # The feed has no digest of this snapshot: it is neither the newest nor the first of the epoch.
        assume(records_or_none(feed.files[path]) != records_or_none(before))
    problems = feed.verify().problems
    assert problems
    assert ANNA.id not in str(problems)
