"""Each rule of eligibility, through the roster, where the rules take effect."""

from datetime import date, timedelta
from typing import Any

import pytest

from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Fact
from ims.targets.target_settings import TargetSettings
from tests.support.builders import (
    ORGNR,
    TODAY,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
    facts_of,
)

ORDER: list[Reason | None] = list(Reason)
TOMORROW, YESTERDAY = TODAY + timedelta(days=1), TODAY - timedelta(days=1)


def roster(*facts: Fact, settings: TargetSettings | None = None, today: date = TODAY) -> Roster:
    """Return the roster of all persons and groups in the facts."""
    known = facts_of(*facts)
    return roster_of(
        known, settings or a_target(), orgnr=ORGNR, today=today, persons=known.persons, groups=known.groups
    )


def why_person(*facts: Fact, settings: TargetSettings | None = None, today: date = TODAY) -> Reason | None:
    """Return why person 1 is excluded; ``None`` if exported."""
    outcome = roster(*facts, settings=settings, today=today)
    exported = [key for key, (person, group) in outcome.subjects.items() if person == 1 and group is None]
    reason = outcome.excluded.get((RecordKind.PERSON, 1))
    assert bool(exported) != (reason is not None)
    return reason


def why_group(*facts: Fact, settings: TargetSettings | None = None, today: date = TODAY) -> Reason | None:
    """Return why group 1 is excluded; ``None`` if exported."""
    outcome = roster(*facts, settings=settings, today=today)
    exported = [key for key, (person, group) in outcome.subjects.items() if group == 1 and person is None]
    reason = outcome.excluded.get((RecordKind.GROUP, 1))
    assert bool(exported) != (reason is not None)
    return reason


def test_a_learner_in_an_active_group_is_exported() -> None:
    outcome = roster(a_person(), a_group(), an_enrolment())
    assert sorted(key.kind for key in outcome.records) == [RecordKind.PERSON, RecordKind.GROUP, RecordKind.MEMBERSHIP]
    assert outcome.excluded == {}


def test_nothing_is_exported_until_the_target_is_enabled() -> None:
    outcome = roster(a_person(), a_group(), an_enrolment(), settings=a_target(enabled=False))
    assert outcome.records == {}
    assert outcome.excluded == {
        (RecordKind.PERSON, 1): Reason.TARGET_DISABLED,
        (RecordKind.GROUP, 1): Reason.TARGET_DISABLED,
    }


@pytest.mark.parametrize("orgnr", [None, "", "  ", "12345678", "123456789"])
def test_nothing_is_exported_without_the_owners_number(orgnr: str | None) -> None:
    outcome = roster(a_person(), a_group(), an_enrolment(), an_owner(orgnr=orgnr))
    assert outcome.records == {}
    assert set(outcome.excluded.values()) == {Reason.OWNER_WITHOUT_NUMBER}


def test_a_made_up_owner_counts_only_if_test_numbers_are_allowed() -> None:
    facts = (a_group(), an_owner(orgnr="123456785"))
    assert why_group(*facts) is None
    assert why_group(*facts, settings=a_target(allow_test_numbers=False)) is Reason.OWNER_WITHOUT_NUMBER
    assert why_group(a_group(), an_owner(orgnr="988 077 917"), settings=a_target(allow_test_numbers=False)) is None


def test_nothing_is_exported_while_the_owner_has_not_arrived() -> None:
    known = facts_of(a_group())
    without = type(known)(None, known.schools, {}, {}, known.groups, {})
    outcome = roster_of(without, a_target(), orgnr=ORGNR, today=TODAY, persons=[], groups=[1])
    assert outcome.excluded == {(RecordKind.GROUP, 1): Reason.OWNER_WITHOUT_NUMBER}


@pytest.mark.parametrize("school_no", [None, "", " "])
def test_a_group_at_a_school_without_number_is_excluded(school_no: str | None) -> None:
    assert why_group(a_group(), a_school(school_no=school_no)) is Reason.SCHOOL_WITHOUT_NUMBER


def test_a_group_whose_school_has_not_arrived_is_excluded() -> None:
    assert why_group(a_group(school=2)) is Reason.SCHOOL_UNKNOWN


def test_an_inactive_group_is_excluded() -> None:
    assert why_group(a_group(active=False)) is Reason.GROUP_INACTIVE


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "reason"),
    [
        (None, None, None),
        (TODAY, TODAY, None),
        (YESTERDAY, TOMORROW, None),
        (TOMORROW, None, Reason.GROUP_NOT_STARTED),
        (None, YESTERDAY, Reason.GROUP_ENDED),
        (TOMORROW, YESTERDAY, Reason.GROUP_NOT_STARTED),
    ],
)
def test_a_group_is_exported_from_its_first_to_its_last_day(
    starts_on: date | None, ends_on: date | None, reason: Reason | None
) -> None:
    assert why_group(a_group(starts_on=starts_on, ends_on=ends_on)) is reason


def test_a_group_whose_template_gives_no_id_is_excluded() -> None:
    assert why_group(a_group(code=" "), settings=a_target(group_id="{code}")) is Reason.GROUP_WITHOUT_ID


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "exported"),
    [
        (TODAY, TODAY, True),
        (YESTERDAY, None, True),
        (TOMORROW, None, False),
        (YESTERDAY, YESTERDAY, False),
        (TOMORROW, YESTERDAY, False),
    ],
)
def test_a_learner_is_exported_between_the_dates_of_the_enrolment(
    starts_on: date, ends_on: date | None, exported: bool
) -> None:
    reason = why_person(a_person(), a_group(), an_enrolment(starts_on=starts_on, ends_on=ends_on))
    assert reason is (None if exported else Reason.NO_ACTIVE_ENROLMENT)


@pytest.mark.parametrize("status", ["ended", "", "Active", "paused"])
def test_an_inactive_enrolment_does_not_count(status: str) -> None:
    assert why_person(a_person(), a_group(), an_enrolment(status=status)) is Reason.NO_ACTIVE_ENROLMENT


def test_a_learner_in_an_excluded_group_is_excluded() -> None:
    assert why_person(a_person(), a_group(active=False), an_enrolment()) is Reason.NO_ACTIVE_ENROLMENT


def test_a_person_without_any_membership_has_a_reason() -> None:
    assert why_person(a_person()) is Reason.NO_ACTIVE_ENROLMENT


def test_an_active_teacher_is_exported_without_a_group() -> None:
    assert why_person(a_person(), an_employee()) is None


@pytest.mark.parametrize("kind", ["case_worker", "other", "Teacher", ""])
def test_an_employee_who_is_no_teacher_is_excluded(kind: str) -> None:
    assert why_person(a_person(), an_employee(kind=kind)) is Reason.NO_ACTIVE_ENROLMENT


def test_an_inactive_teacher_is_excluded() -> None:
    assert why_person(a_person(), an_employee(active=False)) is Reason.NO_ACTIVE_ENROLMENT


def test_a_teacher_at_a_school_without_number_is_excluded() -> None:
    facts = (a_person(), an_employee(), a_school(school_no=None))
    assert why_person(*facts) is Reason.NO_ACTIVE_ENROLMENT
    assert why_person(*facts, a_school(2), an_employee(2, school=2)) is None


def test_a_teacher_whose_school_has_not_arrived_is_excluded() -> None:
    assert why_person(a_person(), an_employee(school=2)) is Reason.NO_ACTIVE_ENROLMENT


def test_an_enrolment_as_teacher_does_not_make_a_teacher() -> None:
    assert why_person(a_person(), a_group(), an_enrolment(role="teacher")) is Reason.NO_ACTIVE_ENROLMENT


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("person_id", ["national", "running"])
@pytest.mark.parametrize("national_id", [None, "", "12345678901"])
def test_a_teacher_always_needs_a_valid_national_id(national_id: str | None, person_id: str, include: bool) -> None:
    settings = a_target(include_without_national_id=include, person_id=person_id)
    facts = (a_person(national_id=national_id), a_group(), an_employee(), an_enrolment(role="teacher"))
    assert why_person(*facts, settings=settings) is Reason.TEACHER_WITHOUT_VALID_ID


@pytest.mark.parametrize("person_id", ["national", "running"])
@pytest.mark.parametrize(
    ("national_id", "reason"),
    [
        (None, Reason.NATIONAL_ID_MISSING),
        (" - ", Reason.NATIONAL_ID_MISSING),
        ("12345678901", Reason.NATIONAL_ID_INVALID),
    ],
)
def test_a_learner_needs_a_valid_national_id_by_default(
    national_id: str | None, reason: Reason, person_id: str
) -> None:
    facts = (a_person(national_id=national_id), a_group(), an_enrolment())
    assert why_person(*facts, settings=a_target(person_id=person_id)) is reason
    assert why_person(*facts, settings=a_target(person_id=person_id, include_without_national_id=True)) is None


def test_a_synthetic_number_is_not_valid_in_production() -> None:
    facts = (a_person(), a_group(), an_enrolment(), an_owner(orgnr="988077917"))
    assert why_person(*facts, settings=a_target(allow_test_numbers=False)) is Reason.NATIONAL_ID_INVALID


@pytest.mark.parametrize("include", [True, False])
def test_a_protected_person_is_never_exported(include: bool) -> None:
    facts = (a_person(protected=True), a_group(), an_enrolment(), an_employee())
    settings = a_target(include_without_national_id=include)
    assert why_person(*facts, settings=settings) is Reason.PERSON_PROTECTED


@pytest.mark.parametrize(
    "name", [{"given_name": ""}, {"family_name": " \u00a0"}, {"given_name": "", "family_name": ""}]
)
def test_a_person_with_an_incomplete_name_is_excluded(name: dict[str, Any]) -> None:
    assert why_person(a_person(**name), a_group(), an_enrolment()) is Reason.NAME_INCOMPLETE


def test_the_first_rule_gives_a_persons_reason() -> None:
    everything_wrong: dict[str, Any] = {"protected": True, "given_name": "", "national_id": None}
    reasons = []
    for corrected in ({}, {"protected": False}, {"given_name": "Ada"}):
        everything_wrong |= corrected
        reasons.append(why_person(a_person(**everything_wrong)))
    reasons.append(why_person(a_person(**everything_wrong), a_group(), an_enrolment()))
    assert reasons == [
        Reason.PERSON_PROTECTED,
        Reason.NAME_INCOMPLETE,
        Reason.NO_ACTIVE_ENROLMENT,
        Reason.NATIONAL_ID_MISSING,
    ]
    assert reasons == sorted(reasons, key=ORDER.index)


def test_the_first_rule_gives_a_groups_reason() -> None:
    school = a_school(school_no=None)
    wrong = a_group(active=False, starts_on=TOMORROW, ends_on=YESTERDAY)
    reasons = [
        why_group(wrong, school, settings=a_target(enabled=False)),
        why_group(wrong, school, an_owner(orgnr=None)),
        why_group(wrong, school),
        why_group(wrong),
        why_group(a_group(starts_on=TOMORROW, ends_on=YESTERDAY)),
        why_group(a_group(ends_on=YESTERDAY)),
    ]
    assert reasons == sorted(set(reasons), key=ORDER.index)
    assert len(reasons) == 6
