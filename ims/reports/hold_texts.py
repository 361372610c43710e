"""What waits for an approval, as the mails to case workers say it: counts, never a person's data."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ims.holds.losses import Cause
from ims.reports.reason_texts import Language
from ims.reports.states import approval_text
from ims.reports.times import local_time


class HeldFigure(NamedTuple):
    """An open hold: its number and cause, how many persons and groups wait, and since when, in the target's zone."""

    hold_id: int
    cause: Cause
    persons: int
    groups: int
    since: datetime
    zone: ZoneInfo


class _Words(NamedTuple):
    causes: dict[Cause, str]
    persons: tuple[str, str]
    groups: tuple[str, str]
    since: str
    kept: str


_WORDS: Final = {
    Language.BOKMAL: _Words(
        causes={
            Cause.PERSONS: "Uvanlig mange ville miste sitt siste medlemskap: {count}.",
            Cause.TEACHERS: "Uvanlig mange lærere ville miste sitt siste medlemskap: {count}.",
            Cause.ID_CHANGES: "Uvanlig mange ville få en ny id: {count}.",
            Cause.LOGINS: "Uvanlig mange ville få et nytt brukernavn, eller ikke lenger ha noe: {count}.",
            Cause.MEMBERSHIPS: "Uvanlig mange medlemskap ville ta slutt: {count}.",
            Cause.TEACHER_MEMBERSHIPS: "Uvanlig mange av lærernes medlemskap ville ta slutt: {count}.",
            Cause.GROUPS: "Uvanlig mange grupper ville forsvinne eller få en ny id: {count}.",
            Cause.SETTING: "En endret innstilling ville fjerne noe for {count}.",
            Cause.RESYNC: "Ved en ny innlasting manglet noe for {count}.",
            Cause.SCHOOL_NUMBER: "En skole mangler skolenummer, og det ville fjerne noe for {count}.",
            Cause.INITIAL: "Ingenting er eksportert ennå: den første eksporten må først godkjennes.",
        },
        persons=("person", "personer"),
        groups=("gruppe", "grupper"),
        since="Det har ventet på godkjenning siden {since}.",
        kept="De beholder tilgangen til den som har ansvar for eksporten, har sett på det."
        " Alt annet eksporteres som vanlig.",
    ),
    Language.ENGLISH: _Words(
        causes={
            Cause.PERSONS: "Unusually many would lose their last membership: {count}.",
            Cause.TEACHERS: "Unusually many teachers would lose their last membership: {count}.",
            Cause.ID_CHANGES: "Unusually many would get another id: {count}.",
            Cause.LOGINS: "Unusually many would get another login, or have none any more: {count}.",
            Cause.MEMBERSHIPS: "Unusually many memberships would end: {count}.",
            Cause.TEACHER_MEMBERSHIPS: "Unusually many of the teachers' memberships would end: {count}.",
            Cause.GROUPS: "Unusually many groups would be removed or get another id: {count}.",
            Cause.SETTING: "A changed setting would remove something for {count}.",
            Cause.RESYNC: "A new load did not find everything for {count}.",
            Cause.SCHOOL_NUMBER: "A school has no school number, which would remove something for {count}.",
            Cause.INITIAL: "Nothing has been exported yet: the first export must be approved first.",
        },
        persons=("person", "persons"),
        groups=("group", "groups"),
        since="It has been waiting for an approval since {since}.",
        kept="They keep their access until the person responsible for the export has looked into it."
        " Everything else is exported as usual.",
    ),
}


def held_lines(held: HeldFigure, language: Language) -> Iterator[str]:
    """Yield what waits and why; since when, who decides on it, and with which commands."""
    yield hold_cause(held, language)
    since = _WORDS[language].since.format(since=local_time(held.since, held.zone, language))
    yield f"{since} {approval_text(held.hold_id, language)}"


def hold_cause(held: HeldFigure, language: Language) -> str:
    """Return what waits, and why."""
    words = _WORDS[language]
    numbers = ((held.persons, words.persons), (held.groups, words.groups))
    count = ", ".join(f"{number} {unit[0 if number == 1 else 1]}" for number, unit in numbers if number)
    return words.causes[held.cause].format(count=count)


def kept_line(language: Language) -> str:
    """Return the sentence that no person loses access meanwhile."""
    return _WORDS[language].kept
