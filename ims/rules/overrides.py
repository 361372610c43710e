"""What overrides everything else about a person: an operator's orders, and the protection of an identity.

``leave-now`` removes a person until the source itself no longer has them as a learner or teacher. ``suppress`` is for a
protected identity that the source does not know yet, and lasts until the operator takes it back.
"""

from collections.abc import Iterable
from datetime import date

import msgspec

from ims.identifiers.national_id import shared_number
from ims.rules.eligibility import (
    GroupCase,
    Reason,
    group_is_active,
    group_is_within_its_dates,
    is_effective,
    membership_day,
)
from ims.source.facts import Enrolment, Facts
from ims.targets.target_settings import TargetSettings


def with_same_national_id(facts: Facts, persons: Iterable[int]) -> frozenset[int]:
    """Return these running numbers, and those that are registered with the national id of one of them.

    A person who is registered twice is exported under neither running number
    (:data:`ims.rules.eligibility.Reason.DUPLICATE_ID`). If only one of the two were suppressed or protected, the other
    would no longer be a duplicate, and the very person would come into the feed who is to be kept out.

    A text that cannot be a national id (``-``, ``ukjent``, ``00000000000``) counts for no person: schools type it for
    everyone whose number they do not know, and one protected person must not exclude all of them.

    The protection lasts as long as a registration with it. If the source deletes the protected one of two, it says that
    the person who is left is not protected, and that one is exported like anyone else: nothing else distinguishes a
    correction from a mistake. An operator who is not sure suppresses the person, which no change of the source ends.
    """
    ordered = frozenset(persons)
    numbers = {number for id_ in ordered if (number := _national_id(facts, id_))}
    if not numbers:
        return ordered
    return ordered | {id_ for id_ in facts.persons if _national_id(facts, id_) in numbers}


def has_left(facts: Facts, person_id: int, settings: TargetSettings, today: date) -> bool:
    """Return True if by the source itself a person neither has nor will have a place anywhere, or is protected.

    A place is an enrolment as learner or an employment as teacher. One that begins on a later day counts: it was known
    when the removal was ordered, and would bring the person in again on that day.

    Only the person's enrolments and employments count. That a target excludes a group, that a school has lost its
    number, or that a name is incomplete does not count: the person would come back as soon as that is corrected.

    Args:
        settings: of a target; only ``lead_days`` and ``grace_days`` are used.
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
    """Return True if an enrolment counts today or may count on a later day."""
    group = facts.groups.get(enrolment.group_id)
    if group is None:
        return _is_not_over(enrolment, today)
    case = GroupCase(group, None, "", today, settings)
    if group_is_active(case) is not None or group_is_within_its_dates(case) is Reason.GROUP_ENDED:
        return False
    return _is_not_over(enrolment, min(membership_day(group, today), today))


def _is_not_over(enrolment: Enrolment, day: date) -> bool:
    return is_effective(msgspec.structs.replace(enrolment, starts_on=min(enrolment.starts_on, day)), day)


def _national_id(facts: Facts, person_id: int) -> str | None:
    person = facts.persons.get(person_id)
    return None if person is None or person.national_id is None else shared_number(person.national_id.reveal())
