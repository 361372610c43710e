"""What waits for an approval, in the words of the mails to case workers: counts, never a person's data."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ims.holds.losses import Cause
from ims.reports.exclusion_report import local_time
from ims.reports.reason_texts import Language


class HeldFigure(NamedTuple):
    """A hold that stands: its number, why, how many persons and groups wait, and since when, in the target's zone."""

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
            Cause.SETTING: "En endret innstilling ville ta bort noe for {count}.",
            Cause.RESYNC: "En ny innlasting fant ikke lenger alt for {count}.",
            Cause.SCHOOL_NUMBER: "En skole mangler skolenummer, og det ville ta bort noe for {count}.",
            Cause.INITIAL: "Ingenting er meldt ennå: noen må først se hvor mye den første eksporten er.",
        },
        persons=("person", "personer"),
        groups=("gruppe", "grupper"),
        since="Det venter på godkjenning siden {since}: imsfeed holds show {hold}",
        kept="De beholder tilgangen til noen med ansvar for eksporten har sett på det. Alt annet meldes som vanlig.",
    ),
    Language.ENGLISH: _Words(
        causes={
            Cause.PERSONS: "Unusually many would lose their last membership: {count}.",
            Cause.TEACHERS: "Unusually many teachers would lose their last membership: {count}.",
            Cause.ID_CHANGES: "Unusually many would get another id: {count}.",
            Cause.SETTING: "A changed setting would take something away from {count}.",
            Cause.RESYNC: "A new load no longer found everything of {count}.",
            Cause.SCHOOL_NUMBER: "A school has no school number, which would take something away from {count}.",
            Cause.INITIAL: "Nothing has been told yet: somebody must first see how much the first export is.",
        },
        persons=("person", "persons"),
        groups=("group", "groups"),
        since="It has been waiting for an approval since {since}: imsfeed holds show {hold}",
        kept="They keep their access until somebody responsible for the export has looked. All else is told as usual.",
    ),
}


def held_lines(held: HeldFigure, language: Language) -> Iterator[str]:
    """What waits and why; since when, and the command that shows it."""
    words = _WORDS[language]
    numbers = ((held.persons, words.persons), (held.groups, words.groups))
    count = ", ".join(f"{number} {unit[0 if number == 1 else 1]}" for number, unit in numbers if number)
    yield words.causes[held.cause].format(count=count)
    yield words.since.format(since=local_time(held.since, held.zone, language), hold=held.hold_id)


def kept_line(language: Language) -> str:
    """That nobody loses anything meanwhile."""
    return _WORDS[language].kept
