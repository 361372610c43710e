"""A play finds what an importer would have wrong, where a feed is not made for it, and nothing where it is."""

from collections.abc import Collection

import msgspec
import pytest

from ims.errors import FeedError
from ims.importers.play import play
from ims.publication.decision import with_tombstones
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import InstitutionRole, RecStatus, RoleType
from ims.targets.importer_profiles import PROFILES, Importer
from ims.xml.writer import Properties, document_parts, fragment
from tests.support.memory.feed import AT, SOURCE, MemoryFeed, delta_of, state_of

ANNA = PersonRecord(SOURCE, "1", "anna@fjord.no", "Anna", "Bø", "anna@fjord.no", (InstitutionRole.STUDENT,))
BO = PersonRecord(SOURCE, "2", "bo@fjord.no", "Bo", "Li", None, (InstitutionRole.STUDENT,))
B1 = GroupRecord(SOURCE, "group-1", "class", "B1 (1)", "Norsk B1", "Fjord", "Fjord læring", None, None)
ANNA_LEARNS = MemberRecord(SOURCE, B1.id, ANNA.id, RoleType.LEARNER)
ANNA_TEACHES = MemberRecord(SOURCE, B1.id, ANNA.id, RoleType.INSTRUCTOR)
BO_LEARNS = MemberRecord(SOURCE, B1.id, BO.id, RoleType.LEARNER)
ALL = (ANNA, BO, B1, ANNA_LEARNS, BO_LEARNS)
EXPORT = "Eksport.xml"


def feed_of(*states: Collection[Record], made_for: Importer) -> MemoryFeed:
    """Return a feed with a snapshot of the first state, and a delta to each of the others."""
    first, *others = states
    feed = MemoryFeed(importer=made_for)
    feed.published = {record.key: fragment(record) for record in first}
    feed.take_snapshot()
    for state in others:
        feed.publish_delta(state_of(*state))
    assert feed.verify().problems == []
    return feed


def played(feed: MemoryFeed, importer: Importer = "moodle") -> list[str]:
    exports = [path for path in feed.files if path == EXPORT]
    return play(feed.open, feed.names("snapshots"), exports, PROFILES[importer])


def with_export(feed: MemoryFeed, *gone: Record, published: Collection[Record] | None = None) -> MemoryFeed:
    """Add a file at the fixed path in which these records are removed."""
    removed: dict[RecordKey, str] = {record.key: fragment(record, RecStatus.GONE) for record in gone}
    current = feed.published if published is None else {record.key: fragment(record) for record in published}
    rows = sorted(with_tombstones(current, removed).items())
    feed.files[EXPORT] = "".join(document_parts(Properties(SOURCE, "lms", "full", AT), SOURCE, rows)).encode()
    return feed


def changed(record: PersonRecord, **changes: object) -> PersonRecord:
    return msgspec.structs.replace(record, **changes)


NAMELESS = changed(BO, login=None)
WITHOUT_BO = (ANNA, B1, ANNA_LEARNS)
RETURNED = changed(BO, family_name="Lie", login="bo.lie@fjord.no")
HISTORIES: dict[str, tuple[tuple[Collection[Record], ...], list[str]]] = {
    "a login comes late": (
        ((*WITHOUT_BO, NAMELESS, BO_LEARNS), ALL),
        ["1 x a member is not enrolled", "1 x a person has no account"],
    ),
    "a person returns with another name": (
        (ALL, WITHOUT_BO, (*WITHOUT_BO, RETURNED, BO_LEARNS)),
        ["1 x a person has another login than in the feed", "1 x a person has another name than in the feed"],
    ),
    "a leaver's account is adopted": (
        (ALL, WITHOUT_BO, (*WITHOUT_BO, changed(BO, id="3", given_name="Bob"))),
        ["1 x a person has another name than in the feed"],
    ),
    "an address is removed": (
        (ALL, (changed(ANNA, email=None), *ALL[1:])),
        ["1 x a person has another e-mail address than in the feed"],
    ),
    "a group closes": ((ALL, (ANNA, BO)), ["1 x a course is hidden, and nothing shows it again"]),
    "a group closes and opens": (
        (ALL, (ANNA, BO), (ANNA, BO, msgspec.structs.replace(B1, long="Norsk B1 kveld"), ANNA_LEARNS)),
        ["1 x a course is hidden, and nothing shows it again", "1 x a group has another name than in the feed"],
    ),
}


@pytest.mark.parametrize("history", sorted(HISTORIES.keys() - {"a login comes late"}))
def test_a_feed_made_for_moodle_is_right_at_the_end(history: str) -> None:
    states, _ = HISTORIES[history]
    assert played(feed_of(*states, made_for="moodle")) == []


def test_a_person_who_comes_with_the_login_is_right_at_the_end() -> None:
    assert played(feed_of(WITHOUT_BO, ALL, made_for="moodle")) == []


@pytest.mark.parametrize("history", HISTORIES)
def test_a_feed_that_is_not_made_for_moodle_is_found(history: str) -> None:
    states, problems = HISTORIES[history]
    feed = feed_of(*states, made_for="none")
    assert played(feed) == [f"after the last delta: {problem}" for problem in problems]
    assert played(feed, "none") == []


B2 = msgspec.structs.replace(B1, id="group-2", short="B2 (2)")
ANNA_LEARNS_B2 = MemberRecord(SOURCE, B2.id, ANNA.id, RoleType.LEARNER)
IDENTIFIED = changed(ANNA, id="9")


@pytest.mark.parametrize(
    ("roles", "after"),
    [
        ((ANNA_LEARNS, ANNA_LEARNS_B2), (MemberRecord(SOURCE, B2.id, "9", RoleType.LEARNER),)),
        ((ANNA_TEACHES,), (MemberRecord(SOURCE, B1.id, "9", RoleType.LEARNER),)),
        ((ANNA_LEARNS,), ()),
    ],
    ids=["leaves a group", "has another role", "is in no group"],
)
def test_an_account_with_a_new_id_keeps_no_old_access(
    roles: tuple[MemberRecord, ...], after: tuple[MemberRecord, ...]
) -> None:
    feed = feed_of((ANNA, B1, B2, *roles), (IDENTIFIED, B1, B2, *after), made_for="moodle")
    assert [entry.counts.membership.new for entry in feed.entries] == [0, len(after)]
    assert played(feed) == []
    unprepared = feed_of((ANNA, B1, B2, *roles), (IDENTIFIED, B1, B2, *after), made_for="none")
    assert any("still enrolled" in problem or "another role" in problem for problem in played(unprepared))


def test_an_account_with_a_new_id_and_the_same_groups_is_one_delta() -> None:
    kept = MemberRecord(SOURCE, B1.id, "9", RoleType.LEARNER)
    feed = feed_of((ANNA, B1, ANNA_LEARNS), (IDENTIFIED, B1, kept), made_for="moodle")
    assert (len(feed.entries), played(feed)) == (1, [])


def test_a_markup_sign_in_a_login_is_found() -> None:
    feed = feed_of((changed(BO, login="r&d@fjord.no", email="r&d@fjord.no"),), made_for="moodle")
    assert played(feed) == [
        "after the last delta: 1 x a person has another e-mail address than in the feed",
        "after the last delta: 1 x a person has another login than in the feed",
    ]


def test_a_swap_of_logins_stops_the_import() -> None:
    swapped = (changed(ANNA, login=BO.login), changed(BO, login=ANNA.login), B1)
    feed = feed_of((*ALL[:3], ANNA_LEARNS, BO_LEARNS), swapped, made_for="moodle")
    found = played(feed)
    assert "after the last delta: 1 x deltas/1.xml: the import stops here, and the rest of the file is lost" in found
    assert "after the last delta: 2 x a person who has left is still enrolled" in found


@pytest.mark.parametrize(
    "group",
    [msgspec.structs.replace(B1, id="g" * 101), msgspec.structs.replace(B1, id="group-2")],
    ids=["an id that is too long", "a short name that another course has"],
)
def test_a_group_that_moodle_cannot_store_stops_the_import(group: GroupRecord) -> None:
    feed = feed_of((ANNA, B1), (ANNA, B1, group), made_for="moodle")
    assert any("the import stops here" in problem for problem in played(feed))


def test_a_role_added_to_the_old_one_is_found() -> None:
    feed = feed_of((ANNA, B1, ANNA_TEACHES), made_for="moodle")
    feed.publish_delta(state_of(ANNA, B1, ANNA_LEARNS))
    assert played(feed) == []
    feed.replace_delta(1, delta_of([(RecStatus.CHANGED, ANNA_LEARNS)]))
    assert played(feed) == ["after the last delta: 1 x a member keeps another role than in the feed"]


def test_a_file_without_the_old_role_is_found() -> None:
    feed = feed_of((ANNA, B1, ANNA_TEACHES), (ANNA, B1, ANNA_LEARNS), made_for="moodle")
    assert played(with_export(feed)) == [
        f"after a gap, with {EXPORT}: 1 x a member keeps another role than in the feed"
    ]
    assert played(with_export(feed, ANNA_TEACHES)) == []


def test_a_file_without_leavers_is_found() -> None:
    feed = feed_of(ALL, WITHOUT_BO, made_for="moodle")
    assert played(with_export(feed)) == [f"after a gap, with {EXPORT}: 1 x a person who has left is still enrolled"]
    assert played(with_export(feed, BO, BO_LEARNS)) == []


def test_a_file_with_a_closed_group_is_found() -> None:
    feed = feed_of((ANNA, BO, B1), (ANNA, BO), made_for="moodle")
    assert played(with_export(feed)) == []
    assert played(with_export(feed, B1)) == [
        f"after a gap, with {EXPORT}: 1 x a course is hidden, and nothing shows it again",
        f"with {EXPORT} alone: 1 x a group record with recstatus 3 makes a course",
    ]


@pytest.mark.parametrize("importer", [name for name, profile in PROFILES.items() if profile.reads == "full"])
def test_removed_records_in_a_full_file_are_found(importer: Importer) -> None:
    feed = feed_of(ALL, WITHOUT_BO, made_for="none")
    feed.take_snapshot()
    assert played(with_export(feed), importer) == []
    found = played(with_export(feed, BO, BO_LEARNS), importer)
    assert f"after {EXPORT}: 1 x a person who has left still has an account" in found


@pytest.mark.parametrize("importer", ["efeide", "vigobas"])
def test_a_person_in_no_group_is_found(importer: Importer) -> None:
    feed = feed_of((ANNA, BO, B1, ANNA_LEARNS), made_for="none")
    path = feed.snapshots[0].path
    assert played(feed, importer) == [f"after {path}: 1 x {path}: a person in no group is passed over"]
    assert played(feed, "itslearning") == []


def test_a_file_that_cannot_be_read_is_named() -> None:
    feed = feed_of(ALL, made_for="moodle")
    feed.files[EXPORT] = b"<enterprise>"
    with pytest.raises(FeedError, match="line 1: not well-formed"):
        played(feed)


def test_a_feed_without_snapshot_cannot_be_played() -> None:
    feed = feed_of(ALL, made_for="moodle")
    with pytest.raises(FeedError, match="no snapshot"):
        play(feed.open, [], (), PROFILES["moodle"])
