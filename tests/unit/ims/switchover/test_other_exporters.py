"""Existing files in the shapes of other exporters: their words for userids, roles and status, and several sources."""

import pytest

from ims.switchover.comparison import DifferenceType
from ims.switchover.settings_search import candidates
from tests.support.builders import a_birth_number, a_group, a_person, a_target, an_enrolment, facts_of
from tests.support.old_files import (
    FACTS,
    GROUP,
    LOGIN,
    MEMBER,
    NUMBER,
    PERSON,
    SOURCE,
    compared,
    old_file,
    old_group,
    old_member,
    old_person,
)
from tests.unit.ims.switchover.test_settings_search import steps


def person_with(*userids: tuple[str, str]) -> str:
    written = "".join(f'<userid useridtype="{type_}">{value}</userid>' for type_, value in userids)
    return old_person(NUMBER).replace("<name>", f"{written}<name>")


def logins_changed(person: str) -> int:
    found = compared(old_file(person, GROUP, MEMBER), FACTS)
    return sum(difference.what is DifferenceType.LOGIN for difference in found.differences)


@pytest.mark.parametrize("type_", ["Logon ID", "username", "FeideID", "WebCT ID", "microsoftUPN", "brukernavn", ""])
def test_the_first_userid_is_the_login_whatever_its_type(type_: str) -> None:
    assert logins_changed(person_with((type_, LOGIN), ("SCTID", "1001"))) == 0


@pytest.mark.parametrize("type_", ["personNIN", "personnin ", "SCTID", "studentID", "workforceID", "sisID", "Email ID"])
def test_a_userid_that_is_another_id_is_no_login(type_: str) -> None:
    assert logins_changed(person_with((type_, "1001"), ("Logon ID", LOGIN))) == 0
    assert logins_changed(person_with((type_, "1001"))) == 1


@pytest.mark.parametrize("type_", ["Logon ID", "personNIN"])
def test_no_advice_leaves_a_person_without_login(type_: str) -> None:
    file = old_file(person_with((type_, "another@fjordvik.example")), GROUP, MEMBER)
    assert [step for step in steps(file, FACTS, a_target()) if step.key == "login"] == []


def test_logins_by_email_are_no_advice_where_there_are_none() -> None:
    facts = facts_of(
        *(a_person(n, email=None if n < 3 else f"p{n}@example.org") for n in range(1, 7)),
        a_group(7),
        *(an_enrolment(n, person=n, group=7) for n in range(1, 7)),
    )
    numbers = {n: a_birth_number(n) for n in range(1, 7)}
    persons = [old_person(numbers[n], "old@a.example" if n < 3 else f"p{n}@example.org") for n in range(1, 7)]
    file = old_file(*persons, GROUP, *(old_member("group-7", numbers[n]) for n in range(1, 7)))
    assert [step.key for step in steps(file, facts, a_target())] == []


def test_a_file_without_any_userid_may_lead_to_no_logins() -> None:
    file = old_file(old_person(NUMBER), GROUP, MEMBER)
    assert [(step.key, step.value) for step in steps(file, FACTS, a_target())] == [("login", "none")]


@pytest.mark.parametrize(
    "role",
    [
        *("01", "1", " 1 ", "001", "Learner", "learner", "LEARNER", "Student", "STUDENT", "elev", "Deltaker"),
        *("urn:lti:role:ims/lis/Learner", "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"),
    ],
)
def test_a_learners_role_is_read_in_any_words(role: str) -> None:
    assert compared(old_file(PERSON, GROUP, old_member("group-7", NUMBER, role)), FACTS).differences == []


@pytest.mark.parametrize("role", ["02", "2", "Instructor", "TEACHER", "Faculty", "lærer", "Teaching Assistant"])
def test_another_role_is_a_changed_role(role: str) -> None:
    found = compared(old_file(PERSON, GROUP, old_member("group-7", NUMBER, role)), FACTS).differences
    assert [difference.what for difference in found] == [DifferenceType.ROLE]


@pytest.mark.parametrize("status", ["1", "01", "Active", "ACTIVE", ""])
def test_an_active_status_is_read_in_any_words(status: str) -> None:
    member = MEMBER.replace("<status>1<", f"<status>{status}<")
    assert compared(old_file(PERSON, GROUP, member), FACTS).differences == []


@pytest.mark.parametrize("status", ["0", "00", "Inactive", "INACTIVE", "inaktiv", "false"])
def test_an_inactive_status_is_read_in_any_words(status: str) -> None:
    member = MEMBER.replace("<status>1<", f"<status>{status}<")
    found = compared(old_file(PERSON, GROUP, member), FACTS).differences
    assert [(one.kind, one.what) for one in found] == [("membership", DifferenceType.NEW)]


@pytest.mark.parametrize("recstatus", ["3", " 3", "Delete", "DELETED"])
def test_a_removed_record_is_read_in_any_words(recstatus: str) -> None:
    gone = PERSON.replace("<person>", f'<person recstatus="{recstatus}">')
    assert compared(old_file(gone, GROUP, MEMBER), FACTS).old["person"] == 0


@pytest.mark.parametrize("idtype", ["1", "Person", "PERSON", ""])
def test_a_member_is_a_person_in_any_words(idtype: str) -> None:
    member = MEMBER.replace("<idtype>1<", f"<idtype>{idtype}<")
    assert compared(old_file(PERSON, GROUP, member), FACTS).differences == []


@pytest.mark.parametrize("idtype", ["2", "Group", "GROUP"])
def test_a_member_may_be_a_group_in_any_words(idtype: str) -> None:
    member = MEMBER.replace("<idtype>1<", f"<idtype>{idtype}<")
    assert compared(old_file(PERSON, GROUP, member), FACTS).old["membership"] == 0


def test_two_sources_may_give_the_same_id() -> None:
    facts = facts_of(a_person(1), a_person(2), a_group(7), a_group(8), an_enrolment(1, person=1, group=7))
    twice = (old_person("5", LOGIN, name="Ada Testesen"), old_person("5", "ada2@fjordvik.example", source="other"))
    groups = (old_group("7", "B7", "Norsk B7"), old_group("7", "B8", "Norsk B8", source="other"))
    other = old_member("7", "5").replace(f"<source>{SOURCE}</source>", "<source>other</source>")
    old = old_file(*twice, *groups, old_member("7", "5"), other)
    assert (len(old.persons), len(old.groups)) == (2, 2)
    found = compared(old, facts)
    assert found.old == {"person": 2, "group": 2, "membership": 2}
    reasons = {(one.kind, one.number, one.group) for one in found.differences if one.what is DifferenceType.MISSING}
    assert ("membership", 2, 8) in reasons
    assert ("membership", 1, 7) not in reasons


def test_the_later_of_two_records_with_one_source_counts() -> None:
    old = old_file(old_person("5", "older@a.example"), old_person("5", LOGIN))
    assert [person.userids[0].value for person in old.persons.values()] == [LOGIN]


def test_no_setting_is_tried_on_a_file_without_records() -> None:
    settings = a_target()
    file = old_file()
    assert candidates(file, FACTS, compared(file, FACTS), settings, [settings.group_id]) == {}
    assert steps(file, FACTS, settings) == []
