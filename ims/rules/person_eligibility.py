"""The rules of a person, once it is known which groups are exported: the last of :mod:`ims.rules.eligibility`.

Sources named below as there.
"""

from typing import Final

import msgspec

from ims.identifiers import compact
from ims.records.text import clean_text
from ims.rules.eligibility import Reason
from ims.source.facts import Person
from ims.targets.target_settings import TargetSettings


class PersonCase(msgspec.Struct, frozen=True, gc=False):
    """What the rules of a person look at.

    Attributes:
        learns: has an effective enrolment as learner in an exported group.
        teaches: is employed as a teacher (:func:`ims.rules.eligibility.is_teacher`), whether or not with a valid
            national id.
        has_valid_id: the national id is a fødselsnummer, D-number or DUF number that the target takes.
        settings: of the target.
        suppressed: somebody has ordered that the person is never exported.
        told_to_leave: somebody has ordered that the person leaves before the source says so.
    """

    person: Person
    learns: bool
    teaches: bool
    has_valid_id: bool
    settings: TargetSettings
    suppressed: bool = False
    told_to_leave: bool = False


def person_is_not_protected(case: PersonCase) -> Reason | None:
    """Whoever has a protected identity is never exported (Identum)."""
    return Reason.PERSON_PROTECTED if case.person.protected else None


def person_is_not_suppressed(case: PersonCase) -> Reason | None:
    """Whoever is suppressed is not exported: a protected identity of which the source does not know yet (Identum)."""
    return Reason.PERSON_SUPPRESSED if case.suppressed else None


def person_has_whole_name(case: PersonCase) -> Reason | None:
    """Both names are needed.

    itslearning's file import makes them mandatory; Moodle's creates a user with an empty name. The case worker is
    told, who can mend it, rather than the person being lost somewhere in an import.
    """
    whole = clean_text(case.person.given_name) and clean_text(case.person.family_name)
    return None if whole else Reason.NAME_INCOMPLETE


def person_belongs(case: PersonCase) -> Reason | None:
    """A person is a learner in an exported group, or an active teacher, even without a group (seed).

    Why a learner's group is not exported is said with the group.
    """
    return None if case.learns or case.teaches else Reason.NO_ACTIVE_ENROLMENT


def learner_has_valid_id(case: PersonCase) -> Reason | None:
    """A learner needs a valid national id unless the target takes persons without one (seed, version 8.16.3).

    The same holds when everybody goes by the running number: that setting says how a person is named, not who is told.
    """
    if not case.learns or case.has_valid_id or case.settings.include_without_national_id:
        return None
    registered = case.person.national_id is not None and compact(case.person.national_id.reveal())
    return Reason.NATIONAL_ID_INVALID if registered else Reason.NATIONAL_ID_MISSING


def teacher_has_valid_id(case: PersonCase) -> Reason | None:
    """A teacher needs a valid national id, always (seed); who is a learner as well is still exported as that."""
    return None if case.learns or case.has_valid_id else Reason.TEACHER_WITHOUT_VALID_ID


def person_may_stay(case: PersonCase) -> Reason | None:
    """Whoever is told to leave is gone before the source says so. Last, so that it is the reason only until then."""
    return Reason.LEAVE_NOW if case.told_to_leave else None


PERSON_RULES: Final = (
    person_is_not_protected,
    person_is_not_suppressed,
    person_has_whole_name,
    person_belongs,
    learner_has_valid_id,
    teacher_has_valid_id,
    person_may_stay,
)
"""The rules of a person."""
