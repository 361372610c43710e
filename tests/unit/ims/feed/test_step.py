"""One step of a feed: each problem is found, in the right file. Correct steps: test_verification_model."""

from typing import BinaryIO

import msgspec
import pytest

from ims.feed.delta import Delta, between, delta_document
from ims.feed.manifest import Totals, delta_path
from ims.feed.step import StepVerification, damage
from ims.feed.verification import verify_step
from ims.records.model import Record
from ims.records.vocabulary import RecStatus
from ims.xml.writer import Properties, fragment
from tests.support.memory.feed import (
    ANNA,
    ANNA_LEARNS,
    AT,
    B1,
    BO,
    BO_LEARNS,
    FIRST,
    SECOND,
    SOURCE,
    MemoryFeed,
    a_feed,
    delta_of,
    snapshot_of,
    state_of,
)


@pytest.fixture
def feed() -> MemoryFeed:
    return a_feed()


def test_a_correct_step_has_no_problems(feed: MemoryFeed) -> None:
    assert feed.verify_last_step() == StepVerification([], [], [], Totals(2, 1, 2))


def test_the_first_snapshot_has_no_earlier_one() -> None:
    feed = MemoryFeed()
    feed.published = {B1.key: fragment(B1)}
    feed.take_snapshot()
    feed.publish_delta(state_of(B1, ANNA))
    assert feed.verify_last_step() == StepVerification([], [], [], Totals(group=1))


@pytest.mark.parametrize(
    ("records", "problems"),
    [
        ((ANNA, B1, ANNA_LEARNS, BO), ["1 x a membership record that the earlier snapshot and deltas give is missing"]),
        (
            (B1, ANNA_LEARNS, BO, BO_LEARNS),
            [
                "1 x a person record that the earlier snapshot and deltas give is missing",
                "1 x a membership whose person is missing",
            ],
        ),
        (
            (ANNA, B1, ANNA_LEARNS, BO, BO_LEARNS, msgspec.structs.replace(BO, id="1003", login=None)),
            ["1 x a person record that the earlier snapshot and deltas do not give"],
        ),
        (
            (msgspec.structs.replace(ANNA, given_name="Anne"), B1, ANNA_LEARNS, BO, BO_LEARNS),
            ["1 x a person record differs from what the earlier snapshot and deltas give"],
        ),
    ],
)
def test_a_snapshot_that_differs_from_its_deltas_is_found(
    feed: MemoryFeed, records: tuple[Record, ...], problems: list[str]
) -> None:
    feed.replace_snapshot(1, snapshot_of({record.key: fragment(record) for record in records}))
    found = feed.verify_last_step()
    assert (found.damaged, found.problems) == ([], [f"{SECOND}: {problem}" for problem in problems])


@pytest.mark.parametrize("path", [FIRST, SECOND, "deltas/1.xml", "deltas/3.xml"])
def test_an_altered_file_is_reported_once(feed: MemoryFeed, path: str) -> None:
    before = feed.files[path]
    feed.files[path] = before.replace(b"2026", b"2027", 1)
    problem = f"{path}: its digest differs from the one in the record"
    assert feed.verify_last_step() == damage(problem)
    feed.files[path] = before + b"\n"
    size = len(before)
    assert feed.verify_last_step().damaged == [f"{path}: has {size + 1} bytes, not {size} as the record says"]
    del feed.files[path]
    assert feed.verify_last_step().damaged == [f"{path}: is missing, but listed in the record"]


def test_a_break_in_the_chain_is_found(feed: MemoryFeed) -> None:
    feed.entries[1] = msgspec.structs.replace(feed.entries[1], prev_sha256="0" * 64)
    assert feed.verify_last_step().damaged == ["deltas/2.xml: prev_sha256 is not the digest of the previous delta"]
    del feed.entries[1]
    assert feed.verify_last_step().damaged == [
        "the record: delta 3 follows delta 1: a gap or a wrong order",
        "deltas/2.xml: is needed after a kept snapshot, but is not in the record",
    ]
    del feed.entries[0]
    assert feed.verify_last_step().damaged == [
        "deltas/1.xml: is needed after a kept snapshot, but is not in the record"
    ]


@pytest.mark.parametrize(
    ("published", "problem"),
    [
        (between({}, state_of(ANNA, ANNA_LEARNS)), "1 x a new (1) person record that already existed"),
        (between({BO.key: fragment(BO)}, state_of(ANNA_LEARNS)), "1 x a removed (3) person record that did not exist"),
    ],
)
def test_a_recstatus_that_contradicts_the_state_is_found(feed: MemoryFeed, published: Delta, problem: str) -> None:
    xml = delta_document(Properties(SOURCE, "lms", "delta", AT), published)
    feed.replace_delta(1, xml)
    assert f"deltas/1.xml: {problem}" in feed.verify_last_step().differences


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ([(RecStatus.NEW, BO), (RecStatus.GONE, ANNA)], "person"),
        ([(RecStatus.NEW, BO_LEARNS), (RecStatus.GONE, ANNA_LEARNS)], "membership"),
        ([(RecStatus.NEW, msgspec.structs.replace(B1, id="g")), (RecStatus.GONE, B1)], "group"),
    ],
)
def test_a_removal_after_an_addition_is_found(changes: list[tuple[RecStatus, Record]], kind: str) -> None:
    feed = a_feed()
    feed.replace_delta(1, delta_of(changes))
    problem = f"deltas/1.xml: 1 x a removed (3) {kind} record after one that is added"
    assert problem in feed.verify_last_step().inconsistencies
    feed.replace_delta(1, delta_of(reversed(changes)))
    assert problem not in feed.verify_last_step().problems


def test_an_old_id_is_removed_after_the_record_that_names_it() -> None:
    feed = MemoryFeed("pifu")
    former = msgspec.structs.replace(ANNA, id="1001")
    feed.published = {former.key: fragment(former, dialect="pifu")}
    feed.take_snapshot()
    xml = feed.publish_delta(state_of(msgspec.structs.replace(ANNA, old_id="1001")))
    assert xml is not None
    assert xml.index(b'recstatus="1"') < xml.index(b'recstatus="3"')
    assert feed.verify().problems == []


def test_a_file_that_cannot_be_read_is_damage(feed: MemoryFeed) -> None:
    feed.replace_delta(1, b"<enterprise>")
    assert feed.verify_last_step().damaged == [f"{delta_path(1)}: line 1: not well-formed XML"]


def test_records_out_of_order_are_damage(feed: MemoryFeed) -> None:
    first, second = fragment(ANNA), fragment(BO)
    xml = feed.files[SECOND].decode().replace(first, "\0").replace(second, first).replace("\0", second)
    feed.replace_snapshot(1, xml.encode())
    assert feed.verify_last_step() == damage(f"{SECOND}: a person record is out of order")


def test_a_file_removed_during_verification_is_damage(feed: MemoryFeed) -> None:
    earlier, later = feed.snapshots
    opened: set[str] = set()

    def open_once(path: str) -> BinaryIO:
        if path in opened:
            raise FileNotFoundError(path)
        opened.add(path)
        return feed.open(path)

    found = verify_step(open_once, earlier, later, feed.entries, "the record")
    assert found.damaged == ["a file was removed during the verification"]


def test_a_problem_that_a_new_snapshot_repeats_is_an_inconsistency(feed: MemoryFeed) -> None:
    without_bo = (ANNA, B1, ANNA_LEARNS, BO_LEARNS)
    feed.replace_snapshot(0, snapshot_of({record.key: fragment(record) for record in without_bo}))
    found = feed.verify_step_to(0)
    assert (found.damaged, found.differences) == ([], [])
    assert found.inconsistencies == [f"{FIRST}: 1 x a membership whose person is missing"]


def test_a_login_of_two_persons_is_found() -> None:
    feed = MemoryFeed()
    feed.take_snapshot()
    feed.publish_delta(state_of(ANNA, BO, msgspec.structs.replace(BO, id="1003")))
    feed.take_snapshot()
    assert feed.verify_last_step().inconsistencies == [
        "snapshots/2026-08-18-1.xml: 1 x a login that another person has too"
    ]
