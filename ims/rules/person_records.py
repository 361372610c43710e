"""A person's record and roles in groups, made from the person's facts, or the reason why the person is excluded."""

import msgspec

from ims.identifiers import compact, duf_number
from ims.identifiers.national_id import NationalId, kind_of
from ims.records.model import PersonRecord, UserId
from ims.records.vocabulary import InstitutionRole, RoleType
from ims.rules.eligibility import Reason, first_reason
from ims.rules.normalisation import Normaliser, RecordWarning
from ims.rules.person_eligibility import PERSON_RULES, PersonCase
from ims.source.facts import Enrolment, Person
from ims.targets.target_settings import TargetSettings


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A person who may be exported, and what is known of them at the owner.

    Attributes:
        enrolments: the effective ones in exported groups.
        teaches: is employed as a teacher.
        protected: has a protected identity, under this running number or another one with the same national id.
        suppressed: an operator has ordered that the person is never exported.
        leave_now: an operator has ordered that the person is removed ahead of the source.
    """

    person: Person
    enrolments: list[Enrolment]
    teaches: bool
    protected: bool = False
    suppressed: bool = False
    leave_now: bool = False


class ExportedPerson(msgspec.Struct, frozen=True, gc=False):
    """The record of a person who is exported, the roles in groups, and the warnings.

    Attributes:
        roles: by the course group's running number.
        learns_in: running numbers of the course groups in which the person is a learner, even if also an instructor.
        teaches: counts as a teacher.
    """

    record: PersonRecord
    roles: dict[int, RoleType]
    learns_in: frozenset[int]
    teaches: bool
    warnings: tuple[RecordWarning, ...]

    @property
    def id(self) -> str:
        """The record's ``sourcedid/id``."""
        return self.record.id


def exported_person(candidate: Candidate, settings: TargetSettings, source: str) -> ExportedPerson | Reason:
    """Return a person's record and roles, or the reason why the person is excluded.

    Other persons with the same id are not considered here.

    Args:
        source: ``sourcedid/source`` of the target.
    """
    person, enrolments = candidate.person, candidate.enrolments
    learns_in = frozenset(enrolment.group_id for enrolment in enrolments if enrolment.role == "learner")
    learns = bool(learns_in)
    number = _valid_id(person.national_id, settings)
    normaliser = Normaliser(settings, person.national_id)
    login = _login(person, settings, normaliser)
    case = PersonCase(
        person,
        learns,
        candidate.teaches,
        number is not None,
        settings,
        protected=candidate.protected,
        suppressed=candidate.suppressed,
        leave_now=candidate.leave_now,
        has_login=login is not None,
    )
    reason = first_reason(PERSON_RULES, case)
    if reason is not None:
        return reason
    counts_as_teacher = candidate.teaches and number is not None
    if number is not None and duf_number.has_form(number) and not duf_number.has_control_digits(number):
        normaliser.warn(RecordWarning.DUF_CHECK_FAILED)
    record = PersonRecord(
        source=source,
        id=str(person.id) if number is None or settings.person_id == "running" else number,
        login=login,
        given_name=normaliser.name("given_name", person.given_name),
        family_name=normaliser.name("family_name", person.family_name),
        email=normaliser.address("email", person.email),
        roles=(InstitutionRole.STAFF,) * counts_as_teacher + (InstitutionRole.STUDENT,) * learns,
        userids=_userids(person, number, settings, normaliser) if settings.dialect == "pifu" else (),
    )
    roles = _roles(enrolments, counts_as_teacher=counts_as_teacher)
    return ExportedPerson(record, roles, learns_in, counts_as_teacher, normaliser.warnings)


def _valid_id(national_id: NationalId | None, settings: TargetSettings) -> str | None:
    """Return the bare digits of a national id that the target accepts, else ``None``."""
    if national_id is None:
        return None
    duf_check = settings.duf_check == "refuse"
    kind = kind_of(national_id, allow_test_numbers=settings.allow_test_numbers, duf_check=duf_check)
    return compact(national_id.reveal()) if kind is not None else None


def _roles(enrolments: list[Enrolment], *, counts_as_teacher: bool) -> dict[int, RoleType]:
    """Return one role per group, because importers read only a member's first one.

    A person who both teaches and learns in a group is an instructor.
    """
    roles: dict[int, RoleType] = {}
    for enrolment in enrolments:
        if enrolment.role == "teacher" and counts_as_teacher:
            roles[enrolment.group_id] = RoleType.INSTRUCTOR
        elif enrolment.role == "learner":
            roles.setdefault(enrolment.group_id, RoleType.LEARNER)
    return roles


def _login(person: Person, settings: TargetSettings, normaliser: Normaliser) -> str | None:
    """Return the first ``userid``: Feide name, else e-mail, by the target's settings."""
    candidates = {"feide": (person.feide_name, person.email), "email": (person.email,), "none": ()}[settings.login]
    for candidate in candidates:
        login = _as_login(candidate, normaliser)
        if login is not None:
            return login
    return None


def _as_login(candidate: str | None, normaliser: Normaliser) -> str | None:
    """Return a text as a login, in lower case, or ``None`` if it cannot be one.

    Moodle stores the login as it is written and compares it case-sensitively, so that it would not find an account
    again after the source has changed the case of a letter.
    """
    return normaliser.address("login", (candidate or "").lower())


def _userids(
    person: Person, number: str | None, settings: TargetSettings, normaliser: Normaliser
) -> tuple[UserId, ...]:
    """Return the additional ids by which PIFU-IMS's importers find a person again when one of them changes (eFeide).

    A target whose ``person_id`` is ``running`` gets no national id here either.
    """
    values = {
        "personNIN": number if settings.person_id == "national" else None,
        "feideID": _as_login(person.feide_name, normaliser),
        "personLIN": str(person.id),
    }
    return tuple(UserId(type_, value) for type_, value in values.items() if value is not None)
