"""A delta for an importer that ignores a new record of what it knows, and cannot undo a group's removal."""

import msgspec

from ims.feed.delta import Delta, between, delta_document
from ims.feed.delta_files import split
from ims.feed.manifest import Counts, KindCounts
from ims.feed.step import StepVerification
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.targets.importer_profiles import PROFILES
from ims.xml.reader import ReadRecord, read
from ims.xml.schema import problems
from ims.xml.writer import Properties, fragment
from tests.support.memory.feed import ANNA, ANNA_LEARNS, AT, B1, BO, BO_LEARNS, SOURCE, MemoryFeed, state_of

MOODLE = PROFILES["moodle"]
NEW, CHANGED, GONE = RecStatus
PROPERTIES = Properties(SOURCE, "lms", "delta", AT)


def delta_between(before: tuple[Record, ...], after: tuple[Record, ...]) -> Delta:
    published = {record.key: fragment(record) for record in before}
    return between(published, state_of(*after), profile=MOODLE)


def xml_of(delta: Delta) -> str:
    xml = delta_document(PROPERTIES, delta, MOODLE)
    assert problems(xml) == []
    return xml.decode()


def statuses(delta: Delta) -> list[tuple[RecStatus, RecordKey]]:
    records = [one for one in read(xml_of(delta).encode()) if isinstance(one, ReadRecord)]
    return [(one.recstatus, one.record.key) for one in records if one.recstatus is not None]


def test_who_may_have_an_account_is_new_and_then_changed() -> None:
    delta = delta_between((), (ANNA, B1, ANNA_LEARNS))
    assert statuses(delta) == [
        (NEW, ANNA.key),
        (CHANGED, ANNA.key),
        (NEW, B1.key),
        (CHANGED, B1.key),
        (NEW, ANNA_LEARNS.key),
    ]
    assert delta.counts() == Counts(KindCounts(new=1, changed=1), KindCounts(new=1, changed=1), KindCounts(new=1))
    assert delta.upserts.keys() == {ANNA.key, B1.key, ANNA_LEARNS.key}


def test_any_other_importer_gets_a_new_person_once() -> None:
    for name, profile in PROFILES.items():
        delta = between({}, state_of(ANNA), profile=profile)
        assert [change.recstatus for change in delta.changes] == [NEW, CHANGED][: 1 + (name == "moodle")]


def test_a_removed_email_address_is_sent_empty() -> None:
    with_email = msgspec.structs.replace(ANNA, email="anna@fjord.no")
    assert "<email></email>" in xml_of(delta_between((with_email,), (ANNA,)))
    assert "<email>" not in xml_of(delta_between((ANNA,), ()))
    assert xml_of(delta_between((ANNA,), (with_email,))).count("<email>anna@fjord.no</email>") == 1


def test_a_returning_person_without_email_loses_the_old_one() -> None:
    new, changed = xml_of(delta_between((), (ANNA,))).split('<person recstatus="2">')
    assert ("<email>" in new, "<email></email>" in changed) == (False, True)


def test_an_importer_that_needs_no_empty_address_gets_none() -> None:
    with_email = msgspec.structs.replace(ANNA, email="anna@fjord.no")
    delta = between({ANNA.key: fragment(with_email)}, state_of(ANNA))
    assert b"<email>" not in delta_document(PROPERTIES, delta)


def test_a_closed_group_is_emptied_and_not_removed() -> None:
    delta = delta_between((ANNA, B1, ANNA_LEARNS), (ANNA,))
    assert statuses(delta) == [(GONE, ANNA_LEARNS.key)]
    assert delta.closed_groups == (B1.id,)
    assert sorted(delta.removals) == [B1.key, ANNA_LEARNS.key]


def test_an_empty_group_closes_in_a_delta_without_records() -> None:
    delta = delta_between((ANNA, B1), (ANNA,))
    assert delta
    assert (statuses(delta), delta.closed_groups) == ([], (B1.id,))


def test_a_large_delta_closes_groups_in_its_last_part() -> None:
    delta = delta_between((ANNA, BO, B1, ANNA_LEARNS, BO_LEARNS), (ANNA, BO))
    assert [part.closed_groups for part in split(delta, {}, limit=1)] == [(), (B1.id,)]


def test_a_feed_whose_groups_close_and_open_again_is_correct() -> None:
    feed = MemoryFeed(importer="moodle")
    feed.published = {record.key: fragment(record) for record in (ANNA, B1, ANNA_LEARNS)}
    feed.take_snapshot()
    feed.publish_delta(state_of(ANNA))
    feed.take_snapshot()
    assert feed.verify_last_step().problems == []
    feed.publish_delta(state_of(ANNA, B1))
    feed.publish_delta(state_of(ANNA))
    feed.publish_delta(state_of(ANNA, B1, ANNA_LEARNS))
    feed.take_snapshot()
    feed.publish_delta(state_of())
    assert feed.verify().problems == []
    assert feed.verify_last_step() == StepVerification([], [], [], feed.snapshots[-1].counts)


def test_a_group_that_leaves_the_feed_unsaid_is_found() -> None:
    feed = MemoryFeed(importer="moodle")
    feed.published = {record.key: fragment(record) for record in (ANNA, B1, ANNA_LEARNS)}
    feed.take_snapshot()
    feed.publish_delta(state_of(ANNA))
    feed.entries[-1] = msgspec.structs.replace(feed.entries[-1], closed_groups=())
    feed.take_snapshot()
    (problem,) = feed.verify_last_step().problems
    assert problem.endswith("1 x a group record that the earlier snapshot and deltas give is missing")


def test_a_closed_group_with_members_left_is_found() -> None:
    feed = MemoryFeed()
    feed.published = {record.key: fragment(record) for record in (ANNA, BO, B1, ANNA_LEARNS)}
    feed.take_snapshot()
    feed.publish_delta(state_of(ANNA, B1, ANNA_LEARNS))
    feed.entries[-1] = msgspec.structs.replace(feed.entries[-1], closed_groups=(B1.id,))
    feed.change_manifest(deltas=feed.entries)
    assert any("a membership whose group is missing" in problem for problem in feed.verify().problems)


def test_the_manifest_names_closed_groups_and_only_them() -> None:
    feed = MemoryFeed(importer="moodle")
    feed.published = {record.key: fragment(record) for record in (ANNA, B1, ANNA_LEARNS)}
    feed.take_snapshot()
    feed.publish_delta(state_of(ANNA, B1))
    assert b"closed_groups" not in msgspec.json.encode(feed.entries)
    feed.publish_delta(state_of(ANNA))
    assert b'"closed_groups":["group-7"]' in msgspec.json.encode(feed.entries)
    assert RecordKey(RecordKind.GROUP, B1.id) not in feed.published
