"""A target's settings about groups: the scope, excluded kinds and groups, and lead and grace days."""

from datetime import date, timedelta
from typing import Any

import pytest

from ims.records.model import MemberRecord
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
FIRST, LAST = date(2026, 11, 2), date(2026, 11, 20)
"""The first and last day of the group in the tests of lead and grace days."""


def days(number: int) -> timedelta:
    return timedelta(days=number)


def roster(*facts: Fact, settings: TargetSettings | None = None, today: date = TODAY) -> Roster:
    known = facts_of(*facts)
    return roster_of(
        known, settings or a_target(), orgnr=ORGNR, today=today, persons=known.persons, groups=known.groups
    )


def why_group(*facts: Fact, today: date = TODAY, **settings: Any) -> Reason | None:
    """Return why group 1 is excluded; ``None`` if exported."""
    outcome = roster(*facts, settings=a_target(**settings), today=today)
    assert ((None, 1) in outcome.subjects.values()) != ((RecordKind.GROUP, 1) in outcome.excluded)
    return outcome.excluded.get((RecordKind.GROUP, 1))


def members(outcome: Roster) -> set[tuple[int | None, int | None]]:
    """Return person and group of each membership."""
    return {outcome.subjects[key] for key, record in outcome.records.items() if isinstance(record, MemberRecord)}


@pytest.mark.parametrize("programme", ["norsk", "videregaende", "annet", "", "Grunnskole"])
def test_a_target_for_grunnskole_excludes_other_programmes(programme: str) -> None:
    assert why_group(a_group(programme=programme), scope="grunnskole") is Reason.OUT_OF_SCOPE
    assert why_group(a_group(programme=programme), scope="all") is None
    assert why_group(a_group(programme="grunnskole"), scope="grunnskole") is None


def test_the_scope_restricts_a_teachers_memberships_only() -> None:
    facts = (
        a_person(1),
        an_employee(1),
        a_group(1, programme="grunnskole"),
        a_group(2, programme="norsk"),
        an_enrolment(1, group=1, role="teacher"),
        an_enrolment(2, group=2, role="teacher"),
        a_person(2),
        an_employee(2, person=2),
    )
    outcome = roster(*facts, settings=a_target(scope="grunnskole"))
    assert members(outcome) == {(1, 1)}
    assert {(1, None), (2, None)} <= set(outcome.subjects.values())


def test_a_learner_without_a_group_in_scope_is_excluded() -> None:
    facts = (a_person(1), a_group(1, programme="norsk"), an_enrolment(1))
    outcome = roster(*facts, settings=a_target(scope="grunnskole"))
    assert outcome.excluded[RecordKind.PERSON, 1] is Reason.NO_ACTIVE_ENROLMENT


@pytest.mark.parametrize("kind", ["class", "Class", " CLASS "])
def test_an_excluded_kind_is_compared_without_regard_to_case(kind: str) -> None:
    assert why_group(a_group(kind="class"), excluded_kinds=("subject", kind)) is Reason.KIND_EXCLUDED
    assert why_group(a_group(kind=kind), excluded_kinds=("class",)) is Reason.KIND_EXCLUDED
    assert why_group(a_group(kind=kind), excluded_kinds=("subject", "clas", "")) is None


def test_a_single_group_may_be_excluded() -> None:
    assert why_group(a_group(1), a_group(2), excluded_groups=(1, 3)) is Reason.GROUP_EXCLUDED
    assert why_group(a_group(1), a_group(2), excluded_groups=(2,)) is None


def test_a_member_of_an_excluded_group_keeps_other_memberships() -> None:
    facts = (a_person(1), a_group(1), a_group(2, kind="choir"), a_group(3), an_enrolment(1, group=1))
    outcome = roster(
        *facts,
        an_enrolment(2, group=2),
        an_enrolment(3, group=3),
        settings=a_target(excluded_kinds=("choir",), excluded_groups=(3,)),
    )
    assert members(outcome) == {(1, 1)}


def test_reasons_of_the_target_come_before_reasons_to_correct() -> None:
    settings: dict[str, Any] = {"excluded_groups": (1,), "excluded_kinds": ("class",), "scope": "grunnskole"}
    wrong = (a_group(school=9, active=False, programme="norsk"), an_owner(orgnr=None))
    reasons = [why_group(*wrong, **settings), why_group(wrong[0], **settings)]
    for corrected in ({"excluded_groups": ()}, {"excluded_kinds": ()}, {"scope": "all"}):
        settings |= corrected
        reasons.append(why_group(wrong[0], **settings))
    assert reasons == [
        Reason.OWNER_WITHOUT_NUMBER,
        Reason.GROUP_EXCLUDED,
        Reason.KIND_EXCLUDED,
        Reason.OUT_OF_SCOPE,
        Reason.SCHOOL_UNKNOWN,
    ]
    assert reasons == sorted(reasons, key=ORDER.index)


@pytest.mark.parametrize(
    ("today", "reason"),
    [
        (FIRST - days(8), Reason.GROUP_NOT_STARTED),
        (FIRST - days(7), None),
        (LAST + days(3), None),
        (LAST + days(4), Reason.GROUP_ENDED),
    ],
)
def test_lead_and_grace_days_extend_a_groups_dates(today: date, reason: Reason | None) -> None:
    group = a_group(starts_on=FIRST, ends_on=LAST)
    assert why_group(group, today=today, lead_days=7, grace_days=3) is reason
    assert (why_group(group, today=today) is None) == (FIRST <= today <= LAST)


def test_lead_and_grace_days_do_not_change_a_groups_record() -> None:
    group = a_group(starts_on=FIRST, ends_on=LAST)
    published = [
        roster(group, settings=a_target(lead_days=7, grace_days=7), today=today).records
        for today in (FIRST - days(7), FIRST, LAST + days(7))
    ]
    assert published[0] == published[1] == published[2] != {}


@pytest.mark.parametrize("today", [FIRST - days(1), FIRST, FIRST + days(1)])
def test_a_group_that_ends_before_it_begins_is_never_exported(today: date) -> None:
    group = a_group(starts_on=FIRST, ends_on=FIRST - days(1))
    assert why_group(group, today=today, lead_days=9, grace_days=9) is Reason.GROUP_ENDED


@pytest.mark.parametrize(
    ("starts_on", "ends_on", "early", "late"),
    [
        (FIRST, LAST, True, True),
        (FIRST - days(90), None, True, True),
        (FIRST - days(90), LAST + days(90), True, True),
        (FIRST + days(1), LAST, False, True),
        (FIRST, LAST - days(1), True, False),
        (FIRST - days(90), FIRST - days(1), False, False),
        (LAST + days(1), None, False, False),
    ],
)
def test_lead_and_grace_days_have_the_first_and_last_days_members(
    starts_on: date, ends_on: date | None, early: bool, late: bool
) -> None:
    facts = (
        a_person(),
        a_group(starts_on=FIRST, ends_on=LAST),
        an_enrolment(starts_on=starts_on, ends_on=ends_on),
    )
    settings = a_target(lead_days=5, grace_days=5)
    for today in (FIRST - days(5), FIRST - days(1)):
        assert members(roster(*facts, settings=settings, today=today)) == ({(1, 1)} if early else set())
    for today in (LAST + days(1), LAST + days(5)):
        assert members(roster(*facts, settings=settings, today=today)) == ({(1, 1)} if late else set())


def test_an_enrolments_own_dates_count_within_the_groups() -> None:
    facts = (a_person(), a_group(starts_on=FIRST, ends_on=LAST))
    enrolment = an_enrolment(starts_on=FIRST + days(2), ends_on=LAST - days(2))
    settings = a_target(lead_days=9, grace_days=9)
    published = [
        FIRST + days(number)
        for number in range(-9, 40)
        if members(roster(*facts, enrolment, settings=settings, today=FIRST + days(number)))
    ]
    assert published == [FIRST + days(number) for number in range(2, 17)]


def test_a_group_without_dates_extends_no_enrolment() -> None:
    facts = (a_person(), a_group(), an_enrolment(starts_on=FIRST, ends_on=FIRST))
    settings = a_target(lead_days=9, grace_days=9)
    published = [members(roster(*facts, settings=settings, today=FIRST + days(number))) for number in (-1, 0, 1)]
    assert published == [set(), {(1, 1)}, set()]


@pytest.mark.parametrize("day", [date(9999, 12, 31), date(1, 1, 1)])
def test_the_first_and_last_possible_dates_are_handled(day: date) -> None:
    settings: dict[str, Any] = {"lead_days": 366, "grace_days": 366}
    assert why_group(a_group(starts_on=date(1, 1, 1), ends_on=date(9999, 12, 31)), **settings) is None
    assert why_group(a_group(starts_on=day, ends_on=day), **settings) is not None


def test_a_school_number_that_is_too_long_is_none() -> None:
    assert why_group(a_group(), a_school(school_no="9" * 32)) is None
    assert why_group(a_group(), a_school(school_no="9" * 33)) is Reason.SCHOOL_WITHOUT_NUMBER
    assert why_group(a_group(), a_school(school_no="\x01")) is Reason.SCHOOL_WITHOUT_NUMBER
