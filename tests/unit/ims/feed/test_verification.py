"""A whole feed that is correct, and files that a verification ignores; damage: test_verification_damage."""

import pytest

from ims.feed.manifest import MANIFEST
from ims.feed.verification import Verification, verify
from ims.records.vocabulary import RecStatus
from ims.xml.writer import fragment
from tests.support.memory.feed import ANNA, B1, BO, FIRST, SECOND, MemoryFeed, a_feed, delta_of, state_of


@pytest.fixture
def feed() -> MemoryFeed:
    return a_feed()


def test_a_correct_feed_has_no_problems(feed: MemoryFeed) -> None:
    assert feed.verify() == Verification(snapshots=2, deltas=3, records=3, problems=[])


def test_the_first_snapshot_alone_is_a_correct_feed() -> None:
    feed = MemoryFeed()
    feed.take_snapshot()
    assert feed.verify() == Verification(snapshots=1, deltas=0, records=0, problems=[])


def test_days_without_deltas_give_snapshots_with_the_same_number() -> None:
    feed = MemoryFeed()
    feed.published = {B1.key: fragment(B1)}
    feed.take_snapshot()
    feed.take_snapshot()
    feed.publish_delta(state_of(B1, ANNA))
    feed.take_snapshot()
    feed.take_snapshot()
    assert feed.verify() == Verification(snapshots=4, deltas=1, records=2, problems=[])


def test_an_expired_file_is_not_a_problem(feed: MemoryFeed) -> None:
    del feed.files[FIRST], feed.files["deltas/1.xml"], feed.files["deltas/2.xml"]
    feed.change_manifest(deltas=feed.entries[2:], oldest_delta_seq=3)
    assert feed.verify() == Verification(snapshots=1, deltas=1, records=3, problems=[])


def test_files_that_are_being_published_are_ignored(feed: MemoryFeed) -> None:
    feed.files |= {
        "snapshots/2026-08-19-3.xml": b"half",
        "snapshots/.2026-08-19-3.xml.tmp": b"half",
        "deltas/4.xml": b"half",
    }
    assert feed.verify().problems == []


def test_only_the_first_schema_problems_of_a_file_are_listed(feed: MemoryFeed) -> None:
    feed.files[FIRST] = feed.files[FIRST].replace(b"  <group>", fragment(BO).encode() * 9 + b"  <group>")
    feed.files[FIRST] = feed.files[FIRST].replace(b"<name>", b'<name id="1">')
    shown = ("<name>", "more schema problems")
    problems = [problem for problem in feed.verify().problems if any(text in problem for text in shown)]
    # Five schema problems, the count of the others, and the one at which the reader stops.
    assert problems[5] == f"{FIRST}: and 5 more schema problems"
    assert len(problems) == 7


def test_a_snapshot_removed_during_the_verification_is_ignored(feed: MemoryFeed) -> None:
    names = [*feed.names("snapshots"), "2026-08-17-1.xml"]
    assert verify(feed.open, lambda _: names) == Verification(snapshots=3, deltas=3, records=3, problems=[])


@pytest.mark.parametrize("path", [FIRST, "deltas/1.xml", "deltas/3.xml"])
def test_a_file_that_expires_before_its_step_is_ignored(feed: MemoryFeed, path: str) -> None:
    def expire(done: int, _of: int) -> None:
        if done == len(feed.entries) + 1:  # after each delta by itself, and the first snapshot
            del feed.files[path]

    assert verify(feed.open, feed.names, expire).problems == []


def test_progress_counts_every_file(feed: MemoryFeed) -> None:
    counted: list[tuple[int, int]] = []
    verify(feed.open, feed.names, lambda done, of: counted.append((done, of)))
    assert counted == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_deltas_before_an_unreadable_snapshot_are_applied_to_the_next(feed: MemoryFeed) -> None:
    feed.take_snapshot()
    feed.files[SECOND] = b"<enterprise>"
    assert feed.verify() == Verification(3, 3, 3, [f"{SECOND}: line 1: not well-formed XML"])
    feed.replace_delta(1, delta_of([(RecStatus.CHANGED, BO)]))
    feed.change_manifest(deltas=feed.entries)
    problems = feed.verify().problems
    assert problems.count("deltas/1.xml: 1 x a changed (2) person record that did not exist") == 1
    assert not any(problem.startswith(feed.snapshots[2].path) for problem in problems)


@pytest.mark.parametrize("missing", [True, False])
def test_deltas_before_an_unreadable_delta_are_verified(feed: MemoryFeed, missing: bool) -> None:
    feed.replace_delta(1, delta_of([(RecStatus.GONE, BO)]))
    if missing:
        del feed.files["deltas/2.xml"]
        why = f"is missing, but listed in {MANIFEST}"
    else:
        feed.replace_delta(2, b"<enterprise>")
        why = "line 1: not well-formed XML"
    assert [problem for problem in feed.verify().problems if "counts" not in problem] == [
        f"deltas/2.xml: {why}",
        "deltas/1.xml: 1 x a removed (3) person record that did not exist",
    ]
