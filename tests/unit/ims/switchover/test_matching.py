"""The matching of an existing file's persons and groups with the facts."""

import pytest

from ims.switchover.comparison import DifferenceType
from ims.switchover.group_templates import likely_templates
from ims.switchover.matching import match_records
from tests.support.builders import (
    a_birth_number,
    a_group,
    a_person,
    a_school,
    an_employee,
    facts_of,
)
from tests.support.old_files import (
    FACTS,
    LOGIN,
    NUMBER,
    compared,
    old_file,
    old_group,
    old_person,
    sourcedid,
)

SCHOOLS = (a_school(1, name="Nord"), a_school(2, name="Sør"))


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (old_person("p-1", NUMBER, LOGIN), [DifferenceType.ID, DifferenceType.LOGIN]),
        (old_person("1", LOGIN), [DifferenceType.ID]),
        (old_person(f"{NUMBER[:6]} {NUMBER[6:]}", LOGIN), [DifferenceType.ID]),
        (old_person("x", "ADA1@FJORDVIK.EXAMPLE"), [DifferenceType.ID, DifferenceType.LOGIN]),
        (old_person("x", email="Ada1@example.org"), [DifferenceType.ID, DifferenceType.LOGIN]),
        (old_person(NUMBER, LOGIN, source="older"), [DifferenceType.SOURCE]),
        (old_person("1", LOGIN, name="Bo Annen"), [DifferenceType.ID]),
    ],
)
def test_a_person_is_matched_by_any_shared_identifier(person: str, expected: list[DifferenceType]) -> None:
    found = compared(old_file(person), facts_of(a_person(1), an_employee(person=1)))
    assert [one.what for one in found.differences if one.kind == "person"] == expected


def test_a_running_number_does_not_match_another_name() -> None:
    assert match_records(old_file(old_person("1", name="Bo Annen")), facts_of(a_person(1)), []).persons == {}


def test_an_address_of_two_persons_matches_neither() -> None:
    facts = facts_of(a_person(1, email="post@example.org"), a_person(2, email="post@example.org"))
    assert match_records(old_file(old_person("x", email="post@example.org")), facts, []).persons == {}


def test_a_national_id_comes_before_an_address() -> None:
    facts = facts_of(a_person(1), a_person(2, email="shared@example.org"), an_employee(1), an_employee(2, person=2))
    file = old_file(old_person("x", a_birth_number(2)), old_person("y", NUMBER, email="shared@example.org"))
    found = compared(file, facts)
    assert [(one.number, one.what) for one in found.differences if one.what is DifferenceType.ID] == [
        (2, DifferenceType.ID),
        (1, DifferenceType.ID),
    ]


def test_a_person_is_matched_once() -> None:
    file = old_file(old_person(NUMBER, LOGIN), old_person("x", email="ada1@example.org"))
    assert match_records(file, FACTS, []).persons == {NUMBER: 1}


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (old_group("x", long="NORSK b7"), {"x": 7}),
        (old_group("x", short="8A", school="Sør"), {"x": 9}),
        (old_group("x", short="8A"), {}),
        (old_group("x", short="B7"), {"x": 7}),
        (old_group("group-7", short="Other"), {"group-7": 7}),
    ],
)
def test_a_group_is_matched_by_id_code_and_name(group: str, expected: dict[str, int]) -> None:
    facts = facts_of(*SCHOOLS, a_group(7), a_group(8, code="8A"), a_group(9, code="8A", name="8A i sør", school=2))
    assert match_records(old_file(group), facts, ["group-{id}"]).groups == expected


def test_groups_with_coinciding_numbers_are_matched_by_name() -> None:
    file = old_file(old_group("7", "Norsk B8"), old_group("8", "Norsk B7"))
    assert match_records(file, facts_of(a_group(7), a_group(8)), ["{id}"]).groups == {"7": 8, "8": 7}


def test_a_groups_school_may_be_the_group_above_it() -> None:
    facts = facts_of(*SCHOOLS, a_group(8, code="8A"), a_group(9, code="8A", name="8A i sør", school=2))
    parent = f"<relationship relation='1'>{sourcedid('s2')}<label/></relationship></group>"
    file = old_file(old_group("s2", "Sør"), old_group("x", "8A").replace("</group>", parent))
    assert match_records(file, facts, []).groups == {"x": 9}


@pytest.mark.parametrize(
    ("ids", "template"),
    [
        ("grp-{id}", "grp-{id}"),
        ("{school_no}-{code}", "{school_no}-{code}"),
        ("{code}:2026", "{code}:2026"),
        ("{{{id}}}", "{{{id}}}"),
    ],
)
def test_a_template_is_found_from_the_ids_alone(ids: str, template: str) -> None:
    groups = [a_group(number + 100, code=f"K{number}x", school=1 + number % 2) for number in range(12)]
    facts = facts_of(*SCHOOLS, *groups)
    made = [ids.format(id=group.id, code=group.code, school_no=f"NO{group.school_id}") for group in groups]
    assert likely_templates(old_file(*map(old_group, made)), facts)[0] == template


def test_a_template_with_less_literal_text_comes_first() -> None:
    assert likely_templates(old_file(old_group("B7"), old_group("B8")), facts_of(a_group(7), a_group(8))) == [
        "{code}",
        "B{id}",
    ]


def test_a_school_does_not_match_a_course_group() -> None:
    organisation = "<grouptype><scheme>pifu-ims-go-org</scheme><typevalue level='2'/></grouptype><description>"
    school = old_group("x", "Norsk B7").replace("<description>", organisation)
    assert match_records(old_file(school), FACTS, []).groups == {}
