"""The log of a feed is judged: what each rule is there for is found."""

import pytest

from ims.records.model import MemberRecord, PersonRecord, Record
from ims.records.vocabulary import InstitutionRole, RecStatus, RoleType
from ims.xml.reader import ReadRecord
from tests.chaos.checkers.feed_log import Delta, _wrong_entries, version_of

NEW, CHANGED, GONE = RecStatus.NEW, RecStatus.CHANGED, RecStatus.GONE


def a_person_named(number: int) -> PersonRecord:
    return PersonRecord("s", "7", None, "Ada", f"Testesen {number}", None, (InstitutionRole.STUDENT,))


A_MEMBER = MemberRecord("s", "group-1", "7", RoleType.LEARNER)
A_MEMBER_OF_A_SCHOOL = MemberRecord("s", "school-NO1", "7", RoleType.LEARNER)


def wrong(*entries: tuple[RecStatus, Record], first: tuple[Record, ...] = ()) -> list[str]:
    """Return what is wrong with a log of one entry in each delta."""
    deltas: list[Delta] = [[ReadRecord(record, recstatus)] for recstatus, record in entries]
    return _wrong_entries({record.key: record for record in first}, deltas)


def test_a_log_with_every_change_once_and_in_order_is_right() -> None:
    person, renamed = a_person_named(1), a_person_named(2)
    assert wrong((NEW, person), (NEW, A_MEMBER), (CHANGED, renamed), (GONE, A_MEMBER), (GONE, renamed)) == []


def test_a_membership_in_a_school_may_come_back() -> None:
    assert wrong((NEW, A_MEMBER_OF_A_SCHOOL), (GONE, A_MEMBER_OF_A_SCHOOL), (NEW, A_MEMBER_OF_A_SCHOOL)) == []


@pytest.mark.parametrize("first", [(), (A_MEMBER,)], ids=["in a delta", "in the first snapshot"])
def test_a_member_who_is_new_twice_is_found(first: tuple[Record, ...]) -> None:
    came = () if first else ((NEW, A_MEMBER),)
    found = wrong(*came, (GONE, A_MEMBER), (NEW, A_MEMBER), first=first)
    assert found == ["2 entries say that a member is new in group-1"]


def test_a_name_that_goes_back_is_found() -> None:
    assert wrong((NEW, a_person_named(2)), (CHANGED, a_person_named(1))) == ["delta 2: a name goes back from 2 to 1"]


def test_a_change_without_a_difference_is_found() -> None:
    found = wrong((CHANGED, a_person_named(1)), first=(a_person_named(1),))
    assert found == ["delta 1: a person is changed and stays the same"]


def test_two_entries_for_one_record_are_found() -> None:
    delta = [ReadRecord(A_MEMBER, NEW), ReadRecord(A_MEMBER, GONE)]
    assert _wrong_entries({}, [delta]) == ["delta 1: two entries for one membership"]


def test_the_version_is_the_number_in_the_name() -> None:
    assert [version_of(a_person_named(17)), version_of(A_MEMBER), version_of(None)] == [17, 0, 0]
