"""The owner and its schools as groups, and who is a member of which school."""

from typing import Any

import pytest

from ims.records.model import GroupRecord, MemberRecord, RecordKey
from ims.records.vocabulary import GroupLevel, RecordKind, RoleType
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
    an_owner,
    facts_of,
)

GROUP = RecordKind.GROUP
SOURCE = f"imsfeed@{ORGNR}"
LEARNER, INSTRUCTOR = RoleType.LEARNER, RoleType.INSTRUCTOR


def roster(*facts: Fact, settings: TargetSettings | None = None) -> Roster:
    known = facts_of(*facts)
    return roster_of(
        known,
        settings or a_target(org_groups=True),
        orgnr=ORGNR,
        today=TODAY,
        persons=known.persons,
        groups=known.groups,
    )


def groups(outcome: Roster) -> dict[str, GroupRecord]:
    return {record.id: record for record in outcome.records.values() if isinstance(record, GroupRecord)}


def schools_of(outcome: Roster, person: int = 1) -> dict[str, RoleType]:
    """Return a person's roles in groups that are not course groups."""
    return {
        record.group: record.role
        for key, record in outcome.records.items()
        if isinstance(record, MemberRecord) and outcome.subjects[key] == (person, None)
    }


def test_a_target_has_no_organisation_groups_by_default() -> None:
    outcome = roster(a_person(), a_group(), an_enrolment(), settings=a_target())
    assert [(group.id, group.level, group.parent) for group in groups(outcome).values()] == [
        ("group-1", GroupLevel.GROUP, None)
    ]
    assert schools_of(outcome) == {}


@pytest.mark.parametrize("settings", [a_target(org_groups=True), a_target(dialect="pifu")])
def test_owner_and_school_are_above_the_course_groups(settings: TargetSettings) -> None:
    outcome = roster(a_group(), a_school(1, orgnr="974 568 012"), settings=settings)
    published = groups(outcome)
    assert published["org-100000008"] == GroupRecord(
        source=SOURCE,
        id="org-100000008",
        kind="skoleeier",
        short="Fjordvik kommune",
        long="Fjordvik kommune",
        owner_name="Fjordvik kommune",
        school_name="",
        begin=None,
        end=None,
        level=GroupLevel.OWNER,
        parent="org-100000008",
        orgnr=ORGNR,
    )
    assert published["school-NO1"] == GroupRecord(
        source=SOURCE,
        id="school-NO1",
        kind="skole",
        short="Fjordvik voksenopplæring (NO1)",
        long="Fjordvik voksenopplæring",
        owner_name="Fjordvik kommune",
        school_name="Fjordvik voksenopplæring",
        begin=None,
        end=None,
        level=GroupLevel.SCHOOL,
        parent="org-100000008",
        orgnr="974568012",
    )
    assert (published["group-1"].level, published["group-1"].parent, published["group-1"].orgnr) == (
        GroupLevel.GROUP,
        "school-NO1",
        None,
    )
    assert [outcome.subjects[published[id_].key] for id_ in ("org-100000008", "school-NO1")] == [
        (None, None),
        (None, None),
    ]


def test_every_parent_is_exported_and_the_owner_is_the_top() -> None:
    published = groups(roster(a_school(1), a_school(2), a_group(1), a_group(2, school=2)))
    assert {group.parent for group in published.values()} <= published.keys()
    assert [group.id for group in published.values() if group.parent == group.id] == ["org-100000008"]


def test_a_roster_always_has_all_schools_with_a_number() -> None:
    facts = facts_of(a_person(), a_school(1), a_school(2, school_no=" 7 "), a_school(3, school_no=None))
    outcome = roster_of(facts, a_target(org_groups=True), orgnr=ORGNR, today=TODAY, persons=[], groups=[])
    assert groups(outcome).keys() == {"org-100000008", "school-NO1", "school-7"}
    assert outcome.excluded == {}


@pytest.mark.parametrize("orgnr", [None, "", "12345", "974568013", "NO974568012MVA"])
def test_a_school_may_have_no_organisation_number(orgnr: str | None) -> None:
    assert groups(roster(a_school(orgnr=orgnr)))["school-NO1"].orgnr is None


def test_an_owner_without_number_has_no_organisation_groups() -> None:
    assert roster(an_owner(orgnr=None)).records == {}
    assert roster(settings=a_target(org_groups=True, enabled=False)).records == {}


def test_schools_with_the_same_number_are_one_school() -> None:
    facts = (a_school(2, school_no="7", name="Sør"), a_school(1, school_no=" 7", name="Nord"))
    outcome = roster(*facts, a_person(), a_group(5, school=2), an_enrolment(group=5), an_employee(school=1))
    assert groups(outcome)["school-7"].long == "Nord"
    assert groups(outcome)["group-5"].parent == "school-7"
    assert schools_of(outcome) == {"school-7": INSTRUCTOR}


def test_a_number_replaces_a_missing_name() -> None:
    published = groups(roster(an_owner(name=" "), a_school(name="")))
    assert (published["org-100000008"].short, published["org-100000008"].long) == (ORGNR, ORGNR)
    assert (published["school-NO1"].short, published["school-NO1"].long) == ("(NO1)", "NO1")


def test_learners_and_teachers_are_members_of_their_schools() -> None:
    schools = [a_school(number) for number in (1, 2, 3)]
    learner = (a_person(1), a_group(1, school=1), a_group(2, school=2), an_enrolment(1), an_enrolment(2, group=2))
    teacher = (a_person(2), an_employee(1, person=2, school=3), an_enrolment(3, person=2, group=1, role="teacher"))
    outcome = roster(*schools, *learner, *teacher)
    assert schools_of(outcome, 1) == {"school-NO1": LEARNER, "school-NO2": LEARNER}
    assert schools_of(outcome, 2) == {"school-NO3": INSTRUCTOR}


def test_a_person_who_teaches_and_learns_instructs_at_the_school() -> None:
    facts = (a_person(), a_school(1), a_school(2), a_group(1, school=1), a_group(2, school=2), an_employee(school=1))
    outcome = roster(*facts, an_enrolment(1, group=1), an_enrolment(2, group=2))
    assert schools_of(outcome) == {"school-NO1": INSTRUCTOR, "school-NO2": LEARNER}


def test_an_instructor_who_learns_in_a_group_learns_at_its_school() -> None:
    facts = (a_person(), a_school(1), a_school(2), a_group(2, school=2), an_employee(school=1))
    outcome = roster(*facts, an_enrolment(1, group=2), an_enrolment(2, group=2, role="teacher"))
    assert schools_of(outcome) == {"school-NO1": INSTRUCTOR, "school-NO2": LEARNER}


def test_only_an_exported_teacher_is_a_member_where_employed() -> None:
    settings = a_target(org_groups=True, include_without_national_id=True)
    facts = (a_person(national_id=None), a_school(1), a_school(2), a_group(2, school=2), an_enrolment(group=2))
    for employee in (an_employee(), an_employee(kind="case_worker"), an_employee(active=False)):
        assert schools_of(roster(*facts, employee, settings=settings)) == {"school-NO2": LEARNER}


def test_an_excluded_person_is_a_member_of_no_school() -> None:
    outcome = roster(a_person(protected=True), a_group(), an_enrolment(), an_employee())
    assert schools_of(outcome) == {}
    assert not any(isinstance(record, MemberRecord) for record in outcome.records.values())


def test_an_excluded_group_gives_no_membership_in_its_school() -> None:
    settings = a_target(org_groups=True, excluded_groups=(2,))
    facts = (a_school(1), a_school(2), a_person(), a_group(1), a_group(2, school=2), an_enrolment(1))
    outcome = roster(*facts, an_enrolment(2, group=2), settings=settings)
    assert schools_of(outcome) == {"school-NO1": LEARNER}


@pytest.mark.parametrize(
    ("template", "changes"),
    [("school-{id}", {}), ("org-{code}", {"code": ORGNR}), ("{code}", {"code": "school-1"})],
)
def test_a_course_group_never_has_an_organisations_id(template: str, changes: dict[str, Any]) -> None:
    facts = (a_person(), a_school(1, school_no="1"), a_group(1, **changes), an_enrolment())
    outcome = roster(*facts, settings=a_target(org_groups=True, group_id=template))
    assert outcome.excluded[GROUP, 1] is Reason.DUPLICATE_ID
    assert {group.level for group in groups(outcome).values()} == {GroupLevel.OWNER, GroupLevel.SCHOOL}
    outcome = roster(*facts, settings=a_target(group_id=template))
    assert (GROUP, 1) not in outcome.excluded


def test_names_of_organisations_are_normalised() -> None:
    settings = a_target(org_groups=True, spell_out_markup=True)
    published = groups(roster(a_school(name="A&B" + "x" * 300), an_owner(name="C&D" + "y" * 300), settings=settings))
    school, owner = published["school-NO1"], published["org-100000008"]
    assert (school.short, len(school.long)) == ("A og B" + "x" * 48 + " (NO1)", 254)
    assert (owner.short, len(owner.long)) == ("C og D" + "y" * 54, 254)


def test_a_membership_in_a_school_has_its_person_as_subject() -> None:
    outcome = roster(a_person(), a_group(), an_enrolment())
    key = RecordKey(RecordKind.MEMBERSHIP, "school-NO1", a_birth_number(1))
    assert outcome.records[key] == MemberRecord(SOURCE, "school-NO1", a_birth_number(1), LEARNER)
    assert outcome.subjects[key] == (1, None)
