"""The roster of persons with several roles and schools, and of persons who leave and come back."""

from datetime import date, timedelta
from typing import Any

import pytest

from ims.records.model import MemberRecord, PersonRecord, UserId
from ims.records.vocabulary import InstitutionRole, RecordKind, RoleType
from ims.rules.eligibility import Reason
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Fact
from ims.targets.target_settings import TargetSettings
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    facts_of,
)

PERSON = (RecordKind.PERSON, 1)
MONDAY = date(2026, 10, 12)


def day(number: int) -> date:
    """Return the date so many days after Monday."""
    return MONDAY + timedelta(days=number)


def roster(*facts: Fact, settings: TargetSettings | None = None, today: date = TODAY) -> Roster:
    known = facts_of(*facts)
    return roster_of(
        known, settings or a_target(), orgnr=ORGNR, today=today, persons=known.persons, groups=known.groups
    )


def roles(outcome: Roster) -> dict[str, RoleType]:
    """Return the role in each group of the only exported person."""
    return {record.group: record.role for record in outcome.records.values() if isinstance(record, MemberRecord)}


def the_person(outcome: Roster) -> PersonRecord:
    (person,) = (record for record in outcome.records.values() if isinstance(record, PersonRecord))
    return person


def exported_days(*facts: Fact) -> list[int]:
    """Return the days, from three before Monday to twenty after it, on which the only person is exported."""
    days = []
    for number in range(-3, 20):
        outcome = roster(*facts, today=day(number))
        exported = any(isinstance(record, PersonRecord) for record in outcome.records.values())
        assert exported == bool(roles(outcome)), "a learner is exported as long as there is a membership"
        days += [number] * exported
    return days


def test_a_person_may_have_another_role_in_each_group() -> None:
    facts = (a_person(), an_employee(), a_group(1), a_group(2), an_enrolment(1, group=1, role="teacher"))
    outcome = roster(*facts, an_enrolment(2, group=2))
    assert the_person(outcome).roles == (InstitutionRole.STAFF, InstitutionRole.STUDENT)
    assert roles(outcome) == {"group-1": RoleType.INSTRUCTOR, "group-2": RoleType.LEARNER}


def test_a_person_at_several_schools_is_one_person() -> None:
    facts = (a_person(), a_school(1), a_school(2), a_group(1, school=1), a_group(2, school=2))
    outcome = roster(*facts, an_enrolment(1, group=1), an_enrolment(2, group=2))
    assert the_person(outcome).id == a_birth_number(1)
    assert roles(outcome) == {"group-1": RoleType.LEARNER, "group-2": RoleType.LEARNER}


def test_a_teacher_at_two_schools_stays_when_one_employment_ends() -> None:
    facts = (a_person(), a_school(1), a_school(2), an_employee(1, school=1, active=False))
    assert the_person(roster(*facts, an_employee(2, school=2))).roles == (InstitutionRole.STAFF,)
    assert roster(*facts, an_employee(2, school=2, active=False)).excluded == {PERSON: Reason.NO_ACTIVE_ENROLMENT}


def test_overlapping_enrolments_in_a_group_are_one_membership() -> None:
    facts = (a_person(), a_group(), an_enrolment(1, starts_on=day(0), ends_on=day(5)))
    assert exported_days(*facts, an_enrolment(2, starts_on=day(3), ends_on=day(9))) == list(range(10))


def test_consecutive_enrolments_leave_no_gap() -> None:
    facts = (a_person(), a_group(), an_enrolment(1, starts_on=day(0), ends_on=day(4)))
    assert exported_days(*facts, an_enrolment(2, starts_on=day(5), ends_on=day(9))) == list(range(10))


def test_a_learner_returns_under_the_same_id() -> None:
    first = an_enrolment(1, starts_on=day(0), ends_on=day(4))
    facts = (a_person(), a_group(), first, an_enrolment(2, starts_on=day(8), ends_on=day(9)))
    assert exported_days(*facts) == [0, 1, 2, 3, 4, 8, 9]
    assert roster(*facts, today=day(4)).records == roster(*facts, today=day(8)).records


def test_an_enrolment_counts_from_its_first_to_its_last_day() -> None:
    assert exported_days(a_person(), a_group(), an_enrolment(starts_on=day(6))) == list(range(6, 20))
    assert exported_days(a_person(), a_group(), an_enrolment(starts_on=day(-90), ends_on=day(-1))) == [-3, -2, -1]


def test_a_withdrawn_enrolment_counts_on_no_day() -> None:
    assert (
        exported_days(a_person(), a_group(), an_enrolment(starts_on=day(0), ends_on=day(9), status="withdrawn")) == []
    )


def test_an_enrolment_that_ends_before_it_begins_never_counts() -> None:
    assert exported_days(a_person(), a_group(), an_enrolment(starts_on=day(5), ends_on=day(4))) == []


def test_a_learner_of_a_removed_group_stays_in_the_others() -> None:
    facts = (a_person(), a_group(2), an_enrolment(1, group=1), an_enrolment(2, group=2))
    assert roles(roster(*facts, a_group(1, active=False))) == {"group-2": RoleType.LEARNER}
    assert roles(roster(*facts, a_group(1, ends_on=TODAY - timedelta(days=1)))) == {"group-2": RoleType.LEARNER}
    assert roles(roster(*facts)) == {"group-2": RoleType.LEARNER}, "the group may be deleted"


@pytest.mark.parametrize("closed", [[], [a_school(1, school_no=None)]])
def test_the_persons_of_a_closed_school_are_excluded(closed: list[Fact]) -> None:
    facts = (*closed, a_school(2), a_person(1), a_group(1), an_enrolment(1), an_employee(1))
    outcome = roster(*facts, a_person(2), a_group(2, school=2), an_enrolment(2, person=2, group=2))
    assert roles(outcome) == {"group-2": RoleType.LEARNER}
    assert outcome.excluded[PERSON] is Reason.NO_ACTIVE_ENROLMENT


def test_protection_removes_all_records_and_its_end_restores_them() -> None:
    facts = (a_group(), an_enrolment(), an_employee())
    before = roster(a_person(), *facts)
    hidden = roster(a_person(protected=True), *facts)
    assert hidden.excluded == {PERSON: Reason.PERSON_PROTECTED}
    assert not any(person for person, _ in hidden.subjects.values())
    assert roster(a_person(protected=False), *facts) == before


def test_correcting_a_duplicate_national_id_exports_both_again() -> None:
    number = a_birth_number(9)
    facts = (a_group(), an_enrolment(1, person=1), an_enrolment(2, person=2), a_person(2, national_id=number))
    assert set(roster(a_person(1, national_id=number), *facts).excluded.values()) == {Reason.DUPLICATE_ID}
    assert roster(a_person(1), *facts).excluded == {}


@pytest.mark.parametrize("changes", [{"given_name": ""}, {"family_name": "\t"}, {"given_name": "\u00a0"}])
def test_a_teacher_with_an_incomplete_name_is_excluded(changes: dict[str, Any]) -> None:
    assert roster(a_person(**changes), an_employee()).excluded == {PERSON: Reason.NAME_INCOMPLETE}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (a_target(), ()),
        (
            a_target(dialect="pifu"),
            (
                UserId("personNIN", a_birth_number(1)),
                UserId("feideID", "ada@fjordvik.no"),
                UserId("personLIN", "1"),
            ),
        ),
        (
            a_target(dialect="pifu", person_id="running"),
            (UserId("feideID", "ada@fjordvik.no"), UserId("personLIN", "1")),
        ),
    ],
)
def test_only_pifu_has_additional_userids(settings: TargetSettings, expected: tuple[UserId, ...]) -> None:
    person = a_person(feide_name="Ada@Fjordvik.no")
    assert the_person(roster(person, a_group(), an_enrolment(), settings=settings)).userids == expected


def test_a_userid_with_a_national_id_is_omitted() -> None:
    settings = a_target(dialect="pifu", include_without_national_id=True)
    facts = (a_person(national_id=None, feide_name=f"{a_birth_number(3)}@fjordvik.no"), a_group(), an_enrolment())
    assert the_person(roster(*facts, settings=settings)).userids == (UserId("personLIN", "1"),)
