"""What a warning about an exported person or group means, and how to correct it, in the words of the case worker."""

from collections.abc import Mapping
from typing import Final

from ims.reports.reason_texts import Language, ReasonText
from ims.rules.normalisation import RecordWarning

_BOKMAL: Final[Mapping[RecordWarning, ReasonText]] = {
    RecordWarning.DUF_CHECK_FAILED: ReasonText(
        "Kontrollsifrene i DUF-nummeret stemmer ikke.", "Rett nummeret på personen: se etter tastefeil."
    ),
    RecordWarning.NAME_TRUNCATED: ReasonText("Et navn er for langt, og er forkortet.", "Kort ned navnet."),
    RecordWarning.CONTROL_CHARACTERS_REMOVED: ReasonText(
        "Et felt hadde tegn som ikke kan skrives til en fil. De er fjernet.", "Skriv feltet på nytt."
    ),
    RecordWarning.INVISIBLE_CHARACTERS_REMOVED: ReasonText(
        "Et felt hadde usynlige tegn, ofte fra innliming. De er fjernet.", "Skriv feltet på nytt, uten å lime inn."
    ),
    RecordWarning.NATIONAL_ID_REMOVED: ReasonText(
        "Et fødselsnummer, D-nummer eller DUF-nummer stod i navnet, e-postadressen eller brukernavnet, som mange kan"
        " lese. Det er utelatt.",
        "Fjern nummeret fra feltet.",
    ),
    RecordWarning.MARKUP_SPELLED_OUT: ReasonText(
        "Tegnene &, < og > i et navn er skrevet på en annen måte.", "Skriv navnet uten disse tegnene."
    ),
    RecordWarning.LOGIN_TOO_LONG: ReasonText(
        "Feide-navnet eller e-postadressen er for lang til å være brukernavn.", "Registrer et kortere Feide-navn."
    ),
    RecordWarning.LOGIN_TAKEN: ReasonText(
        "En annen person har samme brukernavn (Feide-navn eller e-postadresse), eller hadde det til nylig. Denne"
        " personen er eksportert uten det.",
        "Gi hver person et eget Feide-navn eller en egen e-postadresse. Skal denne personen ha det, gi den andre et"
        " nytt.",
    ),
    RecordWarning.REGISTERED_TWICE: ReasonText(
        "En annen person har samme fødselsnummer, D-nummer eller DUF-nummer, eller en annen gruppe har samme kode. Den"
        " andre er ikke med.",
        "Rett nummeret eller koden som er feil. Er samme person registrert to ganger, behold bare den ene.",
    ),
    RecordWarning.EMAIL_TOO_LONG: ReasonText(
        "E-postadressen er for lang, og er utelatt.", "Registrer en kortere e-postadresse."
    ),
    RecordWarning.LOGIN_WITH_MARKUP: ReasonText(
        "Feide-navnet eller e-postadressen har &, < eller >, og kan ikke være brukernavn.",
        "Registrer et Feide-navn uten disse tegnene.",
    ),
    RecordWarning.EMAIL_WITH_MARKUP: ReasonText(
        "E-postadressen har &, < eller >, og er utelatt.", "Registrer en adresse uten disse tegnene."
    ),
}

_ENGLISH: Final[Mapping[RecordWarning, ReasonText]] = {
    RecordWarning.DUF_CHECK_FAILED: ReasonText(
        "The check digits of the DUF number are wrong.", "Correct the number of the person: look for a typing error."
    ),
    RecordWarning.NAME_TRUNCATED: ReasonText("A name is too long and was shortened.", "Shorten the name."),
    RecordWarning.CONTROL_CHARACTERS_REMOVED: ReasonText(
        "A field had characters that cannot be written to a file. They were removed.", "Type the field again."
    ),
    RecordWarning.INVISIBLE_CHARACTERS_REMOVED: ReasonText(
        "A field had invisible characters, which often come with pasted text. They were removed.",
        "Type the field again, without pasting.",
    ),
    RecordWarning.NATIONAL_ID_REMOVED: ReasonText(
        "A national identity number, D-number or DUF number stood in the name, the e-mail address or the login, which"
        " many can read. It was left out.",
        "Remove the number from the field.",
    ),
    RecordWarning.MARKUP_SPELLED_OUT: ReasonText(
        "The characters &, < and > in a name were written in another way.", "Write the name without them."
    ),
    RecordWarning.LOGIN_TOO_LONG: ReasonText(
        "The Feide name or e-mail address is too long to be a login.", "Register a shorter Feide name."
    ),
    RecordWarning.LOGIN_TAKEN: ReasonText(
        "Another person has the same login (Feide name or e-mail address), or had it until recently. This person is"
        " exported without it.",
        "Give each person a Feide name or an e-mail address of their own. If this person is to have it, give the other"
        " one a new one.",
    ),
    RecordWarning.REGISTERED_TWICE: ReasonText(
        "Another person has the same national identity number, D-number or DUF number, or another group has the same"
        " code. The other one is not exported.",
        "Correct the number or code that is wrong. If the same person is registered twice, keep only one registration.",
    ),
    RecordWarning.EMAIL_TOO_LONG: ReasonText(
        "The e-mail address is too long and was left out.", "Register a shorter e-mail address."
    ),
    RecordWarning.LOGIN_WITH_MARKUP: ReasonText(
        "The Feide name or e-mail address has &, < or >, and cannot be the login.",
        "Register a Feide name without these characters.",
    ),
    RecordWarning.EMAIL_WITH_MARKUP: ReasonText(
        "The e-mail address has &, < or >, and was omitted.", "Register an address without these characters."
    ),
}

MAILED: Final = (RecordWarning.NATIONAL_ID_REMOVED, RecordWarning.LOGIN_TAKEN, RecordWarning.REGISTERED_TWICE)
"""The warnings that the daily mail counts: they cost a person the login, or stand for another person's exclusion. The
report lists all."""

_TEXTS: Final = {Language.BOKMAL: _BOKMAL, Language.ENGLISH: _ENGLISH}


def warning_text(warning: RecordWarning, language: Language) -> ReasonText:
    """Return what a warning means and how to correct it, in a language.

    >>> warning_text(RecordWarning.NAME_TRUNCATED, Language.ENGLISH).remedy
    'Shorten the name.'
    """
    return _TEXTS[language][warning]
