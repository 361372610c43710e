from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from deploy.demo.roster import NO_SUCH_SCHOOL, DemoRoster, synthetic_owner
from deploy.demo.synthetic_ids import SyntheticIds
from ims.identifiers import organisation_number
from ims.identifiers.national_id import NationalIdKind, kind_of
from ims.source.facts import Enrolment, Person, Table

TODAY = date(2026, 10, 14)
DAY = timedelta(days=1)


@pytest.fixture(scope="module", params=[1, 2])
def roster(request: pytest.FixtureRequest) -> DemoRoster:
    return synthetic_owner(TODAY, seed=request.param)


def _numbers(persons: Iterable[Person]) -> list[str]:
    return [person.national_id.reveal() for person in persons if person.national_id]


def _kinds(persons: Iterable[Person]) -> Counter[NationalIdKind | None]:
    return Counter(kind_of(person.national_id, allow_test_numbers=True) for person in persons if person.national_id)


def _letters(words: Iterable[str]) -> set[str]:
    return set("".join(words).lower())


def test_the_same_day_and_seed_give_the_same_rows() -> None:
    assert synthetic_owner(TODAY, seed=3) == synthetic_owner(TODAY, seed=3)
    assert synthetic_owner(TODAY, seed=3) != synthetic_owner(TODAY, seed=4)


def test_the_roster_has_the_size_of_a_medium_owner(roster: DemoRoster) -> None:
    counts = {table: len(rows) for table, rows in roster.tables().items()}
    enrolments = counts.pop(Table.ENROLMENT)
    assert counts == {
        Table.OWNER: 1,
        Table.SCHOOL: 4,
        Table.PERSON: 2000,
        Table.EMPLOYEE: 150,
        Table.COURSE_GROUP: 120,
    }
    assert 3800 < enrolments < 4200


def test_every_national_id_is_of_a_synthetic_series(roster: DemoRoster) -> None:
    for number in _numbers(roster.persons):
        assert number.startswith("2099") if len(number) == 12 else 81 <= int(number[2:4]) <= 92


def test_without_test_numbers_allowed_only_the_duf_numbers_are_valid(roster: DemoRoster) -> None:
    kinds = {kind_of(person.national_id, allow_test_numbers=False) for person in roster.persons if person.national_id}
    assert kinds == {None, NationalIdKind.DUF_NUMBER}


def test_every_kind_of_national_id_occurs_also_invalid_ones(roster: DemoRoster) -> None:
    assert _kinds(roster.persons) == {
        NationalIdKind.BIRTH_NUMBER: 1480,
        NationalIdKind.D_NUMBER: 200,
        NationalIdKind.DUF_NUMBER: 200,
        None: 40,
    }
    assert sum(person.national_id is None for person in roster.persons) == 80


def test_no_national_id_is_given_twice(roster: DemoRoster) -> None:
    numbers = _numbers(roster.persons)
    assert len(set(numbers)) == len(numbers)


def test_persons_born_the_same_day_get_different_numbers() -> None:
    ids = SyntheticIds()
    born = date(2001, 2, 3)
    numbers = {ids.birth_number(born) for _ in range(50)} | {ids.d_number(born) for _ in range(50)}
    assert len(numbers) == 100


def test_organisation_numbers_are_valid_but_not_assigned(roster: DemoRoster) -> None:
    for number in [roster.owner.orgnr, *(school.orgnr for school in roster.schools)]:
        assert number is not None
        assert organisation_number.is_valid(number, allow_test_numbers=True)
        assert not organisation_number.is_valid(number)


def test_only_the_smallest_school_has_no_school_number(roster: DemoRoster) -> None:
    (without,) = (school for school in roster.schools if school.school_no is None)
    groups = Counter(group.school_id for group in roster.groups)
    assert groups.pop(without.id) == 2
    assert groups.pop(NO_SUCH_SCHOOL) == 1
    assert set(groups) == {school.id for school in roster.schools} - {without.id}
    assert min(groups.values()) > 30


def test_persons_are_of_every_kind(roster: DemoRoster) -> None:
    assert sum(person.protected for person in roster.persons) == 13
    assert sum(person.feide_name is None for person in roster.persons) == 80
    assert sum(person.feide_name is None and person.email is None for person in roster.persons) == 20
    assert sum(not person.given_name for person in roster.persons) == 5
    assert sum(person.birth_date is None for person in roster.persons) == 25
    assert all(person.family_name for person in roster.persons)


def test_names_have_the_letters_that_occur_in_norway(roster: DemoRoster) -> None:
    letters = _letters(person.given_name + person.family_name for person in roster.persons)
    assert set("æøåáčđŋšŧž'-") <= letters
    assert "&" not in letters
    assert sum("&" in group.name for group in roster.groups) == 1


def test_employees_are_of_every_kind(roster: DemoRoster) -> None:
    assert Counter((employee.kind, employee.active) for employee in roster.employees) == {
        ("teacher", True): 119,
        ("teacher", False): 11,
        ("case_worker", True): 10,
        ("other", True): 8,
        ("other", False): 2,
    }
    teachers = {employee.person_id for employee in roster.employees if employee.kind == "teacher" and employee.active}
    kinds = _kinds(person for person in roster.persons if person.id in teachers)
    assert kinds[NationalIdKind.BIRTH_NUMBER] > 70
    assert kinds[None] > 0
    assert any(person.national_id is None for person in roster.persons if person.id in teachers)


def test_groups_run_have_ended_begin_later_or_are_not_active(roster: DemoRoster) -> None:
    assert {group.programme for group in roster.groups} == {"grunnskole", "norsk", "videregaende", "annet"}
    assert sum(group.ends_on is not None and group.ends_on < TODAY for group in roster.groups) == 6
    assert sum(group.starts_on is not None and group.starts_on > TODAY for group in roster.groups) == 6
    assert sum(not group.active for group in roster.groups) == 4
    assert sum(group.starts_on is None for group in roster.groups) == 6
    assert sum(group.ends_on is None for group in roster.groups) == 6


def _of(learners: list[Enrolment], **fields: object) -> int:
    return sum(all(getattr(row, name) == value for name, value in fields.items()) for row in learners)


def test_enrolments_are_of_every_kind(roster: DemoRoster) -> None:
    learners = [row for row in roster.enrolments if row.role == "learner"]
    assert _of(learners, ends_on=TODAY - DAY) > 40
    assert _of(learners, ends_on=TODAY) > 40
    assert _of(learners, starts_on=TODAY + DAY) > 40
    assert _of(learners, starts_on=TODAY) > 40
    assert _of(learners, status="withdrawn") > 40
    assert _of(learners, ends_on=None, status="active") > 2000
    assert len(roster.enrolments) - len(learners) > 200


def test_persons_are_in_any_number_of_groups_some_twice(roster: DemoRoster) -> None:
    pairs = Counter((row.person_id, row.group_id) for row in roster.enrolments)
    assert sum(count == 2 for count in pairs.values()) == 20
    groups_of_a_person = Counter(Counter(person for person, _ in pairs).values())
    assert set(groups_of_a_person) == {1, 2, 3}
    assert len({row.person_id for row in roster.enrolments}) == 1980


def test_a_teacher_may_also_be_a_learner(roster: DemoRoster) -> None:
    learners = {row.person_id for row in roster.enrolments if row.role == "learner"}
    assert learners & {employee.person_id for employee in roster.employees if employee.kind == "teacher"}
