"""The rules of a person, which come after those of :mod:`ims.rules.eligibility`: they need the exported groups.

The sources have the same short names as there.
"""

from typing import Final

import msgspec

from ims.identifiers import compact
from ims.rules.eligibility import Reason
from ims.rules.normalisation import written_name
from ims.source.facts import Person
from ims.targets.target_settings import TargetSettings


class PersonCase(msgspec.Struct, frozen=True, gc=False):
    """What the rules of a person take.

    Attributes:
        learns: has an effective enrolment as learner in an exported group.
        teaches: is employed as a teacher (:func:`ims.rules.eligibility.is_teacher`), with or without a valid national
            id.
        has_valid_id: the national id is a fødselsnummer, D-number or DUF number that the target accepts.
        settings: of the target.
        protected: has a protected identity, under this running number or another one with the same national id.
        suppressed: an operator has ordered that the person is never exported.
        leave_now: an operator has ordered that the person is removed ahead of the source.
        has_login: a login can be made of the person's Feide name or e-mail address.
    """

    person: Person
    learns: bool
    teaches: bool
    has_valid_id: bool
    settings: TargetSettings
    protected: bool = False
    suppressed: bool = False
    leave_now: bool = False
    has_login: bool = True


def person_is_not_protected(case: PersonCase) -> Reason | None:
    """Return a reason if the person has a protected identity; such a person is never exported (Identum).

    Protection covers every running number with the same national id. A person who is registered twice is excluded as a
    duplicate; if only one of the two were protected, the other would no longer be a duplicate and would be published.
    """
    return Reason.PERSON_PROTECTED if case.protected else None


def person_is_not_suppressed(case: PersonCase) -> Reason | None:
    """Return a reason if the person is suppressed: a protected identity that the source does not know yet (Identum)."""
    return Reason.PERSON_SUPPRESSED if case.suppressed else None


def person_has_whole_name(case: PersonCase) -> Reason | None:
    """Return a reason if the given or the family name is missing.

    itslearning's file import requires both; Moodle's creates a user with an empty name. With a reason the case worker
    sees the person in the report and can correct the name, instead of the person being lost in an import.
    """
    own = case.person.national_id
    whole = written_name(case.person.given_name, own) and written_name(case.person.family_name, own)
    return None if whole else Reason.NAME_INCOMPLETE


def person_belongs(case: PersonCase) -> Reason | None:
    """Return a reason unless the person is a learner in an exported group, or an active teacher (seed).

    A teacher is exported even without a group. Why a learner's group is not exported is the group's own reason.
    """
    return None if case.learns or case.teaches else Reason.NO_ACTIVE_ENROLMENT


def learner_has_valid_id(case: PersonCase) -> Reason | None:
    """Return a reason if a learner has no valid national id and the target needs one (seed, version 8.16.3).

    That is so even if ``person_id`` is ``running``: that setting decides a person's id, not who is exported.
    """
    if not case.learns or case.has_valid_id or case.settings.include_without_national_id:
        return None
    registered = case.person.national_id is not None and compact(case.person.national_id.reveal())
    return Reason.NATIONAL_ID_INVALID if registered else Reason.NATIONAL_ID_MISSING


def teacher_has_valid_id(case: PersonCase) -> Reason | None:
    """Return a reason if a teacher has no valid national id (seed); a learner as well is still exported as learner."""
    return None if case.learns or case.has_valid_id else Reason.TEACHER_WITHOUT_VALID_ID


def person_has_login(case: PersonCase) -> Reason | None:
    """Return a reason if the person has no login and the importer needs one (Moodle).

    Published without one, the person would get no account, and none either when the login comes: Moodle ignores an
    update of an unknown person, and every membership.
    """
    return Reason.NO_LOGIN if case.settings.profile.needs_login and not case.has_login else None


def person_may_stay(case: PersonCase) -> Reason | None:
    """Return a reason if an operator has ordered the person's removal.

    It is the last rule, so that it is the reason only until the source itself gives one.
    """
    return Reason.LEAVE_NOW if case.leave_now else None


PERSON_RULES: Final = (
    person_is_not_protected,
    person_is_not_suppressed,
    person_has_whole_name,
    person_belongs,
    learner_has_valid_id,
    teacher_has_valid_id,
    person_has_login,
    person_may_stay,
)
"""The rules of a person."""
