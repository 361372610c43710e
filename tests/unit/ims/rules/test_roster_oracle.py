"""The roster against an oracle that implements the rules again, as simply as possible."""

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from ims.identifiers.national_id import NationalId
from ims.records.model import GroupRecord, MemberRecord, PersonRecord
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster, roster_of
from ims.source.facts import CourseGroup, Enrolment, Facts, Person
from ims.targets.target_settings import TargetSettings
from tests.support.builders import ORGNR
from tests.unit.ims.rules.random_facts import DAYS, FACTS, MISTYPED_DUF, TARGETS, VALID


class Oracle:
    """Decides for each person and group whether it is exported; every method evaluates all facts again.

    Of several with one id, the one that is published under it stays.
    """

    def __init__(
        self,
        facts: Facts,
        target: TargetSettings,
        today: date,
        first_persons: Mapping[int, str] = MappingProxyType({}),
        first_groups: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self.facts, self.target, self.today = facts, target, today
        self.first_persons, self.first_groups = first_persons, first_groups

    def on(self) -> bool:
        return self.target.enabled and self.facts.owner is not None and bool(self.facts.owner.orgnr)

    def school_ok(self, school_id: int) -> bool:
        school = self.facts.schools.get(school_id)
        return school is not None and (school.school_no or "").strip() in {"NO1", "NO2"}

    def with_orgs(self) -> bool:
        return self.on() and (self.target.org_groups or self.target.dialect == "pifu")

    def school_group(self, school_id: int) -> str:
        return "school-" + (self.facts.schools[school_id].school_no or "").strip()

    def school_groups(self) -> set[str]:
        return {self.school_group(id_) for id_ in self.facts.schools if self.with_orgs() and self.school_ok(id_)}

    def group_id(self, group: CourseGroup) -> str:
        return f"group-{group.id}" if self.target.group_id == "group-{id}" else group.code.strip()

    def wanted(self, group: CourseGroup) -> bool:
        in_scope = group.programme == "grunnskole" or self.target.scope == "all"
        return (
            in_scope
            and group.kind.strip().lower() not in self.target.excluded_kinds
            and group.id not in self.target.excluded_groups
        )

    def own_days(self, group: CourseGroup) -> list[date]:
        """Return the days around today that are within the group's dates."""
        days = [self.today + timedelta(days=number) for number in range(-20, 21)]
        return [day for day in days if (group.starts_on or date.min) <= day <= (group.ends_on or date.max)]

    def dates_ok(self, group: CourseGroup) -> bool:
        early = [
            day - timedelta(days=number) for day in self.own_days(group) for number in range(self.target.lead_days + 1)
        ]
        late = [
            day + timedelta(days=number) for day in self.own_days(group) for number in range(self.target.grace_days + 1)
        ]
        return self.today in early + late

    def group_alone_ok(self, group: CourseGroup) -> bool:
        return (
            self.on()
            and self.wanted(group)
            and group.active
            and self.dates_ok(group)
            and self.school_ok(group.school_id)
            and 0 < len(self.group_id(group)) <= 100
        )

    def group_ok(self, group: CourseGroup) -> bool:
        same = [
            g for g in self.facts.groups.values() if self.group_alone_ok(g) and self.group_id(g) == self.group_id(group)
        ]
        first = same == [group] or (group in same and self.first_groups.get(group.id) == self.group_id(group))
        return first and self.group_id(group) not in self.school_groups()

    def counts(self, enrolment: Enrolment) -> bool:
        """Return True if the enrolment counts today, or on the group's nearest day if today is outside its dates."""
        group = self.facts.groups[enrolment.group_id]
        nearest = min(self.own_days(group), key=lambda day: abs(day - self.today))
        return enrolment.starts_on <= nearest <= (enrolment.ends_on or date.max)

    def in_groups(self, person: Person, role: str) -> set[int]:
        return {
            e.group_id
            for e in self.facts.enrolments.values()
            if e.person_id == person.id and e.role == role and e.status == "active"
            if e.group_id in self.facts.groups and self.group_ok(self.facts.groups[e.group_id])
            if self.counts(e)
        }

    def id_ok(self, person: Person) -> bool:
        lenient = {MISTYPED_DUF} if self.target.duf_check == "warn" else set()
        return person.national_id in {NationalId(number) for number in VALID | lenient}

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
        return self.on() and not self.hidden(person) and named and (self.teaches(person) or self.learns(person))

    def hidden(self, person: Person) -> bool:
        same = [p for p in self.facts.persons.values() if person.national_id and p.national_id == person.national_id]
        return any(p.protected for p in [person, *same])

    def person_id(self, person: Person) -> str:
        if person.national_id is not None and self.id_ok(person) and self.target.person_id == "national":
            return person.national_id.reveal()
        return str(person.id)

    def person_ok(self, person: Person) -> bool:
        others = [p for p in self.facts.persons.values() if self.person_alone_ok(p)]
        same = [p for p in others if self.person_id(p) == self.person_id(person)]
        return same == [person] or (person in same and self.first_persons.get(person.id) == self.person_id(person))

    def members(self) -> set[tuple[int, int, str]]:
        found = set()
        for person in filter(self.person_ok, self.facts.persons.values()):
            teaching = self.in_groups(person, "teacher") if self.teaches(person) else set()
            found |= {(person.id, group, "02") for group in teaching}
            found |= {(person.id, group, "01") for group in self.in_groups(person, "learner") - teaching}
        return found

    def school_members(self) -> set[tuple[int, str, str]]:
        found = set()
        for person in filter(self.person_ok, self.facts.persons.values()) if self.with_orgs() else ():
            jobs = [e for e in self.facts.employees.values() if e.person_id == person.id and self.teaches(person)]
            jobs = [e for e in jobs if e.kind == "teacher" and e.active and self.school_ok(e.school_id)]
            teaches_at = {self.school_group(e.school_id) for e in jobs}
            groups = [self.facts.groups[id_] for id_ in self.in_groups(person, "learner")]
            learns_at = {self.school_group(group.school_id) for group in groups}
            found |= {(person.id, school, "02") for school in teaches_at}
            found |= {(person.id, school, "01") for school in learns_at - teaches_at}
        return found


def exported(roster: Roster) -> tuple[set[int | None], set[int | None], set[tuple[int | None, int | None, str]]]:
    """Return the running numbers of the persons, groups and memberships in a roster."""
    persons = {roster.subjects[key][0] for key, r in roster.records.items() if isinstance(r, PersonRecord)}
    groups = {roster.subjects[key][1] for key, r in roster.records.items() if isinstance(r, GroupRecord)} - {None}
    members = {
        (*roster.subjects[key], record.role.value)
        for key, record in roster.records.items()
        if isinstance(record, MemberRecord) and roster.subjects[key][1] is not None
    }
    return persons, groups, members


@settings(max_examples=400)
@given(facts=FACTS, target=TARGETS, today=DAYS)
def test_the_roster_has_exactly_what_the_oracle_exports(facts: Facts, target: TargetSettings, today: date) -> None:
    roster = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    oracle = Oracle(facts, target, today)
    persons, groups, members = exported(roster)
    assert persons == {id_ for id_, person in facts.persons.items() if oracle.person_ok(person)}
    assert groups == {id_ for id_, group in facts.groups.items() if oracle.group_ok(group)}
    assert members == oracle.members()
    schools = {
        key.id for key in roster.records if key.kind is RecordKind.GROUP and roster.subjects[key] == (None, None)
    }
    assert schools == (oracle.school_groups() | {f"org-{ORGNR}"} if oracle.with_orgs() else set())
    assert oracle.school_members() == {
        (roster.subjects[key][0], record.group, record.role.value)
        for key, record in roster.records.items()
        if isinstance(record, MemberRecord) and roster.subjects[key][1] is None
    }


@given(facts=FACTS, target=TARGETS, today=DAYS)
def test_only_a_mistyped_duf_number_gives_a_warning(facts: Facts, target: TargetSettings, today: date) -> None:
    roster = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    mistyped = {p.id for p in facts.persons.values() if p.national_id == NationalId(MISTYPED_DUF)}
    persons, _, _ = exported(roster)
    # With "refuse" the number is not valid; the person is exported under the running number or not at all.
    checked = mistyped & persons if target.duf_check == "warn" else set()
    assert {id_ for kind, id_ in roster.warnings if kind is RecordKind.PERSON} == checked


@given(facts=FACTS, target=TARGETS, today=DAYS)
def test_every_person_has_a_record_or_one_reason(facts: Facts, target: TargetSettings, today: date) -> None:
    roster = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    persons, groups, _ = exported(roster)
    excluded = {kind: {id_ for k, id_ in roster.excluded if k == kind} for kind in RecordKind}
    assert persons ^ excluded[RecordKind.PERSON] == set(facts.persons)
    assert groups ^ excluded[RecordKind.GROUP] == set(facts.groups)
    assert not persons & excluded[RecordKind.PERSON]
    assert not groups & excluded[RecordKind.GROUP]


@given(facts=FACTS, target=TARGETS, today=DAYS)
def test_a_membership_refers_to_an_exported_person_and_group(facts: Facts, target: TargetSettings, today: date) -> None:
    roster = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    ids = {key.id for key in roster.records if key.kind is RecordKind.PERSON}
    for record in roster.records.values():
        if isinstance(record, MemberRecord):
            assert record.person in ids
            assert any(key.kind is RecordKind.GROUP and key.id == record.group for key in roster.records)


@given(facts=FACTS, target=TARGETS, today=DAYS, asked=st.sets(st.integers(1, 5)))
def test_a_partial_roster_agrees_with_the_whole_roster(
    facts: Facts, target: TargetSettings, today: date, asked: set[int]
) -> None:
    same_id = {p.national_id for p in facts.persons.values() if p.id in asked}
    asked |= {p.id for p in facts.persons.values() if p.national_id in same_id}
    everything = roster_of(facts, target, orgnr=ORGNR, today=today, persons=facts.persons, groups=facts.groups)
    some = roster_of(facts, target, orgnr=ORGNR, today=today, persons=asked, groups=asked)
    wanted = {
        key
        for key, (person, group) in everything.subjects.items()
        if person in asked or (person is None and (group is None or group in asked))
    }
    assert some.records == {key: everything.records[key] for key in wanted}
    assert some.excluded == {(kind, id_): r for (kind, id_), r in everything.excluded.items() if id_ in asked}
