from datetime import UTC, datetime

import msgspec
import pytest

from ims.errors import FeedError
from ims.feed.delta import Change, Delta, between, delta_document
from ims.feed.manifest import Counts, KindCounts
from ims.records.model import GroupRecord, MemberRecord, PersonRecord, Record, RecordKey
from ims.records.vocabulary import InstitutionRole, RecStatus, RoleType
from ims.xml.reader import ReadRecord, read
from ims.xml.schema import problems
from ims.xml.writer import Properties, fragment

NEW, CHANGED, GONE = RecStatus
SOURCE = "imsfeed@100000008"
PROPERTIES = Properties(SOURCE, "lms", "delta", datetime(2026, 8, 17, 8, 0, 0, tzinfo=UTC))
STUDENT = (InstitutionRole.STUDENT,)
ANNA = PersonRecord(SOURCE, "1001", "anna@fjord.no", "Anna", "Bø", None, STUDENT)
BO = PersonRecord(SOURCE, "1002", "bo@fjord.no", "Bo", "Li", None, STUDENT)
B1 = GroupRecord(SOURCE, "group-7", "class", "B1", "Norsk B1", "Fjord", "Fjord læring", None, None)
B2 = GroupRecord(SOURCE, "group-8", "class", "B2", "Norsk B2", "Fjord", "Fjord læring", None, None)


def member(person: PersonRecord, group: GroupRecord, role: RoleType = RoleType.LEARNER) -> MemberRecord:
    return MemberRecord(SOURCE, group.id, person.id, role)


def published(*records: Record) -> dict[RecordKey, str]:
    return {record.key: fragment(record) for record in records}


def current(*records: Record) -> dict[RecordKey, Record]:
    return {record.key: record for record in records}


def statuses(delta: Delta) -> list[tuple[RecStatus, RecordKey]]:
    return [(change.recstatus, change.record.key) for change in delta.changes]


def test_an_unchanged_record_is_not_published_again() -> None:
    everything = (ANNA, B1, member(ANNA, B1))
    delta = between(published(*everything), current(*everything))
    assert not delta
    assert delta.changes == ()


def test_an_unpublished_record_is_new() -> None:
    delta = between({}, current(ANNA))
    assert delta.changes == (Change(NEW, ANNA, fragment(ANNA), ANNA.key),)
    assert delta


def test_a_record_with_another_text_is_changed() -> None:
    renamed = msgspec.structs.replace(ANNA, family_name="Li")
    assert between(published(ANNA), current(renamed)).changes == (
        Change(CHANGED, renamed, fragment(renamed), ANNA.key),
    )


def test_a_difference_that_is_not_written_makes_no_change() -> None:
    assert not between(published(ANNA), current(msgspec.structs.replace(ANNA, given_name=" Anna\x00", email="")))


def test_a_removed_record_is_written_as_it_was_published() -> None:
    assert between(published(BO), {}).changes == (Change(GONE, BO, None, BO.key),)


def test_a_changed_role_is_a_removed_and_a_new_one() -> None:
    learns, teaches = member(ANNA, B1), member(ANNA, B1, RoleType.INSTRUCTOR)
    delta = between(published(learns), current(teaches))
    assert delta.changes == (
        Change(GONE, learns, None, learns.key),
        Change(NEW, teaches, fragment(teaches), learns.key),
    )
    assert delta.upserts == {teaches.key: fragment(teaches)}
    assert delta.removals == []


def test_no_member_loses_a_role_when_the_source_is_renamed() -> None:
    renamed = msgspec.structs.replace(member(ANNA, B1), source="flyvo@100000008")
    assert statuses(between(published(member(ANNA, B1)), current(renamed))) == [(CHANGED, renamed.key)]


def test_upserts_and_removals_of_a_delta_are_by_key() -> None:
    renamed = msgspec.structs.replace(B1, long="Norsk B1 kveld")
    delta = between(published(ANNA, B1, member(ANNA, B1)), current(BO, renamed, member(BO, B1)))
    assert delta.upserts == published(BO, renamed, member(BO, B1))
    assert sorted(delta.removals) == [ANNA.key, member(ANNA, B1).key]


def test_a_removed_group_removes_its_memberships_one_by_one() -> None:
    delta = between(published(ANNA, BO, B1, member(ANNA, B1), member(BO, B1)), current(ANNA, BO))
    assert statuses(delta) == [(GONE, B1.key), (GONE, member(ANNA, B1).key), (GONE, member(BO, B1).key)]


def test_a_new_id_adds_a_person_and_removes_the_old_one() -> None:
    identified = msgspec.structs.replace(ANNA, id="01810012345", login="anna.bo@fjord.no")
    delta = between(published(ANNA, B1, member(ANNA, B1)), current(identified, B1, member(identified, B1)))
    assert statuses(delta) == [
        (GONE, ANNA.key),
        (NEW, identified.key),
        (GONE, member(ANNA, B1).key),
        (NEW, member(identified, B1).key),
    ]


@pytest.mark.parametrize("login", ["anna@fjord.no", "Anna@Fjord.no"])
def test_an_account_taken_over_by_a_new_id_is_not_deleted(login: str) -> None:
    identified = msgspec.structs.replace(ANNA, id="01810012345", login=login)
    gone, new = between(published(ANNA), current(identified)).changes
    assert new.record == identified
    assert gone == Change(GONE, msgspec.structs.replace(ANNA, login=None), None, ANNA.key)
    assert "userid" not in fragment(gone.record, GONE)


def test_an_account_whose_login_another_person_has_is_not_deleted() -> None:
    renamed = msgspec.structs.replace(BO, login=ANNA.login)
    gone, changed = between(published(ANNA, BO), current(renamed)).changes
    assert (changed.recstatus, changed.record) == (CHANGED, renamed)
    assert gone.record == msgspec.structs.replace(ANNA, login=None)


def test_the_account_of_a_leaver_is_deleted_by_login() -> None:
    gone, _ = between(published(ANNA), current(BO)).changes
    assert gone.record == ANNA


def test_persons_without_a_login_do_not_share_one() -> None:
    nameless = msgspec.structs.replace(ANNA, login=None)
    gone = between(published(ANNA), current(msgspec.structs.replace(nameless, id="1003"))).changes[0]
    assert gone.record == ANNA


def test_the_order_of_a_delta_is_independent_of_the_input_order() -> None:
    before = (ANNA, B1, member(ANNA, B1), member(BO, B1))
    after = (BO, B2, msgspec.structs.replace(B1, short="B1x"), member(BO, B2))
    forwards = between(published(*before), current(*after))
    backwards = between(published(*reversed(before)), current(*reversed(after)))
    assert forwards == backwards


def test_a_delta_is_ordered_by_recstatus_with_leavers_before_joiners() -> None:
    cleo = msgspec.structs.replace(ANNA, id="1000", login=None)
    before = (BO, cleo, B2, member(cleo, B2), member(BO, B1, RoleType.INSTRUCTOR))
    after = (
        ANNA,
        msgspec.structs.replace(BO, given_name="Bob"),
        B1,
        member(ANNA, B1),
        member(BO, B1),
        member(ANNA, B2),
    )
    assert statuses(between(published(*before), current(*after))) == [
        (GONE, cleo.key),
        (NEW, ANNA.key),
        (CHANGED, BO.key),
        (GONE, B2.key),
        (NEW, B1.key),
        (GONE, member(BO, B1).key),
        (NEW, member(ANNA, B1).key),
        (NEW, member(BO, B1).key),
        (GONE, member(cleo, B2).key),
        (NEW, member(ANNA, B2).key),
    ]


def test_a_delta_is_counted_by_kind_and_recstatus() -> None:
    delta = between(published(BO, member(BO, B1)), current(ANNA, B1, member(BO, B1, RoleType.INSTRUCTOR)))
    assert delta.counts() == Counts(KindCounts(new=1, gone=1), KindCounts(new=1), KindCounts(new=1, gone=1))


def test_a_published_text_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(FeedError):
        between({ANNA.key: "<person/>"}, {})


def test_a_key_with_trailing_space_can_be_removed() -> None:
    loose = msgspec.structs.replace(B1, id="group-8A ")
    assert between(published(loose), {}).removals == [loose.key]


def test_a_delta_file_holds_its_changes_in_order_and_is_valid() -> None:
    delta = between(
        published(BO, B2, member(BO, B2), member(BO, B1)), current(ANNA, B1, member(ANNA, B1), member(ANNA, B2))
    )
    xml = delta_document(PROPERTIES, delta)
    assert problems(xml) == []
    properties, *records = read(xml)
    assert properties == PROPERTIES
    changes = [(record.record.key, record.recstatus) for record in records if isinstance(record, ReadRecord)]
    assert changes == [(key, recstatus) for recstatus, key in statuses(delta)]


def test_a_delta_file_has_one_membership_for_each_group() -> None:
    delta = between(published(member(ANNA, B1), member(ANNA, B2)), current(member(BO, B1), member(BO, B2)))
    assert delta_document(PROPERTIES, delta).count(b"<membership>") == 2


def test_a_delta_file_names_its_groups_by_the_current_source() -> None:
    renamed = msgspec.structs.replace(member(BO, B1), source="flyvo@100000008")
    xml = delta_document(PROPERTIES, between(published(member(ANNA, B1), member(BO, B1)), current(renamed)))
    assert b"  <membership>\n    <sourcedid>\n      <source>flyvo@100000008</source>\n      <id>group-7</id>" in xml


def test_a_leaver_is_written_byte_for_byte_as_expected() -> None:
    xml = delta_document(PROPERTIES, between(published(ANNA, member(ANNA, B1)), {}))
    assert (
        xml.decode()
        == """\
<?xml version="1.0" encoding="UTF-8"?>
<enterprise>
  <properties lang="no">
    <datasource>imsfeed@100000008</datasource>
    <target>lms</target>
    <type>delta</type>
    <datetime>2026-08-17T08:00:00Z</datetime>
  </properties>
  <person recstatus="3">
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>1001</id>
    </sourcedid>
    <userid useridtype="username">anna@fjord.no</userid>
    <name>
      <fn>Anna Bø</fn>
      <n>
        <family>Bø</family>
        <given>Anna</given>
      </n>
    </name>
  </person>
  <membership>
    <sourcedid>
      <source>imsfeed@100000008</source>
      <id>group-7</id>
    </sourcedid>
    <member>
      <sourcedid>
        <source>imsfeed@100000008</source>
        <id>1001</id>
      </sourcedid>
      <idtype>1</idtype>
      <role roletype="01" recstatus="3">
        <status>0</status>
      </role>
    </member>
  </membership>
</enterprise>
"""
    )


def test_a_delta_without_changes_is_not_written() -> None:
    with pytest.raises(FeedError, match="without changes"):
        delta_document(PROPERTIES, Delta(()))
