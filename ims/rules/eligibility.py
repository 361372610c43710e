"""Who is exported to a target, and the one first reason why the others are not.

A rule is one function that takes one case and returns a reason, or ``None``. The rules of each kind are in a tuple, and
their order there decides which reason comes first: the rules of the whole target, then those of a group, then, once the
exported groups are known, those of a person (:mod:`ims.rules.person_eligibility`).

Sources named below: "seed" is the user guide of Visma Voksenopplæring, chapter "Eksport IMS"; "Identum" is Identum's
documentation of eADM and eFeide; "itslearning" and "Moodle" are the documentation and the code of their importers.
"""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from ims.identifiers import compact, organisation_number
from ims.identifiers.disclosure import discloses
from ims.records.text import clean_identifier, clean_text
from ims.source.facts import CourseGroup, Employee, Enrolment, Owner, School
from ims.targets.target_settings import TargetSettings

SCHOOL_NUMBER_LIMIT: Final = 32
"""Characters that a school number may have: it becomes part of ids and, in brackets, of a group's short name. The
school numbers in use are much shorter, and a longer text in that field is something else."""


class Reason(StrEnum):
    """Why a person or group is not exported; if several apply, the one that comes first here is the reason."""

    TARGET_DISABLED = "target_disabled"
    """Nothing is published until an operator enables the target."""
    OWNER_WITHOUT_NUMBER = "owner_without_number"
    """The owner has no valid organisation number, or its row has not arrived."""
    GROUP_EXCLUDED = "group_excluded"
    """The target's settings exclude this group."""
    KIND_EXCLUDED = "kind_excluded"
    """The target's settings exclude groups of this kind."""
    OUT_OF_SCOPE = "out_of_scope"
    """The target takes only the groups of grunnskole, and the group is of another programme."""
    SCHOOL_UNKNOWN = "school_unknown"
    """The group's school has not arrived, or was deleted."""
    SCHOOL_WITHOUT_NUMBER = "school_without_number"
    """The group's school has no school number."""
    GROUP_INACTIVE = "group_inactive"
    """The group is not marked active."""
    GROUP_NOT_STARTED = "group_not_started"
    """The group's first day is still to come."""
    GROUP_ENDED = "group_ended"
    """The group's last day is over."""
    GROUP_WITHOUT_ID = "group_without_id"
    """The target's template gives an empty id, because the group has no code."""
    ID_DISCLOSES_NATIONAL_ID = "id_discloses_national_id"
    """The target's template gives an id that contains a national id, which all users of an importer could read."""
    ID_TOO_LONG = "id_too_long"
    """The target's template gives an id that importers do not accept; truncated, two groups could have the same."""
    PERSON_PROTECTED = "person_protected"
    """The person's identity is protected (skjermet); never exported, whatever the settings."""
    PERSON_SUPPRESSED = "person_suppressed"
    """An operator has ordered that the person is never exported, before the source says that they are protected."""
    NAME_INCOMPLETE = "name_incomplete"
    """Given or family name is blank."""
    NO_ACTIVE_ENROLMENT = "no_active_enrolment"
    """Neither a learner in an exported group nor an active teacher at a school with a school number."""
    NATIONAL_ID_MISSING = "national_id_missing"
    """A learner without a national id, and the target takes no learners without one."""
    NATIONAL_ID_INVALID = "national_id_invalid"
    """A learner whose national id is not valid, and the target takes no learners without a valid one."""
    TEACHER_WITHOUT_VALID_ID = "teacher_without_valid_id"
    """A teacher whose national id is missing or not valid; teachers need one, whatever the settings."""
    NO_LOGIN = "no_login"
    """Neither Feide name nor e-mail address can be the login that the target takes, and its importer makes no account
    without one."""
    LEAVE_NOW = "leave_now"
    """Removed by an operator's order; the source still has the person as a learner or teacher."""
    DUPLICATE_ID = "duplicate_id"
    """Another person, or group, would have the same id. The one that was published first stays; if neither was, no rule
    says which of them is meant, and neither is exported."""
    LOGIN_TAKEN = "login_taken"
    """Another person has the same login, and the target excludes a person who would be published without one."""


IMMEDIATE: Final = frozenset({Reason.PERSON_PROTECTED, Reason.PERSON_SUPPRESSED, Reason.LEAVE_NOW})
"""Reasons that nothing may delay: a removal for one of them never waits for an approval."""


class TargetCase(msgspec.Struct, frozen=True):
    """What the rules of a whole target take."""

    settings: TargetSettings
    owner: Owner | None


class GroupCase(msgspec.Struct, frozen=True):
    """What the rules of a group take. ``id`` is what its ``sourcedid/id`` would be."""

    group: CourseGroup
    school: School | None
    id: str
    today: date
    settings: TargetSettings


Case = TypeVar("Case")


def first_reason(rules: Iterable[Callable[[Case], Reason | None]], case: Case) -> Reason | None:
    """Return the reason of the first rule that gives one; ``None`` if the case is exported."""
    for rule in rules:
        reason = rule(case)
        if reason is not None:
            return reason
    return None


def target_is_enabled(case: TargetCase) -> Reason | None:
    """Return a reason unless an operator has enabled the export (seed)."""
    return None if case.settings.enabled else Reason.TARGET_DISABLED


def owner_has_number(case: TargetCase) -> Reason | None:
    """Return a reason if the owner has no organisation number (seed).

    The number names the feed and goes into every record's ``sourcedid/source``.
    """
    number = "" if case.owner is None else compact(case.owner.orgnr or "")
    if organisation_number.is_valid(number, allow_test_numbers=case.settings.allow_test_numbers):
        return None
    return Reason.OWNER_WITHOUT_NUMBER


TARGET_RULES: Final = (target_is_enabled, owner_has_number)
"""The rules of a whole target; a reason here applies to all its persons and groups."""


def school_number(school: School) -> str:
    """Return the school number as it is written to a file; empty if there is none. It has no check digit.

    A text that is too long for a number, or that contains a national id, is none.
    """
    number = clean_identifier(school.school_no or "")
    return number if len(number) <= SCHOOL_NUMBER_LIMIT and not discloses(number) else ""


def has_school_number(school: School) -> bool:
    """Return True if the school has a school number."""
    return school_number(school) != ""


def group_is_not_excluded(case: GroupCase) -> Reason | None:
    """Return a reason if the target excludes this group (seed)."""
    return Reason.GROUP_EXCLUDED if case.group.id in case.settings.excluded_groups else None


def kind_is_not_excluded(case: GroupCase) -> Reason | None:
    """Return a reason if the target excludes groups of this kind (seed).

    Kinds are compared without regard to case, because a kind is free text.
    """
    kinds = {clean_text(kind).casefold() for kind in case.settings.excluded_kinds}
    return Reason.KIND_EXCLUDED if clean_text(case.group.kind).casefold() in kinds else None


def group_is_in_scope(case: GroupCase) -> Reason | None:
    """Return a reason if the target takes only grunnskole, and the group is of another programme.

    Source: seed, the choices "Alle aktive" and "Alle på Grunnskole".
    """
    in_scope = case.settings.scope == "all" or case.group.programme == "grunnskole"
    return None if in_scope else Reason.OUT_OF_SCOPE


def group_has_school(case: GroupCase) -> Reason | None:
    """Return a reason if the group's school is unknown or has no school number (seed)."""
    if case.school is None:
        return Reason.SCHOOL_UNKNOWN
    return None if has_school_number(case.school) else Reason.SCHOOL_WITHOUT_NUMBER


def group_is_active(case: GroupCase) -> Reason | None:
    """Return a reason if the group is not active (seed)."""
    return None if case.group.active else Reason.GROUP_INACTIVE


def group_is_within_its_dates(case: GroupCase) -> Reason | None:
    """Return a reason unless today is between the group's first and last day, both included.

    A target may want the group ``lead_days`` before its first day, so that the teacher can prepare, and ``grace_days``
    after its last, so that the learners can finish. A group whose last day is before its first counts as ended.
    """
    first, last = case.group.starts_on, case.group.ends_on
    if first is not None and case.today + timedelta(days=case.settings.lead_days) < first:
        return Reason.GROUP_NOT_STARTED
    if last is not None and case.today - timedelta(days=case.settings.grace_days) > last:
        return Reason.GROUP_ENDED
    return Reason.GROUP_ENDED if first is not None and last is not None and last < first else None


def group_has_id(case: GroupCase) -> Reason | None:
    """Return a reason if the group's id is empty: Moodle would create the record again at every import."""
    return None if case.id else Reason.GROUP_WITHOUT_ID


def group_id_is_short_enough(case: GroupCase) -> Reason | None:
    """Return a reason if the group's id is too long: Moodle stops the import there.

    It is not truncated, because two groups could then have the same id.
    """
    return Reason.ID_TOO_LONG if len(case.id) > case.settings.profile.limits["id"].characters else None


def group_id_discloses_nothing(case: GroupCase) -> Reason | None:
    """Return a reason if the group's id has a code that contains a national id.

    The number is not removed, because two groups could then have the same id.
    """
    disclosed = "{code}" in case.settings.group_id and discloses(clean_identifier(case.group.code))
    return Reason.ID_DISCLOSES_NATIONAL_ID if disclosed else None


GROUP_RULES: Final = (
    group_is_not_excluded,
    kind_is_not_excluded,
    group_is_in_scope,
    group_has_school,
    group_is_active,
    group_is_within_its_dates,
    group_has_id,
    group_id_is_short_enough,
    group_id_discloses_nothing,
)
"""The rules of a group; first those by the target's settings, since nothing need be corrected in such a group."""


def membership_day(group: CourseGroup, today: date) -> date:
    """Return the day whose enrolments are the group's members today: today, but within the group's own dates.

    With ``lead_days`` a group is exported before its first day; its members are then those of the first day. With
    ``grace_days`` it stays after its last day, with the members of the last day. By the enrolments' own dates the group
    would be empty on exactly these days. A person who joins later than the first day or leaves before the last is not
    affected.
    """
    if group.starts_on is not None and today < group.starts_on:
        return group.starts_on
    return group.ends_on if group.ends_on is not None and today > group.ends_on else today


def is_effective(enrolment: Enrolment, day: date) -> bool:
    """Return True if an enrolment counts on a day: status active, from its first day to its last, both included (seed).

    Args:
        day: the day returned by :func:`membership_day`.
    """
    return (
        enrolment.status == "active"
        and enrolment.starts_on <= day
        and (enrolment.ends_on is None or day <= enrolment.ends_on)
    )


def is_teacher(employee: Employee, school: School | None) -> bool:
    """Return True if an employment makes a teacher: of type teacher, active, at a school with a number (seed).

    Case workers and other employees are not exported as employees, and an enrolment as teacher counts only for a
    teacher.
    """
    return employee.kind == "teacher" and employee.active and school is not None and has_school_number(school)
