"""The roster against an oracle that says the rules once more, as naively as can be."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ims.facts import CourseGroup, Fact, Facts, Person
from ims.national_id import NationalId
from ims.records import GroupRecord, MemberRecord, PersonRecord
from ims.roster import Roster, roster_of
from ims.targets import TargetSettings
from ims.vocabulary import RecordKind
from tests.builders import (
    ORGNR,
    TODAY,
    a_birth_number,
    a_d_number,
    a_group,
    a_person,
    a_school,
    a_target,
    an_employee,
    an_enrolment,
    an_owner,
    facts_of,
)

VALID = {a_birth_number(1), a_birth_number(2), a_d_number(1)}
DAYS = st.sampled_from([TODAY + timedelta(days=days) for days in (0, 0, 0, -1, 1)])


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual value far more often than not, so that many of the facts lead to records."""
    return st.sampled_from([usual] * (12 * len(others)) + list(others))


def some(make: Callable[..., Fact], count: int, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Fact]]:
    """The facts with the ids 1 to *count*, perhaps without a few of them."""
    all_of_them = st.tuples(*(st.builds(make, id=st.just(id_), **fields) for id_ in range(1, count + 1)))
    missing = st.sampled_from([set[int]()] * 4 + [{id_} for id_ in range(1, count + 1)])
    return st.builds(lambda facts, gone: [fact for fact in facts if fact.id not in gone], all_of_them, missing)


OWNERS = st.builds(an_owner, orgnr=mostly(ORGNR, None, ""))
SCHOOLS = some(a_school, 2, school_no=mostly("NO1", None, " "))
PERSONS = some(
    a_person,
    5,
    national_id=st.sampled_from([*sorted(VALID), *sorted(VALID), None, "", "12345678901"]),
    given_name=mostly("Ada", ""),
    family_name=mostly("Testesen", " "),
    protected=mostly(False, True),
)
EMPLOYEES = some(
    an_employee,
    3,
    person=st.integers(1, 5),
    school=st.integers(1, 2),
    kind=mostly("teacher", "case_worker", "other"),
    active=mostly(True, False),
)
GROUPS = some(
    a_group,
    3,
    school=st.integers(1, 2),
    code=st.sampled_from(["8A", "8B", "8C", "8D", ""]),
    starts_on=mostly(None, TODAY, TODAY + timedelta(days=1)),
    ends_on=mostly(None, TODAY, TODAY - timedelta(days=1)),
    active=mostly(True, False),
)
ENROLMENTS = some(
    an_enrolment,
    10,
    person=st.integers(1, 5),
    group=st.integers(1, 3),
    role=st.sampled_from(["learner", "learner", "teacher"]),
    starts_on=mostly(TODAY - timedelta(days=1), TODAY, TODAY + timedelta(days=1)),
    ends_on=mostly(None, TODAY, TODAY - timedelta(days=1)),
    status=mostly("active", "ended"),
)
FACTS = st.builds(
    lambda owner, *tables: facts_of(owner, *(fact for table in tables for fact in table)),
    OWNERS,
    SCHOOLS,
    PERSONS,
    EMPLOYEES,
    GROUPS,
    ENROLMENTS,
)
TARGETS = st.builds(
    a_target,
    enabled=mostly(True, False),
    include_without_national_id=st.booleans(),
    person_id=st.sampled_from(["national", "national", "running"]),
    group_id=st.sampled_from(["group-{id}", "{code}"]),
)


class Oracle:
    """Says of each person and group whether it is exported; every question is asked anew, of all facts."""

    def __init__(self, facts: Facts, target: TargetSettings, today: date) -> None:
        self.facts, self.target, self.today = facts, target, today

    def on(self) -> bool:
        return self.target.enabled and self.facts.owner is not None and bool(self.facts.owner.orgnr)

    def in_force(self, starts_on: date | None, ends_on: date | None) -> bool:
        return (starts_on or date.min) <= self.today <= (ends_on or date.max)

    def school_ok(self, school_id: int) -> bool:
        school = self.facts.schools.get(school_id)
        return school is not None and school.school_no not in {None, "", " "}

    def group_id(self, group: CourseGroup) -> str:
        return f"group-{group.id}" if self.target.group_id == "group-{id}" else group.code

    def group_alone_ok(self, group: CourseGroup) -> bool:
        dates_ok = self.in_force(group.starts_on, group.ends_on)
        return (
            self.on() and group.active and dates_ok and self.school_ok(group.school_id) and self.group_id(group) != ""
        )

    def group_ok(self, group: CourseGroup) -> bool:
        same = [
            g for g in self.facts.groups.values() if self.group_alone_ok(g) and self.group_id(g) == self.group_id(group)
        ]
        return same == [group]

    def in_groups(self, person: Person, role: str) -> set[int]:
        return {
            e.group_id
            for e in self.facts.enrolments.values()
            if e.person_id == person.id and e.role == role and e.status == "active"
            if self.in_force(e.starts_on, e.ends_on)
            if e.group_id in self.facts.groups and self.group_ok(self.facts.groups[e.group_id])
        }

    def id_ok(self, person: Person) -> bool:
        return person.national_id in {NationalId(number) for number in VALID}

    def teaches(self, person: Person) -> bool:
        jobs = [e for e in self.facts.employees.values() if e.person_id == person.id]
        return self.id_ok(person) and any(
            j.kind == "teacher" and j.active and self.school_ok(j.school_id) for j in jobs
        )

    def learns(self, person: Person) -> bool:
        allowed = self.id_ok(person) or self.target.include_without_national_id
        return allowed and self.in_groups(person, "learner") != set()

    def person_alone_ok(self, person: Person) -> bool:
        named = person.given_name.strip() != "" and person.family_name.strip() != ""
        return self.on() and not person.protected and named and (self.teaches(person) or self.learns(person))

    def person_id(self, person: Person) -> str:
        if person.national_id is not None and self.id_ok(person) and self.target.person_id == "national":
            return person.national_id.reveal()
        return str(person.id)

    def person_ok(self, person: Person) -> bool:
        twins = [p for p in self.facts.persons.values() if self.person_alone_ok(p)]
        return [p for p in twins if self.person_id(p) == self.person_id(person)] == [person]

    def members(self) -> set[tuple[int, int, str]]:
        found = set()
        for person in filter(self.person_ok, self.facts.persons.values()):
            teaching = self.in_groups(person, "teacher") if self.teaches(person) else set()
            found |= {(person.id, group, "02") for group in teaching}
            found |= {(person.id, group, "01") for group in self.in_groups(person, "learner") - teaching}
        return found


def told(roster: Roster) -> tuple[set[int | None], set[int | None], set[tuple[int | None, int | None, str]]]:
    """Running numbers of the persons, groups and memberships in a roster."""
    persons = {roster.owners[key][0] for key, r in roster.records.items() if isinstance(r, PersonRecord)}
    groups = {roster.owners[key][1] for key, r in roster.records.items() if isinstance(r, GroupRecord)}
    members = {
        (*roster.owners[key], record.role.value)
        for key, record in roster.records.items()
        if isinstance(record, MemberRecord)
    }
    return persons, groups, members


@settings(max_examples=400)
@given(facts=FACTS, target=TARGETS, today=DAYS)
def test_exactly_those_are_told_whom_the_rules_let_through(facts: Facts, target: TargetSettings, today: date) -> None:
    roster = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    oracle = Oracle(facts, target, today)
    persons, groups, members = told(roster)
    assert persons == {id_ for id_, person in facts.persons.items() if oracle.person_ok(person)}
    assert groups == {id_ for id_, group in facts.groups.items() if oracle.group_ok(group)}
    assert members == oracle.members()


@given(facts=FACTS, target=TARGETS, today=DAYS)
def test_everybody_has_either_a_record_or_one_reason(facts: Facts, target: TargetSettings, today: date) -> None:
    roster = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    persons, groups, _ = told(roster)
    left_out = {kind: {id_ for k, id_ in roster.left_out if k == kind} for kind in RecordKind}
    assert persons ^ left_out[RecordKind.PERSON] == set(facts.persons)
    assert groups ^ left_out[RecordKind.GROUP] == set(facts.groups)
    assert not persons & left_out[RecordKind.PERSON]
    assert not groups & left_out[RecordKind.GROUP]


@given(facts=FACTS, target=TARGETS, today=DAYS)
def test_a_membership_names_a_person_and_a_group_that_are_told(
    facts: Facts, target: TargetSettings, today: date
) -> None:
    roster = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    ids = {key.id for key in roster.records if key.kind is RecordKind.PERSON}
    for record in roster.records.values():
        if isinstance(record, MemberRecord):
            assert record.person in ids
            assert any(key.kind is RecordKind.GROUP and key.id == record.group for key in roster.records)


@given(facts=FACTS, target=TARGETS, today=DAYS, asked=st.sets(st.integers(1, 5)))
def test_asking_for_some_gives_what_asking_for_all_gives_of_them(
    facts: Facts, target: TargetSettings, today: date, asked: set[int]
) -> None:
    same_id = {p.national_id for p in facts.persons.values() if p.id in asked}
    asked |= {p.id for p in facts.persons.values() if p.national_id in same_id}
    everything = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    some = roster_of(facts, target, orgnr=ORGNR, today=today, persons=asked, groups=asked)
    wanted = {
        key
        for key, (person, group) in everything.owners.items()
        if person in asked or (person is None and group in asked)
    }
    assert some.records == {key: everything.records[key] for key in wanted}
    assert some.left_out == {(kind, id_): r for (kind, id_), r in everything.left_out.items() if id_ in asked}
