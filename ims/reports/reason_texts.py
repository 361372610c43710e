"""Why a person or group is excluded, in the words of the case worker who can correct it: Norwegian bokmål and English.

Each reason says what it means and what to correct in the administration system. The readers do not know what a feed is
made of: no word of XML, no name of a setting. Learners in adult education are "deltakere" in Norwegian.

>>> reason_text(Reason.NATIONAL_ID_MISSING, Language.BOKMAL).remedy
'Registrer gyldig fødselsnummer, D-nummer eller DUF-nummer på personen.'
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from ims.rules.eligibility import Reason


class Language(StrEnum):
    """The languages of the texts for case workers, by their tags of BCP 47 (``lang`` in HTML)."""

    BOKMAL = "nb"
    ENGLISH = "en"


class ReasonText(NamedTuple):
    """What a reason means, and how to correct it: whole sentences."""

    meaning: str
    remedy: str


USUALLY_RIGHT: Final = frozenset({
    Reason.GROUP_EXCLUDED,
    Reason.KIND_EXCLUDED,
    Reason.OUT_OF_SCOPE,
    Reason.GROUP_INACTIVE,
    Reason.GROUP_NOT_STARTED,
    Reason.GROUP_ENDED,
    Reason.PERSON_PROTECTED,
    Reason.PERSON_SUPPRESSED,
    Reason.NO_ACTIVE_ENROLMENT,
})
"""Reasons that are usually as intended; each of the others means that something is to be corrected."""

_BOKMAL: Final[Mapping[Reason, ReasonText]] = {
    Reason.TARGET_DISABLED: ReasonText(
        "Eksporten er slått av.",
        "Be den som har ansvar for eksporten, om å slå den på.",
    ),
    Reason.OWNER_WITHOUT_NUMBER: ReasonText(
        "Skoleeieren mangler gyldig organisasjonsnummer.",
        "Registrer organisasjonsnummeret på skoleeieren.",
    ),
    Reason.GROUP_EXCLUDED: ReasonText(
        "Gruppen er valgt bort i denne eksporten.",
        "Skal den være med, be den som har ansvar for eksporten, om å ta den med.",
    ),
    Reason.KIND_EXCLUDED: ReasonText(
        "Grupper av denne typen er valgt bort i denne eksporten.",
        "Rett typen på gruppen dersom den er feil.",
    ),
    Reason.OUT_OF_SCOPE: ReasonText(
        "Bare grupper på grunnskolenivå er med i denne eksporten.",
        "Rett opplæringstypen på gruppen dersom den er feil.",
    ),
    Reason.SCHOOL_UNKNOWN: ReasonText(
        "Skolen som gruppen hører til, finnes ikke.",
        "Velg en registrert skole på gruppen.",
    ),
    Reason.SCHOOL_WITHOUT_NUMBER: ReasonText(
        "Skolen som gruppen hører til, mangler gyldig skolenummer.",
        "Registrer skolenummeret på skolen.",
    ),
    Reason.GROUP_INACTIVE: ReasonText(
        "Gruppen er ikke aktiv.",
        "Marker gruppen som aktiv dersom den er i bruk.",
    ),
    Reason.GROUP_NOT_STARTED: ReasonText(
        "Gruppen har ikke begynt.",
        "Den kommer med av seg selv når den begynner. Rett startdatoen på gruppen dersom den er feil.",
    ),
    Reason.GROUP_ENDED: ReasonText(
        "Gruppen er avsluttet.",
        "Rett sluttdatoen på gruppen dersom den er feil.",
    ),
    Reason.GROUP_WITHOUT_ID: ReasonText(
        "Gruppen mangler kode.",
        "Registrer en kode på gruppen.",
    ),
    Reason.ID_DISCLOSES_NATIONAL_ID: ReasonText(
        "Koden på gruppen inneholder et fødselsnummer, D-nummer eller DUF-nummer, som alle ville kunne lese.",
        "Gi gruppen en kode uten slike numre.",
    ),
    Reason.ID_TOO_LONG: ReasonText(
        "Koden på gruppen er for lang.",
        "Gi gruppen en kortere kode.",
    ),
    Reason.PERSON_PROTECTED: ReasonText(
        "Personen har skjermet identitet og blir aldri eksportert.",
        "Gi tilgang manuelt ved behov. Fjern skjermingen på personen bare når den er opphevet.",
    ),
    Reason.PERSON_SUPPRESSED: ReasonText(
        "Det er bestemt at personen ikke skal eksporteres. Skjermet identitet er ikke registrert ennå.",
        "Registrer skjermingen på personen. Gi tilgang manuelt ved behov.",
    ),
    Reason.NAME_INCOMPLETE: ReasonText(
        "Personen mangler fornavn eller etternavn.",
        "Registrer både fornavn og etternavn på personen.",
    ),
    Reason.NO_ACTIVE_ENROLMENT: ReasonText(
        "Personen er verken deltaker i en gruppe som eksporteres, eller aktiv lærer.",
        "Skal personen være med: registrer en aktiv plass i en gruppe, med riktige datoer, eller en aktiv ansettelse"
        " av typen lærer på en skole med skolenummer.",
    ),
    Reason.NATIONAL_ID_MISSING: ReasonText(
        "Deltakeren mangler fødselsnummer, D-nummer og DUF-nummer.",
        "Registrer gyldig fødselsnummer, D-nummer eller DUF-nummer på personen.",
    ),
    Reason.NATIONAL_ID_INVALID: ReasonText(
        "Nummeret som er registrert på deltakeren, er ikke et gyldig fødselsnummer, D-nummer eller DUF-nummer.",
        "Rett nummeret på personen: se etter tastefeil.",
    ),
    Reason.TEACHER_WITHOUT_VALID_ID: ReasonText(
        "Læreren mangler gyldig fødselsnummer, D-nummer eller DUF-nummer.",
        "Registrer gyldig fødselsnummer, D-nummer eller DUF-nummer på personen.",
    ),
    Reason.NO_LOGIN: ReasonText(
        "Personen mangler et brukernavn som kan brukes: verken Feide-navn eller e-postadresse er registrert, eller den"
        " kan ikke være brukernavn (tegnene & < >, mer enn 100 tegn, eller et fødselsnummer).",
        "Registrer Feide-navnet eller e-postadressen på personen. Da blir personen med, med alle gruppene sine.",
    ),
    Reason.LEAVE_NOW: ReasonText(
        "Det er bestemt at personen skal fjernes med en gang, men personen er fortsatt registrert som deltaker eller"
        " lærer.",
        "Avslutt plassen i gruppen eller ansettelsen. Deretter teller en ny plass som vanlig.",
    ),
    Reason.DUPLICATE_ID: ReasonText(
        "En annen person har samme fødselsnummer, D-nummer eller DUF-nummer, eller en annen gruppe har samme kode."
        " Bare den som var med først, blir eksportert.",
        "Den andre står ved siden av navnet. Rett nummeret eller koden som er feil. Er samme person registrert to"
        " ganger, behold bare den ene.",
    ),
    Reason.LOGIN_TAKEN: ReasonText(
        "En annen person har samme brukernavn (Feide-navn eller e-postadresse), eller hadde det til nylig.",
        "Gi hver person et eget Feide-navn eller en egen e-postadresse. Skal denne personen ha det, gi den andre et"
        " nytt.",
    ),
}

_ENGLISH: Final[Mapping[Reason, ReasonText]] = {
    Reason.TARGET_DISABLED: ReasonText(
        "The export is switched off.",
        "Ask the person responsible for the export to switch it on.",
    ),
    Reason.OWNER_WITHOUT_NUMBER: ReasonText(
        "The school owner has no valid organisation number.",
        "Register the organisation number of the school owner.",
    ),
    Reason.GROUP_EXCLUDED: ReasonText(
        "The group has been excluded from this export.",
        "If it should be included, ask the person responsible for the export to include it.",
    ),
    Reason.KIND_EXCLUDED: ReasonText(
        "Groups of this kind have been excluded from this export.",
        "Correct the group's kind if it is wrong.",
    ),
    Reason.OUT_OF_SCOPE: ReasonText(
        "Only groups of basic education (grunnskole) are part of this export.",
        "Correct the group's programme if it is wrong.",
    ),
    Reason.SCHOOL_UNKNOWN: ReasonText(
        "The school that the group belongs to does not exist.",
        "Choose a registered school for the group.",
    ),
    Reason.SCHOOL_WITHOUT_NUMBER: ReasonText(
        "The school that the group belongs to has no valid school number.",
        "Register the school's number.",
    ),
    Reason.GROUP_INACTIVE: ReasonText(
        "The group is not active.",
        "Mark the group as active if it is in use.",
    ),
    Reason.GROUP_NOT_STARTED: ReasonText(
        "The group has not begun.",
        "It is exported automatically when it begins. Correct the group's first day if it is wrong.",
    ),
    Reason.GROUP_ENDED: ReasonText(
        "The group has ended.",
        "Correct the group's last day if it is wrong.",
    ),
    Reason.GROUP_WITHOUT_ID: ReasonText(
        "The group has no code.",
        "Register a code for the group.",
    ),
    Reason.ID_DISCLOSES_NATIONAL_ID: ReasonText(
        "The group's code contains a national identity number, D-number or DUF number, which all users could read.",
        "Give the group a code without such a number.",
    ),
    Reason.ID_TOO_LONG: ReasonText(
        "The group's code is too long.",
        "Give the group a shorter code.",
    ),
    Reason.PERSON_PROTECTED: ReasonText(
        "The person has a protected identity and is never exported.",
        "Give access manually if needed. Remove the protection from the person only when it has been lifted.",
    ),
    Reason.PERSON_SUPPRESSED: ReasonText(
        "It has been decided that the person is not to be exported. No protected identity is registered yet.",
        "Register the protection on the person. Give access manually if needed.",
    ),
    Reason.NAME_INCOMPLETE: ReasonText(
        "The person has no given name or no family name.",
        "Register both the given name and the family name of the person.",
    ),
    Reason.NO_ACTIVE_ENROLMENT: ReasonText(
        "The person is neither a learner in an exported group nor an active teacher.",
        "If the person should be exported: register an active enrolment in a group, with the right dates, or an active"
        " employment as a teacher at a school with a school number.",
    ),
    Reason.NATIONAL_ID_MISSING: ReasonText(
        "The learner has no national identity number, D-number or DUF number.",
        "Register a valid national identity number, D-number or DUF number of the person.",
    ),
    Reason.NATIONAL_ID_INVALID: ReasonText(
        "The number registered for the learner is not a valid national identity number, D-number or DUF number.",
        "Correct the number of the person: look for a typing error.",
    ),
    Reason.TEACHER_WITHOUT_VALID_ID: ReasonText(
        "The teacher has no valid national identity number, D-number or DUF number.",
        "Register a valid national identity number, D-number or DUF number of the person.",
    ),
    Reason.NO_LOGIN: ReasonText(
        "The person has no login that can be used: neither a Feide name nor an e-mail address is registered, or it"
        " cannot be a login (the characters & < >, more than 100 characters, or a national identity number).",
        "Register the Feide name or the e-mail address of the person, who is then exported with all their groups.",
    ),
    Reason.LEAVE_NOW: ReasonText(
        "It has been decided that the person is removed immediately, but the person is still registered as a learner or"
        " teacher.",
        "End the enrolment or the employment. After that a new enrolment counts as usual.",
    ),
    Reason.DUPLICATE_ID: ReasonText(
        "Another person has the same national identity number, D-number or DUF number, or another group has the same"
        " code. Only the one that was exported first is.",
        "The other one stands beside the name. Correct the number or code that is wrong. If the same person is"
        " registered twice, keep only one registration.",
    ),
    Reason.LOGIN_TAKEN: ReasonText(
        "Another person has the same login (Feide name or e-mail address), or had it until recently.",
        "Give each person a Feide name or an e-mail address of their own. If this person is to have it, give the other"
        " one a new one.",
    ),
}

_TEXTS: Final = {Language.BOKMAL: _BOKMAL, Language.ENGLISH: _ENGLISH}


def reason_text(reason: Reason, language: Language) -> ReasonText:
    """Return what a reason means and how to correct it, in a language."""
    return _TEXTS[language][reason]
