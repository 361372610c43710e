"""A verification keeps the deltas of one step in memory, and never a snapshot."""

import tracemalloc
from pathlib import Path

import msgspec
import pytest

from consumers.feed.feed_directory import verify_folder
from ims.feed.verification import Verification
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record
from ims.records.vocabulary import InstitutionRole, RoleType
from ims.xml.writer import fragment
from tests.support.memory.feed import SOURCE, MemoryFeed, a_feed, state_of

PERSONS = 2_000
CHANGED = 30
LIMIT = 1_000_000
"""Bytes, about twice the present peak. One snapshot kept in memory takes about twice this limit."""


def a_person(number: int) -> PersonRecord:
    name = f"person{number}@fjord.example"
    return PersonRecord(SOURCE, f"{number:06d}", name, "Anna", f"Bø {number}", name, (InstitutionRole.STUDENT,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a feed: a large snapshot, a small delta, the next snapshot, and another delta."""
    groups = [
        GroupRecord(SOURCE, f"group-{number:03d}", "class", f"8A {number}", "Norsk", "Fjord", "", None, None)
        for number in range(PERSONS // 100)
    ]
    persons = [a_person(number) for number in range(PERSONS)]
    members = [
        MemberRecord(SOURCE, groups[number % len(groups)].id, person.id, RoleType.LEARNER)
        for number, person in enumerate(persons)
    ]
    records: list[Record] = [*persons, *groups, *members]
    feed = MemoryFeed()
    feed.published = {record.key: fragment(record) for record in records}
    feed.take_snapshot()
    current = state_of(*records)
    feed.publish_delta(
        current | state_of(*(msgspec.structs.replace(person, family_name="Li") for person in persons[:CHANGED]))
    )
    feed.take_snapshot()
    feed.publish_delta(current)
    for path, content in feed.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path


def test_memory_does_not_grow_with_the_snapshot(folder: Path) -> None:
    a_feed().verify()  # loads the schema, which stays
    tracemalloc.start()
    try:
        verification = verify_folder(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verification == Verification(2, 2, 2 * PERSONS + PERSONS // 100, [])
    assert min(path.stat().st_size for path in folder.glob("snapshots/*")) > LIMIT
    assert peak < LIMIT
