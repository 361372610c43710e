"""From a person's facts to the record and the roles in groups, or to the reason why there is none."""

import msgspec

from ims.identifiers import compact, duf_number
from ims.identifiers.kinds import kind_of
from ims.identifiers.national_id import NationalId
from ims.records.model import PersonRecord, UserId
from ims.records.vocabulary import InstitutionRole, RoleType
from ims.rules.eligibility import Reason, first_reason
from ims.rules.normalisation import Normaliser, RecordWarning
from ims.rules.person_eligibility import PERSON_RULES, PersonCase
from ims.source.facts import Enrolment, Person
from ims.targets.target_settings import TargetSettings


class ExportedPerson(msgspec.Struct, frozen=True, gc=False):
    """A person who is exported, as what in which group, and what was not as it should be.

    Attributes:
        roles: by the course group's running number.
        learns_in: running numbers of the course groups in which the person is a learner, whatever the role told.
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


def exported_person(
    person: Person,
    settings: TargetSettings,
    source: str,
    enrolments: list[Enrolment],
    *,
    teaches: bool,
    suppressed: bool = False,
    told_to_leave: bool = False,
) -> ExportedPerson | Reason:
    """A person's outcome, but for other persons who may have the same id.

    Args:
        enrolments: the effective ones in exported groups.
        teaches: is employed as a teacher.
        suppressed: is never exported.
        told_to_leave: is gone ahead of the source.
    """
    learns_in = frozenset(enrolment.group_id for enrolment in enrolments if enrolment.role == "learner")
    learns = bool(learns_in)
    number = _valid_id(person.national_id, settings)
    case = PersonCase(person, learns, teaches, number is not None, settings, suppressed, told_to_leave)
    reason = first_reason(PERSON_RULES, case)
    if reason is not None:
        return reason
    counts_as_teacher = teaches and number is not None
    normaliser = Normaliser(spell_out_markup=settings.spell_out_markup)
    if number is not None and duf_number.has_form(number) and not duf_number.has_control_digits(number):
        normaliser.warning(RecordWarning.DUF_CHECK_FAILED)
    record = PersonRecord(
        source=source,
        id=str(person.id) if number is None or settings.person_id == "running" else number,
        login=_login(person, settings, normaliser),
        given_name=normaliser.name("given_name", person.given_name),
        family_name=normaliser.name("family_name", person.family_name),
        email=normaliser.address("email", person.email, RecordWarning.EMAIL_TOO_LONG),
        roles=(InstitutionRole.STAFF,) * counts_as_teacher + (InstitutionRole.STUDENT,) * learns,
        userids=_userids(person, number, settings, normaliser) if settings.dialect == "pifu" else (),
    )
    roles = _roles(enrolments, counts_as_teacher=counts_as_teacher)
    return ExportedPerson(record, roles, learns_in, counts_as_teacher, normaliser.warnings)


def _valid_id(national_id: NationalId | None, settings: TargetSettings) -> str | None:
    """The bare digits of a national id that the target takes, else ``None``."""
    if national_id is None:
        return None
    duf_check = settings.duf_check == "refuse"
    kind = kind_of(national_id, allow_test_numbers=settings.allow_test_numbers, duf_check=duf_check)
    return compact(national_id.reveal()) if kind is not None else None


def _roles(enrolments: list[Enrolment], *, counts_as_teacher: bool) -> dict[int, RoleType]:
    """One role per group: importers read only a member's first. Who both teaches and learns there is an instructor."""
    roles: dict[int, RoleType] = {}
    for enrolment in enrolments:
        if enrolment.role == "teacher" and counts_as_teacher:
            roles[enrolment.group_id] = RoleType.INSTRUCTOR
        elif enrolment.role == "learner":
            roles.setdefault(enrolment.group_id, RoleType.LEARNER)
    return roles


def _login(person: Person, settings: TargetSettings, normaliser: Normaliser) -> str | None:
    """The first ``userid``: Feide name, else e-mail, as the target says."""
    candidates = {"feide": (person.feide_name, person.email), "email": (person.email,), "none": ()}[settings.login]
    for candidate in candidates:
        login = _as_login(candidate, person, normaliser)
        if login is not None:
            return login
    return None


def _as_login(candidate: str | None, person: Person, normaliser: Normaliser) -> str | None:
    """A text as a login, in lower case, or ``None`` if it cannot be one.

    Moodle stores the login as it is written and compares it with case, and so an account would not be found again
    when the source changes a capital letter. A text that is a national id, alone or before the ``@``, is no login:
    everybody in the LMS would read it.
    """
    login = normaliser.address("login", (candidate or "").lower(), RecordWarning.LOGIN_TOO_LONG)
    return None if login is None or _tells_national_id(login, person.national_id) else login


def _tells_national_id(login: str, own: NationalId | None) -> bool:
    name = compact(login.partition("@")[0])
    if own is not None and name == compact(own.reveal()):
        return bool(name)
    return kind_of(NationalId(name), allow_test_numbers=True) is not None


def _userids(
    person: Person, number: str | None, settings: TargetSettings, normaliser: Normaliser
) -> tuple[UserId, ...]:
    """The further ids by which PIFU-IMS's importers find a person again when one of them changes (eFeide).

    A target that goes by running numbers is told no national id here either.
    """
    values = {
        "personNIN": number if settings.person_id == "national" else None,
        "feideID": _as_login(person.feide_name, person, normaliser),
        "personLIN": str(person.id),
    }
    return tuple(UserId(type_, value) for type_, value in values.items() if value is not None)
