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


def so_now(*records: Record) -> dict[RecordKey, Record]:
    return {record.key: record for record in records}


def said(delta: Delta) -> list[tuple[RecStatus, RecordKey]]:
    return [(change.recstatus, change.record.key) for change in delta.changes]


def test_what_is_as_it_was_told_is_not_told_again() -> None:
    everything = (ANNA, B1, member(ANNA, B1))
    delta = between(published(*everything), so_now(*everything))
    assert not delta
    assert delta.changes == ()


def test_what_was_not_told_is_new() -> None:
    delta = between({}, so_now(ANNA))
    assert delta.changes == (Change(NEW, ANNA, fragment(ANNA), ANNA.key),)
    assert delta


def test_another_text_is_a_change() -> None:
    renamed = msgspec.structs.replace(ANNA, family_name="Li")
    assert between(published(ANNA), so_now(renamed)).changes == (Change(CHANGED, renamed, fragment(renamed), ANNA.key),)


def test_a_difference_that_is_not_written_is_no_change() -> None:
    assert not between(published(ANNA), so_now(msgspec.structs.replace(ANNA, given_name=" Anna\x00", email="")))


def test_what_is_no_more_is_gone_with_the_record_that_was_told() -> None:
    assert between(published(BO), {}).changes == (Change(GONE, BO, None, BO.key),)


def test_a_changed_role_is_the_old_one_gone_and_the_new_one_there() -> None:
    learns, teaches = member(ANNA, B1), member(ANNA, B1, RoleType.INSTRUCTOR)
    delta = between(published(learns), so_now(teaches))
    assert delta.changes == (
        Change(GONE, learns, None, learns.key),
        Change(NEW, teaches, fragment(teaches), learns.key),
    )
    assert delta.upserts == {teaches.key: fragment(teaches)}
    assert delta.removals == []


def test_nobody_loses_a_role_because_the_source_has_another_name() -> None:
    renamed = msgspec.structs.replace(member(ANNA, B1), source="flyvo@100000008")
    assert said(between(published(member(ANNA, B1)), so_now(renamed))) == [(CHANGED, renamed.key)]


def test_what_is_told_now_is_known_by_key() -> None:
    renamed = msgspec.structs.replace(B1, long="Norsk B1 kveld")
    delta = between(published(ANNA, B1, member(ANNA, B1)), so_now(BO, renamed, member(BO, B1)))
    assert delta.upserts == published(BO, renamed, member(BO, B1))
    assert sorted(delta.removals) == [ANNA.key, member(ANNA, B1).key]


def test_a_group_that_goes_takes_its_members_roles_one_by_one() -> None:
    delta = between(published(ANNA, BO, B1, member(ANNA, B1), member(BO, B1)), so_now(ANNA, BO))
    assert said(delta) == [(GONE, B1.key), (GONE, member(ANNA, B1).key), (GONE, member(BO, B1).key)]


def test_a_new_id_is_a_new_person_with_all_memberships_and_the_old_gone() -> None:
    identified = msgspec.structs.replace(ANNA, id="01810012345", login="anna.bo@fjord.no")
    delta = between(published(ANNA, B1, member(ANNA, B1)), so_now(identified, B1, member(identified, B1)))
    assert said(delta) == [
        (NEW, identified.key),
        (GONE, ANNA.key),
        (GONE, member(ANNA, B1).key),
        (NEW, member(identified, B1).key),
    ]


@pytest.mark.parametrize("login", ["anna@fjord.no", "Anna@Fjord.no"])
def test_the_account_that_a_new_id_has_adopted_is_not_deleted(login: str) -> None:
    identified = msgspec.structs.replace(ANNA, id="01810012345", login=login)
    new, gone = between(published(ANNA), so_now(identified)).changes
    assert new.record == identified
    assert gone == Change(GONE, msgspec.structs.replace(ANNA, login=None), None, ANNA.key)
    assert "userid" not in fragment(gone.record, GONE)


def test_the_account_of_a_person_who_has_taken_over_a_login_is_not_deleted() -> None:
    renamed = msgspec.structs.replace(BO, login=ANNA.login)
    changed, gone = between(published(ANNA, BO), so_now(renamed)).changes
    assert (changed.recstatus, changed.record) == (CHANGED, renamed)
    assert gone.record == msgspec.structs.replace(ANNA, login=None)


def test_the_account_of_a_person_who_is_gone_for_good_is_deleted_by_its_login() -> None:
    gone, *_ = between(published(ANNA), so_now(BO)).changes[1:]
    assert gone.record == ANNA


def test_two_persons_without_a_login_do_not_share_one() -> None:
    nameless = msgspec.structs.replace(ANNA, login=None)
    gone = between(published(ANNA), so_now(msgspec.structs.replace(nameless, id="1003"))).changes[1]
    assert gone.record == ANNA


def test_the_order_does_not_depend_on_that_of_the_arguments() -> None:
    before = (ANNA, B1, member(ANNA, B1), member(BO, B1))
    after = (BO, B2, msgspec.structs.replace(B1, short="B1x"), member(BO, B2))
    forwards = between(published(*before), so_now(*after))
    backwards = between(published(*reversed(before)), so_now(*reversed(after)))
    assert forwards == backwards


def test_persons_and_groups_come_new_changed_gone_and_in_a_group_leavers_before_joiners() -> None:
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
    assert said(between(published(*before), so_now(*after))) == [
        (NEW, ANNA.key),
        (CHANGED, BO.key),
        (GONE, cleo.key),
        (NEW, B1.key),
        (GONE, B2.key),
        (GONE, member(BO, B1).key),
        (NEW, member(ANNA, B1).key),
        (NEW, member(BO, B1).key),
        (GONE, member(cleo, B2).key),
        (NEW, member(ANNA, B2).key),
    ]


def test_a_delta_is_counted_by_kind_and_recstatus() -> None:
    delta = between(published(BO, member(BO, B1)), so_now(ANNA, B1, member(BO, B1, RoleType.INSTRUCTOR)))
    assert delta.counts() == Counts(KindCounts(new=1, gone=1), KindCounts(new=1), KindCounts(new=1, gone=1))


def test_a_published_text_that_cannot_be_read_is_an_error_and_not_silence() -> None:
    with pytest.raises(FeedError):
        between({ANNA.key: "<person/>"}, {})


def test_a_key_that_is_not_written_as_it_stands_can_still_be_removed() -> None:
    loose = msgspec.structs.replace(B1, id="group-8A ")
    assert between(published(loose), {}).removals == [loose.key]


def test_a_delta_file_holds_its_changes_in_order_and_is_valid() -> None:
    delta = between(
        published(BO, B2, member(BO, B2), member(BO, B1)), so_now(ANNA, B1, member(ANNA, B1), member(ANNA, B2))
    )
    xml = delta_document(PROPERTIES, delta)
    assert problems(xml) == []
    properties, *records = read(xml)
    assert properties == PROPERTIES
    changes = [(record.record.key, record.recstatus) for record in records if isinstance(record, ReadRecord)]
    assert changes == [(key, recstatus) for recstatus, key in said(delta)]


def test_a_delta_file_has_one_membership_for_each_group() -> None:
    delta = between(published(member(ANNA, B1), member(ANNA, B2)), so_now(member(BO, B1), member(BO, B2)))
    assert delta_document(PROPERTIES, delta).count(b"<membership>") == 2


def test_a_delta_file_names_its_groups_by_the_source_that_holds_now() -> None:
    renamed = msgspec.structs.replace(member(BO, B1), source="flyvo@100000008")
    xml = delta_document(PROPERTIES, between(published(member(ANNA, B1), member(BO, B1)), so_now(renamed)))
    assert b"  <membership>\n    <sourcedid>\n      <source>flyvo@100000008</source>\n      <id>group-7</id>" in xml


def test_the_bytes_of_a_leaver_are_these() -> None:
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
