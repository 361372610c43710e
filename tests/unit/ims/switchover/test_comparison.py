"""An existing file against a target's roster: what its importer would see on the first day."""

from io import BytesIO

import msgspec
import pytest

from ims.rules.eligibility import Reason
from ims.switchover.comparison import Comparison, DifferenceType, MissingReason
from ims.switchover.comparison_rows import Row, reasons, rows_of, summary
from ims.switchover.existing_file import read_old_file
from ims.switchover.matching import collect
from tests.support.builders import (
    a_birth_number,
    a_duf_number,
    a_group,
    a_person,
    a_target,
    an_employee,
    an_enrolment,
    facts_of,
)
from tests.support.old_files import (
    FACTS,
    GROUP,
    LOGIN,
    MEMBER,
    NUMBER,
    PERSON,
    compared,
    old_file,
    old_group,
    old_member,
    old_person,
    sourcedid,
)


def types_of(comparison: Comparison) -> list[tuple[str, DifferenceType, str]]:
    return [(one.kind, one.what, one.reason.value if one.reason else "") for one in comparison.differences]


def test_an_equal_file_has_no_difference() -> None:
    found = compared(old_file(PERSON, GROUP, MEMBER), FACTS)
    assert found.differences == []
    assert found.old == found.new == {"person": 1, "group": 1, "membership": 1}


def test_a_disabled_target_is_compared_as_if_enabled() -> None:
    assert compared(old_file(PERSON, GROUP, MEMBER), FACTS, a_target(enabled=False)).differences == []


def test_a_missing_record_has_its_reason() -> None:
    facts = facts_of(
        a_person(1, protected=True),
        a_person(2, national_id=None),
        a_group(7),
        a_group(8, active=False),
        an_enrolment(1, person=1, group=7),
        an_enrolment(2, person=2, group=7),
    )
    file = old_file(
        old_person(NUMBER),
        old_person("2", name="Ada Testesen 2"),
        old_person("elsewhere"),
        old_group("group-8", "B8"),
        old_group("org", "Fjordvik"),
        old_member("group-8", NUMBER),
        old_member("group-8", "elsewhere"),
    )
    found = compared(file, facts)
    assert types_of(found) == [
        ("person", DifferenceType.MISSING, Reason.PERSON_PROTECTED),
        ("person", DifferenceType.MISSING, Reason.NATIONAL_ID_MISSING),
        ("person", DifferenceType.MISSING, MissingReason.NOT_REGISTERED),
        ("group", DifferenceType.MISSING, Reason.GROUP_INACTIVE),
        ("group", DifferenceType.MISSING, MissingReason.NOT_REGISTERED),
        ("group", DifferenceType.NEW, ""),
        ("membership", DifferenceType.MISSING, Reason.GROUP_INACTIVE),
        ("membership", DifferenceType.MISSING, MissingReason.NOT_REGISTERED),
    ]
    assert reasons(found)["group", Reason.GROUP_INACTIVE.value] == 1
    assert summary(found)["membership"] == {DifferenceType.MISSING: 2}


def test_memberships_are_compared_in_both_directions_and_by_role() -> None:
    facts = facts_of(
        a_person(1),
        a_person(2),
        a_group(7),
        a_group(8),
        an_enrolment(1, person=1, group=7),
        an_enrolment(2, person=1, group=8),
        an_enrolment(3, person=2, group=8),
        an_employee(person=1),
    )
    file = old_file(
        PERSON,
        old_person(a_birth_number(2), "ada2@fjordvik.example"),
        GROUP,
        old_group("group-8", "B8"),
        old_member("group-7", NUMBER, "02"),
        old_member("group-8", NUMBER),
        old_member("group-7", a_birth_number(2)),
        old_member("group-8", "not in the file"),
    )
    found = compared(file, facts)
    assert [(one.kind, one.what, one.number, one.group) for one in found.differences] == [
        ("membership", DifferenceType.ROLE, 1, 7),
        ("membership", DifferenceType.MISSING, 2, 7),
        ("membership", DifferenceType.NEW, 2, 8),
    ]
    assert found.differences[1].reason is MissingReason.NOT_ENROLLED


def test_a_repeated_membership_counts_once() -> None:
    assert compared(old_file(PERSON, GROUP, MEMBER, MEMBER), FACTS).differences == []


def test_a_row_has_kinds_of_ids_but_no_national_id() -> None:
    facts = facts_of(a_person(1), a_group(7), an_enrolment(person=1, group=7))
    file = old_file(
        old_person(a_duf_number(1), email="ada1@example.org"),
        old_person(a_birth_number(2), name=f"Bo {a_birth_number(2)}"),
        old_group("NO1-B7", "B7"),
        old_member("NO1-B7", a_birth_number(2)),
    )
    rows = rows_of(compared(file, facts).differences, facts)
    assert rows == [
        Row("person", "1", "", "Ada Testesen 1", "duf_number", "birth_number", "id_changes", ""),
        Row("person", "1", "", "Ada Testesen 1", "none", "feide_name", "login_changes", ""),
        Row("person", "", "", "Bo ***********", "birth_number", "", "missing", "not_registered"),
        Row("group", "", "7", "Norsk B7", "{code}{school_no}", "{id}", "id_changes", ""),
        Row("membership", "", "7", "Norsk B7", "", "", "missing", "not_registered"),
        Row("membership", "1", "7", "Ada Testesen 1", "", "", "new", ""),
    ]
    assert not any(number in msgspec.json.encode(rows).decode() for number in (a_duf_number(1), a_birth_number(2)))


@pytest.mark.parametrize("protected", [(1,), (4,)])
def test_a_protected_person_is_named_by_the_running_number_alone(protected: tuple[int, ...]) -> None:
    facts = facts_of(
        a_group(7, name="Norsk B7", code="B7"),
        a_person(1, given_name="Ada", protected=1 in protected),
        # Registered a second time under the same national id.
        *([] if 4 not in protected else [a_person(4, national_id=a_birth_number(1), protected=True)]),
        an_enrolment(3, person=1, group=7),
    )
    file = old_file(old_person(a_birth_number(1)), old_group("NO1-B7", "B7"), old_member("NO1-B7", a_birth_number(1)))
    rows = rows_of(compared(file, facts).differences, facts)
    of_persons = [row for row in rows if row.kind == "person" or row.running_number]
    assert "person" in {row.kind for row in of_persons}
    assert {(row.name, row.group) for row in of_persons} == {("", "")}


def test_a_parent_group_with_members_is_not_registered() -> None:
    parent = f"<relationship>{sourcedid('top')}<label/></relationship></group>"
    top, group = (text.replace("</group>", parent) for text in (old_group("top", "Alle"), GROUP))
    found = compared(old_file(PERSON, top, group, MEMBER, old_member("top", NUMBER)), FACTS)
    assert types_of(found)[0] == ("group", DifferenceType.MISSING, MissingReason.NOT_REGISTERED)


def test_a_parent_group_without_members_is_an_organisation() -> None:
    parent = f"<relationship>{sourcedid('top')}<label/></relationship></group>"
    top, group = (text.replace("</group>", parent) for text in (old_group("top", "Alle"), GROUP))
    found = compared(old_file(PERSON, top, group, MEMBER), FACTS)
    assert types_of(found) == [("group", DifferenceType.MISSING, MissingReason.ORGANISATION)]


def test_pifu_files_are_recognised_and_their_schools_found() -> None:
    namespace = "http://pifu.no/xsd/pifu-ims_sas/pifu-ims_sas-1.2"
    text = (
        f'<enterprise xmlns="{namespace}">{old_person(NUMBER, LOGIN)}'
        f"{old_group('owner', 'B7', 'Fjordvik kommune')}{old_group('group-7', 'B7')}{MEMBER}</enterprise>"
    ).replace(
        "<description>", "<grouptype><scheme>pifu-ims-go-org</scheme><typevalue level='1'/></grouptype><description>", 1
    )
    old = collect(read_old_file(BytesIO(text.encode())))
    file, group = compared(old, FACTS).differences
    assert (file.kind, file.what) == ("file", DifferenceType.DIALECT)
    assert (group.kind, group.reason) == ("group", MissingReason.ORGANISATION)
    found = compared(old, FACTS, a_target(dialect="pifu"))
    assert [(one.kind, one.what) for one in found.differences] == [
        ("group", DifferenceType.ID),
        ("group", DifferenceType.NEW),
        ("membership", DifferenceType.NEW),
    ]
