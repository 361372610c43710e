"""An operator's orders in an emergency: whom they exclude, and when the source itself agrees."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import IMMEDIATE, Reason
from ims.rules.overrides import has_left, with_same_national_id
from ims.rules.roster import Roster, roster_of
from ims.source.facts import Fact, Facts
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
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


def ordered(*facts: Fact, suppressed: tuple[int, ...] = (), leave_now: tuple[int, ...] = ()) -> Facts:
    known = facts_of(*facts)
    return msgspec.structs.replace(known, suppressed=frozenset(suppressed), leave_now=frozenset(leave_now))


def roster(known: Facts) -> Roster:
    return roster_of(known, a_target(), orgnr=ORGNR, today=TODAY, persons=known.persons, groups=known.groups)


@pytest.mark.parametrize(
    ("orders", "reason"),
    [({"suppressed": (1,)}, Reason.PERSON_SUPPRESSED), ({"leave_now": (1,)}, Reason.LEAVE_NOW)],
)
def test_an_order_removes_a_person_and_no_other(orders: dict[str, Any], reason: Reason) -> None:
    facts = (a_person(1), a_person(2), a_group(), an_enrolment(1, person=1), an_enrolment(2, person=2))
    outcome = roster(ordered(*facts, an_employee(person=1), **orders))
    assert outcome.excluded == {PERSON: reason}
    assert {person for person, _ in outcome.subjects.values()} == {2, None}
    assert reason in IMMEDIATE


def test_protection_in_the_source_is_the_first_reason() -> None:
    known = ordered(a_person(protected=True), suppressed=(1,), leave_now=(1,))
    assert roster(known).excluded == {PERSON: Reason.PERSON_PROTECTED}
    assert Reason.PERSON_PROTECTED in IMMEDIATE


def test_a_suppression_comes_before_the_persons_other_reasons() -> None:
    assert roster(ordered(a_person(given_name=""), suppressed=(1,))).excluded == {PERSON: Reason.PERSON_SUPPRESSED}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([a_person(), a_group(), an_enrolment()], Reason.LEAVE_NOW),
        ([a_person(), an_employee()], Reason.LEAVE_NOW),
        ([a_person(), a_group(), an_enrolment(status="ended")], Reason.NO_ACTIVE_ENROLMENT),
        ([a_person(national_id=None), a_group(), an_enrolment()], Reason.NATIONAL_ID_MISSING),
    ],
)
def test_leave_now_is_the_reason_only_without_another(facts: list[Fact], reason: Reason) -> None:
    assert roster(ordered(*facts, leave_now=(1,))).excluded == {PERSON: reason}


@pytest.mark.parametrize("kind", ["suppressed", "leave_now"])
def test_an_order_covers_a_person_who_is_registered_twice(kind: str) -> None:
    number = a_birth_number(9)
    facts = (a_person(1, national_id=number), a_person(2, national_id=f"{number[:6]} {number[6:]}"), a_group())
    known = ordered(*facts, an_enrolment(1, person=1), an_enrolment(2, person=2), **{kind: (1,)})
    assert {id_ for _, id_ in roster(known).excluded} == {1, 2}
    assert not any(person for person, _ in roster(known).subjects.values())


@pytest.mark.parametrize("enrolled", [(1, 2), (1,), (2,)])
def test_protection_covers_a_person_who_is_registered_twice(enrolled: tuple[int, ...]) -> None:
    number = a_birth_number(9)
    facts = (a_person(1, national_id=number, protected=True), a_person(2, national_id=number), a_group())
    known = facts_of(*facts, *(an_enrolment(n, person=n) for n in enrolled))
    assert set(roster(known).excluded.values()) == {Reason.PERSON_PROTECTED}
    assert not any(person for person, _ in roster(known).subjects.values())


@pytest.mark.parametrize("text", ["-", "ukjent", "00000000000", "999999999999", "123"])
def test_a_placeholder_for_a_national_id_protects_no_other_person(text: str) -> None:
    facts = facts_of(a_person(1, national_id=text, protected=True), a_person(2, national_id=text))
    assert with_same_national_id(facts, [1]) == {1}


def test_persons_without_a_national_id_are_different_persons() -> None:
    facts = facts_of(a_person(1, national_id=None), a_person(2, national_id=None), a_person(3, national_id=" "))
    assert with_same_national_id(facts, [1, 3]) == {1, 3}


def test_a_person_who_has_not_arrived_covers_no_other() -> None:
    assert with_same_national_id(facts_of(a_person(1)), [7]) == {7}


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ([a_person()], True),
        ([], True),
        ([a_person(protected=True), a_group(), an_enrolment()], True),
        ([a_person(), a_group(), an_enrolment()], False),
        ([a_person(), a_group(), an_enrolment(status="ended")], True),
        ([a_person(), a_group(), an_enrolment(ends_on=YESTERDAY)], True),
        ([a_person(), a_group(), an_enrolment(starts_on=TOMORROW)], False),
        ([a_person(), an_enrolment(starts_on=TOMORROW)], False),
        ([a_person(), a_group(starts_on=TOMORROW), an_enrolment()], False),
        ([a_person(), a_group(active=False), an_enrolment(starts_on=TOMORROW)], True),
        ([a_person(), a_group(), an_enrolment(starts_on=TOMORROW, status="ended")], True),
        ([a_person(), a_group(active=False), an_enrolment()], True),
        ([a_person(), a_group(ends_on=YESTERDAY), an_enrolment()], True),
        ([a_person(), a_group(), an_enrolment(role="teacher")], True),
        ([a_person(), an_enrolment()], False),
        ([a_person(), an_employee()], False),
        ([a_person(), an_employee(active=False)], True),
        ([a_person(), an_employee(kind="other")], True),
        ([a_person(2), an_employee(person=2), a_group(), an_enrolment(person=2)], True),
    ],
)
def test_a_person_has_left_without_enrolment_and_employment(facts: list[Fact], left: bool) -> None:
    assert has_left(facts_of(*facts), 1, a_target(), TODAY) is left


@pytest.mark.parametrize(
    "facts",
    [
        [a_person(given_name=""), a_group(), an_enrolment()],
        [a_person(national_id=None), a_group(), an_enrolment()],
        [a_person(), a_group(), an_enrolment(), a_school(1, school_no=None)],
        [a_person(), an_employee(school=9)],
    ],
)
def test_a_mistake_that_excludes_a_person_is_no_departure(facts: list[Fact]) -> None:
    assert not has_left(facts_of(*facts), 1, a_target(), TODAY)


def test_an_excluded_group_is_no_departure() -> None:
    settings = a_target(scope="grunnskole", excluded_kinds=("class",), excluded_groups=(1,))
    assert not has_left(facts_of(a_person(), a_group(), an_enrolment()), 1, settings, TODAY)


def test_a_person_has_not_left_on_lead_and_grace_days() -> None:
    ended = facts_of(a_person(), a_group(ends_on=YESTERDAY), an_enrolment())
    coming = facts_of(a_person(), a_group(starts_on=TOMORROW), an_enrolment(starts_on=TOMORROW))
    assert has_left(ended, 1, a_target(), TODAY)
    assert not has_left(ended, 1, a_target(grace_days=1), TODAY)
    assert not has_left(coming, 1, a_target(), TODAY)
    assert not has_left(coming, 1, a_target(lead_days=1), TODAY)


def test_protection_ends_with_the_registration_that_has_it() -> None:
    number = a_person(1).national_id
    both = facts_of(a_person(1, protected=True), a_person(2, national_id=number))
    assert with_same_national_id(both, [1]) == {1, 2}
    assert with_same_national_id(facts_of(a_person(2, national_id=number)), []) == frozenset()
