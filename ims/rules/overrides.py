"""Persons who must be gone before the source says so: whom that concerns, and when the source has come to agree.

A person may be told to leave, until the source agrees; or be suppressed, which is for a protected identity of which
the source does not know yet, and holds until it is taken back.
"""

from collections.abc import Iterable
from datetime import date

from ims.identifiers import compact
from ims.rules.eligibility import GroupCase, group_is_active, group_is_within_its_dates, is_effective, membership_day
from ims.source.facts import Enrolment, Facts
from ims.targets.target_settings import TargetSettings


def same_persons(facts: Facts, persons: Iterable[int]) -> frozenset[int]:
    """These running numbers, and those that are registered with the national id of one of them.

    Somebody who is registered twice is told under neither number (:data:`ims.rules.eligibility.Reason.DUPLICATE_ID`).
    Were only one of the two suppressed, the other would no longer be a duplicate, and the order would bring into the
    feed the very person whom it is to keep out of it.
    """
    ordered = frozenset(persons)
    numbers = {number for id_ in ordered if (number := _national_id(facts, id_))}
    if not numbers:
        return ordered
    return ordered | {id_ for id_ in facts.persons if _national_id(facts, id_) in numbers}


def has_left(facts: Facts, person_id: int, settings: TargetSettings, today: date) -> bool:
    """Whether the source itself says that a person is nowhere a learner or teacher, or is protected.

    Asked of the person's places alone. That a target does not take a group, that a school has lost its number, or that
    a name is half says nothing about the person, who would come back as soon as it is mended.

    Args:
        settings: of a target; of them only the days of lead and grace count.
        today: the date in the target's time zone.
    """
    person = facts.persons.get(person_id)
    if person is not None and person.protected:
        return True
    if any(one.person_id == person_id and one.kind == "teacher" and one.active for one in facts.employees.values()):
        return False
    own = (enrolment for enrolment in facts.enrolments.values() if enrolment.person_id == person_id)
    return not any(enrolment.role == "learner" and _counts(enrolment, facts, settings, today) for enrolment in own)


def _counts(enrolment: Enrolment, facts: Facts, settings: TargetSettings, today: date) -> bool:
    group = facts.groups.get(enrolment.group_id)
    if group is None:
        return is_effective(enrolment, today)
    case = GroupCase(group, None, "", today, settings)
    runs = group_is_active(case) is None and group_is_within_its_dates(case) is None
    return runs and is_effective(enrolment, membership_day(group, today))


def _national_id(facts: Facts, person_id: int) -> str:
    person = facts.persons.get(person_id)
    return "" if person is None or person.national_id is None else compact(person.national_id.reveal())
