"""Who is exported to a target, and the one first reason why the others are not.

A rule is one function that looks at one case and names a reason, or nothing. The rules of each kind stand in a tuple,
and their order there decides which reason comes first. First those of the whole target, then those of a group, then,
knowing which groups are exported, those of a person (:mod:`ims.rules.person_eligibility`).

Sources named below: "seed" is the user guide of Visma Voksenopplæring, chapter "Eksport IMS"; "Identum" is Identum's
documentation of eADM and eFeide; "itslearning" and "Moodle" are the documentation and the code of their importers.
"""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from ims.identifiers import compact, organisation_number
from ims.records.text import clean_text
from ims.rules.normalisation import LIMITS
from ims.source.facts import CourseGroup, Employee, Enrolment, Owner, School
from ims.targets.target_settings import TargetSettings

SCHOOL_NUMBER_LIMIT: Final = 32
"""Characters that a school number may have: it goes whole into ids and, in brackets, into a group's short name. Those
given out are much shorter, and a longer text in that field is something else."""


class Reason(StrEnum):
    """Why a person or group is not exported; where several hold, the one that stands first here is the reason."""

    TARGET_DISABLED = "target_disabled"
    """Nothing leaves until someone enables the target."""
    OWNER_WITHOUT_NUMBER = "owner_without_number"
    """The owner has no valid organisation number, or its row has not arrived."""
    GROUP_EXCLUDED = "group_excluded"
    """The target does not take this group."""
    KIND_EXCLUDED = "kind_excluded"
    """The target does not take groups of this kind."""
    OUT_OF_SCOPE = "out_of_scope"
    """The target takes the groups of grunnskole only, and the group is of another programme."""
    SCHOOL_UNKNOWN = "school_unknown"
    """The group's school has not arrived, or is gone."""
    SCHOOL_WITHOUT_NUMBER = "school_without_number"
    """The group's school has no school number."""
    GROUP_INACTIVE = "group_inactive"
    """The group is not marked active."""
    GROUP_NOT_STARTED = "group_not_started"
    """The group's first day is still to come."""
    GROUP_ENDED = "group_ended"
    """The group's last day is over."""
    GROUP_WITHOUT_ID = "group_without_id"
    """The target's template makes an empty id of it, since the group has no code."""
    ID_TOO_LONG = "id_too_long"
    """The target's template makes an id of it that importers do not take; cut, two could be the same."""
    PERSON_PROTECTED = "person_protected"
    """The person's identity is protected (skjermet); never exported, whatever the settings."""
    PERSON_SUPPRESSED = "person_suppressed"
    """Somebody has ordered that the person is never exported, before the source says that the identity is protected."""
    NAME_INCOMPLETE = "name_incomplete"
    """Given or family name is blank."""
    NO_ACTIVE_ENROLMENT = "no_active_enrolment"
    """Neither a learner in an exported group nor an active teacher at a school with a number."""
    NATIONAL_ID_MISSING = "national_id_missing"
    """A learner without a national id, and the target takes none without."""
    NATIONAL_ID_INVALID = "national_id_invalid"
    """A learner whose national id is not valid, and the target takes none without."""
    TEACHER_WITHOUT_VALID_ID = "teacher_without_valid_id"
    """A teacher whose national id is missing or not valid; teachers need one, whatever the settings."""
    LEAVE_NOW = "leave_now"
    """Told to leave ahead of the source, which still has the person as a learner or teacher."""
    DUPLICATE_ID = "duplicate_id"
    """Another person, or group, would have the same id; which of them is meant cannot be told, so none is exported."""


IMMEDIATE: Final = frozenset({Reason.PERSON_PROTECTED, Reason.PERSON_SUPPRESSED, Reason.LEAVE_NOW})
"""Reasons for which nothing may keep a person in a feed any longer: a removal for one of them never waits."""


class TargetCase(msgspec.Struct, frozen=True):
    """What the rules of a whole target look at."""

    settings: TargetSettings
    owner: Owner | None


class GroupCase(msgspec.Struct, frozen=True):
    """What the rules of a group look at. ``id`` is what its ``sourcedid/id`` would be."""

    group: CourseGroup
    school: School | None
    id: str
    today: date
    settings: TargetSettings


Case = TypeVar("Case")


def first_reason(rules: Iterable[Callable[[Case], Reason | None]], case: Case) -> Reason | None:
    """The reason of the first rule that has one; ``None`` if the case is exported."""
    for rule in rules:
        reason = rule(case)
        if reason is not None:
            return reason
    return None


def target_is_enabled(case: TargetCase) -> Reason | None:
    """Nothing is exported unless somebody has switched the export on (seed)."""
    return None if case.settings.enabled else Reason.TARGET_DISABLED


def owner_has_number(case: TargetCase) -> Reason | None:
    """The owner must have an organisation number (seed); it names the feed and goes into every record's source."""
    number = "" if case.owner is None else compact(case.owner.orgnr or "")
    if organisation_number.is_valid(number, allow_test_numbers=case.settings.allow_test_numbers):
        return None
    return Reason.OWNER_WITHOUT_NUMBER


TARGET_RULES: Final = (target_is_enabled, owner_has_number)
"""The rules of a whole target; a reason here is everybody's."""


def school_number(school: School) -> str:
    """The school number as it stands in a file; empty if there is none. There is no check digit to look at."""
    number = clean_text(school.school_no or "")
    return number if len(number) <= SCHOOL_NUMBER_LIMIT else ""


def has_school_number(school: School) -> bool:
    """Whether a school number is registered."""
    return school_number(school) != ""


def group_is_not_excluded(case: GroupCase) -> Reason | None:
    """A target may exclude single groups (seed)."""
    return Reason.GROUP_EXCLUDED if case.group.id in case.settings.excluded_groups else None


def kind_is_not_excluded(case: GroupCase) -> Reason | None:
    """A target may exclude kinds of groups (seed); capital letters do not matter, since a kind is free text."""
    kinds = {clean_text(kind).casefold() for kind in case.settings.excluded_kinds}
    return Reason.KIND_EXCLUDED if clean_text(case.group.kind).casefold() in kinds else None


def group_is_in_scope(case: GroupCase) -> Reason | None:
    """A target takes all groups, or those of grunnskole only (seed: "Alle aktive", "Alle på Grunnskole")."""
    in_scope = case.settings.scope == "all" or case.group.programme == "grunnskole"
    return None if in_scope else Reason.OUT_OF_SCOPE


def group_has_school(case: GroupCase) -> Reason | None:
    """A group belongs to a school, and the school must have a number (seed)."""
    if case.school is None:
        return Reason.SCHOOL_UNKNOWN
    return None if has_school_number(case.school) else Reason.SCHOOL_WITHOUT_NUMBER


def group_is_active(case: GroupCase) -> Reason | None:
    """Only active groups are exported (seed)."""
    return None if case.group.active else Reason.GROUP_INACTIVE


def group_is_within_its_dates(case: GroupCase) -> Reason | None:
    """A group is exported from its first day to its last, both included.

    A target may want it ``lead_days`` before the first, so that the teacher can prepare, and ``grace_days`` after the
    last, so that the learners can finish. A group whose last day is before its first has ended: it was on no day.
    """
    first, last = case.group.starts_on, case.group.ends_on
    if first is not None and case.today + timedelta(days=case.settings.lead_days) < first:
        return Reason.GROUP_NOT_STARTED
    if last is not None and case.today - timedelta(days=case.settings.grace_days) > last:
        return Reason.GROUP_ENDED
    return Reason.GROUP_ENDED if first is not None and last is not None and last < first else None


def group_has_id(case: GroupCase) -> Reason | None:
    """A record without an id would be created anew at every import and never be found again (Moodle)."""
    return None if case.id else Reason.GROUP_WITHOUT_ID


def group_id_is_short_enough(case: GroupCase) -> Reason | None:
    """Moodle stops the import at an id that is too long. It is not cut, because two could then be the same."""
    return Reason.ID_TOO_LONG if len(case.id) > LIMITS["id"].characters else None


GROUP_RULES: Final = (
    group_is_not_excluded,
    kind_is_not_excluded,
    group_is_in_scope,
    group_has_school,
    group_is_active,
    group_is_within_its_dates,
    group_has_id,
    group_id_is_short_enough,
)
"""The rules of a group; first what the target has decided, since of such a group nothing need be mended."""


def membership_day(group: CourseGroup, today: date) -> date:
    """The day whose enrolments are those of a group today: before its first day that one, after its last that one.

    So whoever is enrolled from the first day on is told with a group that is exported early, and whoever is enrolled to
    the last stays while it is exported afterwards; but nobody who comes later than the group or leaves before it gets a
    day more or less. An enrolment's own dates alone would empty the group on just the days that are given to it.
    """
    if group.starts_on is not None and today < group.starts_on:
        return group.starts_on
    return group.ends_on if group.ends_on is not None and today > group.ends_on else today


def is_effective(enrolment: Enrolment, day: date) -> bool:
    """Whether an enrolment counts on a day: status active, from its first day to its last, both included (seed).

    Args:
        day: that of :func:`membership_day`.
    """
    return (
        enrolment.status == "active"
        and enrolment.starts_on <= day
        and (enrolment.ends_on is None or day <= enrolment.ends_on)
    )


def is_teacher(employee: Employee, school: School | None) -> bool:
    """Whether an employment makes a teacher: of type teacher, marked active, at a school with a number (seed).

    Case workers and other employees are not exported as employees. Only a teacher's enrolments as teacher count.
    """
    return employee.kind == "teacher" and employee.active and school is not None and has_school_number(school)
