"""What is lost because a school has no school number: a mistake in one field must not empty a school."""

from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason, has_school_number
from ims.rules.roster import Roster
from ims.source.facts import Facts


def groups_without_school_number(roster: Roster) -> list[int]:
    """Return the running numbers of the groups that are excluded because their school has no school number."""
    return [
        id_
        for (kind, id_), reason in roster.excluded.items()
        if kind is RecordKind.GROUP and reason is Reason.SCHOOL_WITHOUT_NUMBER
    ]


def has_school_without_number(facts: Facts) -> bool:
    """Return True if a school of the owner has no school number: a school's group may be removed because of that."""
    return not all(map(has_school_number, facts.schools.values()))


def teachers_without_school_number(facts: Facts) -> frozenset[int]:
    """Return the persons who are employed as active teachers at a school that has no school number."""
    without = {school.id for school in facts.schools.values() if not has_school_number(school)}
    return frozenset(
        employee.person_id
        for employee in facts.employees.values()
        if employee.kind == "teacher" and employee.active and employee.school_id in without
    )
