"""The roster of persons and groups: how facts become records."""

from datetime import date
from typing import Any

import pytest

from ims.records.model import GroupRecord, MemberRecord, PersonRecord, RecordKey
from ims.records.vocabulary import InstitutionRole, RecordKind, RoleType
from ims.rules.eligibility import Reason
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Fact
from ims.targets.target_settings import TargetSettings
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_d_number,
    a_duf_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    facts_of,
)

PERSON, GROUP = RecordKind.PERSON, RecordKind.GROUP
SOURCE = f"imsfeed@{ORGNR}"


def roster(*facts: Fact, settings: TargetSettings | None = None) -> Roster:
    known = facts_of(*facts)
    return roster_of(
        known, settings or a_target(), orgnr=ORGNR, today=TODAY, persons=known.persons, groups=known.groups
    )


def the_person(*facts: Fact, settings: TargetSettings | None = None) -> PersonRecord:
    (person,) = (r for r in roster(*facts, settings=settings).records.values() if isinstance(r, PersonRecord))
    return person


def a_learner(**changes: Any) -> tuple[Fact, ...]:
    return a_person(**changes), a_group(), an_enrolment()


def members(outcome: Roster) -> dict[tuple[str, str], RoleType]:
    return {(r.person, r.group): r.role for r in outcome.records.values() if isinstance(r, MemberRecord)}


def test_a_person_is_exported_as_registered() -> None:
    assert the_person(*a_learner(given_name=" Ada ", email=" Ada@Example.org ")) == PersonRecord(
        source=SOURCE,
        id=a_birth_number(1),
        login="ada1@fjordvik.example",
        given_name="Ada",
        family_name="Testesen 1",
        email="Ada@Example.org",
        roles=(InstitutionRole.STUDENT,),
    )


def test_a_group_is_exported_as_registered() -> None:
    group = a_group(5, code=" 8A ", starts_on=date(2026, 8, 1), ends_on=date(2027, 6, 20))
    assert roster(group).records == {
        RecordKey(GROUP, "group-5"): GroupRecord(
            source=SOURCE,
            id="group-5",
            kind="class",
            short="8A (NO1-5)",
            long="Norsk B5",
            owner_name="Fjordvik kommune",
            school_name="Fjordvik voksenopplæring",
            begin="2026-08-01",
            end="2027-06-20",
        )
    }


def test_groups_with_the_same_code_have_different_short_names() -> None:
    groups = a_group(1, code="8A"), a_group(2, code="8A", school=2), a_group(3, code="8A")
    outcome = roster(a_school(1), a_school(2), *groups)
    shorts = {record.short for record in outcome.records.values() if isinstance(record, GroupRecord)}
    assert shorts == {"8A (NO1-1)", "8A (NO2-2)", "8A (NO1-3)"}


def test_every_key_has_its_record_and_its_subjects() -> None:
    outcome = roster(a_person(7), a_group(8), an_enrolment(9, person=7, group=8))
    assert {key: record.key for key, record in outcome.records.items()} == {key: key for key in outcome.records}
    assert outcome.subjects == {
        RecordKey(PERSON, a_birth_number(7)): (7, None),
        RecordKey(RecordKind.MEMBERSHIP, "group-8", a_birth_number(7)): (7, 8),
        RecordKey(GROUP, "group-8"): (None, 8),
    }


def test_only_the_persons_and_groups_asked_for_have_records() -> None:
    facts = facts_of(a_person(1), a_person(2), a_group(1), an_enrolment(1), an_enrolment(2, person=2))
    outcome = roster_of(facts, a_target(), orgnr=ORGNR, today=TODAY, persons=[1], groups=[])
    assert set(outcome.subjects.values()) == {(1, None), (1, 1)}
    outcome = roster_of(facts, a_target(), orgnr=ORGNR, today=TODAY, persons=[], groups=[1])
    assert set(outcome.subjects.values()) == {(None, 1)}


def test_a_missing_fact_has_neither_record_nor_reason() -> None:
    for settings in (a_target(), a_target(enabled=False)):
        outcome = roster_of(facts_of(), settings, orgnr=ORGNR, today=TODAY, persons=[1], groups=[1])
        assert outcome == Roster({}, {}, {})


def test_a_target_may_choose_its_source() -> None:
    outcome = roster(*a_learner(), settings=a_target(source="visma@fjordvik"))
    assert {record.source for record in outcome.records.values()} == {"visma@fjordvik"}


@pytest.mark.parametrize("number", [a_birth_number(3), a_d_number(3), a_duf_number(3)])
def test_a_valid_national_id_is_exported_in_bare_digits(number: str) -> None:
    assert the_person(*a_learner(national_id=f"{number[:6]} {number[6:]}")).id == number


def test_a_person_without_valid_national_id_has_the_running_number() -> None:
    settings = a_target(include_without_national_id=True)
    assert the_person(*a_learner(national_id="12345678901"), settings=settings).id == "1"


def test_a_target_may_use_running_numbers_for_all_persons() -> None:
    outcome = roster(*a_learner(), settings=a_target(person_id="running"))
    assert members(outcome) == {("1", "group-1"): RoleType.LEARNER}
    assert a_birth_number(1) not in repr(outcome)


@pytest.mark.parametrize(
    ("template", "expected"), [("group-{id}", "group-4"), ("{code}@{school_no}", "B4@NO1"), ("x{code}", "xB4")]
)
def test_the_groups_id_follows_the_template(template: str, expected: str) -> None:
    outcome = roster(a_person(), a_group(4), an_enrolment(group=4), settings=a_target(group_id=template))
    assert RecordKey(GROUP, expected) in outcome.records
    assert RecordKey(RecordKind.MEMBERSHIP, expected, a_birth_number(1)) in outcome.records


@pytest.mark.parametrize(
    ("login", "feide_name", "email", "expected"),
    [
        ("feide", " Ada@Fjordvik.NO ", "post@example.org", "ada@fjordvik.no"),
        ("feide", None, "Post@Example.org", "post@example.org"),
        ("feide", " ", "post@example.org", "post@example.org"),
        ("feide", None, None, None),
        ("email", "ada@fjordvik.no", "post@example.org", "post@example.org"),
        ("email", "ada@fjordvik.no", None, None),
        ("none", "ada@fjordvik.no", "post@example.org", None),
    ],
)
def test_the_targets_settings_decide_the_login(
    login: str, feide_name: str | None, email: str | None, expected: str | None
) -> None:
    person = the_person(*a_learner(feide_name=feide_name, email=email), settings=a_target(login=login))
    assert person.login == expected


@pytest.mark.parametrize("own", [a_birth_number(9), "12345678901", None])
@pytest.mark.parametrize("name", ["{}", "{}@fjordvik.no", " {} @fjordvik.no", "0181 90-12284"])
def test_a_national_id_is_never_a_login(name: str, own: str | None) -> None:
    shown = name.format(own or a_d_number(4))
    settings = a_target(include_without_national_id=True)
    person = the_person(*a_learner(national_id=own, feide_name=shown, email=shown), settings=settings)
    assert person.login is None
    person = the_person(*a_learner(national_id=own, feide_name=shown, email="a@example.org"), settings=settings)
    assert person.login == "a@example.org"


def test_a_person_without_national_id_may_have_any_other_login() -> None:
    settings = a_target(include_without_national_id=True)
    assert the_person(*a_learner(national_id="", feide_name="@x"), settings=settings).login == "@x"


def test_a_teacher_who_learns_has_both_institution_roles() -> None:
    assert the_person(a_person(), an_employee()).roles == (InstitutionRole.STAFF,)
    both = the_person(*a_learner(), an_employee())
    assert both.roles == (InstitutionRole.STAFF, InstitutionRole.STUDENT)


def test_a_teacher_without_valid_id_is_exported_as_learner_only() -> None:
    facts = (a_person(national_id=None), an_employee(), a_group(1), a_group(2))
    outcome = roster(
        *facts,
        an_enrolment(1, group=1),
        an_enrolment(2, group=2, role="teacher"),
        settings=a_target(include_without_national_id=True),
    )
    assert members(outcome) == {("1", "group-1"): RoleType.LEARNER}
    person = outcome.records[RecordKey(PERSON, "1")]
    assert isinstance(person, PersonRecord)
    assert person.roles == (InstitutionRole.STUDENT,)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_person_who_teaches_and_learns_is_the_instructor(order: tuple[int, int]) -> None:
    as_learner, as_teacher = order
    facts = sorted(
        [an_enrolment(as_learner), an_enrolment(as_teacher, role="teacher"), an_enrolment(3)], key=lambda fact: fact.id
    )
    outcome = roster(a_person(), an_employee(), a_group(), *facts)
    assert members(outcome) == {(a_birth_number(1), "group-1"): RoleType.INSTRUCTOR}


def test_several_enrolments_in_one_group_are_one_membership() -> None:
    outcome = roster(*a_learner(), an_enrolment(2), an_enrolment(3, role="teacher"), an_enrolment(4, status="ended"))
    assert members(outcome) == {(a_birth_number(1), "group-1"): RoleType.LEARNER}


def test_a_membership_in_an_excluded_group_is_not_exported() -> None:
    outcome = roster(*a_learner(), a_group(2, active=False), an_enrolment(2, group=2), an_enrolment(3, group=3))
    assert members(outcome) == {(a_birth_number(1), "group-1"): RoleType.LEARNER}


@pytest.mark.parametrize("role", ["guest", "", "Learner"])
def test_an_unknown_role_gives_no_membership(role: str) -> None:
    outcome = roster(a_person(), an_employee(), a_group(), an_enrolment(role=role))
    assert members(outcome) == {}


def test_two_persons_with_one_national_id_are_both_excluded() -> None:
    number = a_birth_number(9)
    spaced = f"{number[:6]} {number[6:]}"
    facts = (a_person(1, national_id=number), a_person(2, national_id=spaced), a_person(3), a_group())
    outcome = roster(*facts, *(an_enrolment(id_, person=id_) for id_ in (1, 2, 3)))
    assert outcome.excluded == {(PERSON, 1): Reason.DUPLICATE_ID, (PERSON, 2): Reason.DUPLICATE_ID}
    assert members(outcome) == {(a_birth_number(3), "group-1"): RoleType.LEARNER}


def test_an_excluded_person_does_not_make_an_id_a_duplicate() -> None:
    number = a_birth_number(9)
    facts = (a_person(1, national_id=number), a_person(2, national_id=number), a_group(), an_enrolment())
    assert roster(*facts).excluded == {(PERSON, 2): Reason.NO_ACTIVE_ENROLMENT}


def test_running_numbers_make_a_duplicate_national_id_harmless() -> None:
    number = a_birth_number(9)
    facts = (a_person(1, national_id=number), a_person(2, national_id=number), a_group())
    enrolments = (an_enrolment(1), an_enrolment(2, person=2))
    assert roster(*facts, *enrolments, settings=a_target(person_id="running")).excluded == {}


def test_two_groups_with_one_id_are_both_excluded() -> None:
    facts = (*a_learner(), a_group(2, code="B1"), a_group(3))
    outcome = roster(*facts, settings=a_target(group_id="{code}"))
    assert outcome.excluded == {
        (GROUP, 1): Reason.DUPLICATE_ID,
        (GROUP, 2): Reason.DUPLICATE_ID,
        (PERSON, 1): Reason.NO_ACTIVE_ENROLMENT,
    }
    assert list(outcome.records) == [RecordKey(GROUP, "B3")]


def test_duplicate_groups_count_even_if_only_a_member_is_asked() -> None:
    facts = facts_of(*a_learner(), a_group(2, code="B1"))
    outcome = roster_of(facts, a_target(group_id="{code}"), orgnr=ORGNR, today=TODAY, persons=[1], groups=[])
    assert outcome.records == {}


def test_a_person_asked_for_twice_is_exported_once() -> None:
    facts = facts_of(*a_learner())
    outcome = roster_of(facts, a_target(), orgnr=ORGNR, today=TODAY, persons=[1, 1], groups=[1, 1])
    assert len(outcome.records) == 3
    assert outcome.excluded == {}
