"""Where a target and a person are: why nothing is published, and whether a person is in the feed, held or excluded.

Everything that says so asks :func:`obstacle_of` and :func:`person_state`: `imsfeed status`, `why`, `plan` and `doctor`,
the report and the mails. The first reason that applies is given, in the order in which they have to be removed.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from ims.feed.conflicts import HaltReason, text_of
from ims.identifiers import compact, organisation_number
from ims.reports.reason_texts import Language
from ims.reports.times import local_time
from ims.targets.target_settings import TargetSettings


class Obstacle(StrEnum):
    """What keeps a target from publishing."""

    DISABLED = "disabled"
    """``enabled`` is false."""
    HALTED = "halted"
    """The files of its feed contradict the state database (:mod:`ims.feed.conflicts`)."""
    OWNER_UNKNOWN = "owner_unknown"
    """The owner's row has not arrived."""
    NUMBER_MISSING = "number_missing"
    """The owner has no organisation number."""
    NUMBER_INVALID = "number_invalid"
    """What the owner has is no organisation number."""
    TEST_NUMBER = "test_number"
    """The owner has the number of no organisation, and the target does not accept such numbers."""
    NUMBER_CHANGED = "number_changed"
    """The owner has another organisation number than the feed."""
    ARRIVING = "arriving"
    """A transaction of the source about the owner has arrived in part, before the first publication."""
    FIRST_HELD = "first_held"
    """The first publication waits for an approval."""
    FIRST_REJECTED = "first_rejected"
    """The first publication was rejected."""
    FIRST_DUE = "first_due"
    """Nothing is in the way of the first publication: compact makes it as soon as it is running."""


class PersonState(StrEnum):
    """Where a person, or a group, is at a target."""

    IN_FEED = "in_feed"
    """As published, and nothing waits."""
    HELD = "held"
    """What was published stays until an operator decides."""
    EXCLUDED = "excluded"
    """Not in the feed, by a rule."""
    NOT_PUBLISHED = "not_published"
    """Not in the feed, and no rule has said why yet: nothing has been published since the person arrived."""


def person_state(*, in_feed: bool, held: bool, excluded: object) -> PersonState:
    """Return where a person or group is at a target; what the feed has counts before what a rule says of it.

    A rule may have excluded a person who is held: the feed keeps the person until the hold is decided on.

    >>> person_state(in_feed=True, held=True, excluded="no_active_enrolment")
    <PersonState.HELD: 'held'>
    """
    if held:
        return PersonState.HELD
    if in_feed:
        return PersonState.IN_FEED
    return PersonState.NOT_PUBLISHED if excluded is None else PersonState.EXCLUDED


class FirstHold(msgspec.Struct, frozen=True):
    """The hold of a first publication: its number, since when, and whether it was rejected or approved."""

    hold_id: int
    since: datetime
    rejected: bool = False
    approved: bool = False


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a target publishes nothing.

    Attributes:
        target: its name.
        published: something has been published before; the feed stays as it is.
        halt_reason: why it is halted, if it is.
        hold: what a first publication waits for, if it does.
    """

    target: str
    obstacle: Obstacle
    published: bool
    zone: ZoneInfo
    halt_reason: HaltReason | None = None
    hold: FirstHold | None = None


def obstacle_of(
    settings: TargetSettings,
    *,
    registered: str | None,
    arriving: bool,
    orgnr: str | None,
    published: bool,
    halt_reason: HaltReason | None,
    hold: FirstHold | None,
) -> Situation | None:
    """Return why the target publishes nothing with these settings, or ``None`` if it does.

    Args:
        registered: the organisation number in the owner's row; ``None`` if the row has not arrived.
        arriving: a transaction of the source has arrived in part for the owner.
        orgnr: the organisation number of the feed, if anything has been published.
        published: something has been published.
        halt_reason: why the target is halted, if it is.
        hold: the open hold of the first publication, if there is one.
    """
    found = _obstacle(settings, registered, arriving, orgnr if published else None, halt_reason)
    if found is None and not published:
        found = Obstacle.FIRST_DUE
        if hold is not None and not hold.approved and not settings.accept_initial:
            found = Obstacle.FIRST_REJECTED if hold.rejected else Obstacle.FIRST_HELD
    if found is None or (published and found is Obstacle.ARRIVING):
        return None
    return Situation(
        target=settings.name,
        obstacle=found,
        published=published,
        zone=settings.zone,
        halt_reason=halt_reason,
        hold=hold if found in {Obstacle.FIRST_HELD, Obstacle.FIRST_REJECTED} else None,
    )


def _obstacle(
    settings: TargetSettings, registered: str | None, arriving: bool, orgnr: str | None, halt_reason: HaltReason | None
) -> Obstacle | None:
    if not settings.enabled:
        return Obstacle.DISABLED
    if halt_reason is not None:
        return Obstacle.HALTED
    return _about_number(settings, registered, orgnr) or (Obstacle.ARRIVING if arriving else None)


def _about_number(settings: TargetSettings, registered: str | None, orgnr: str | None) -> Obstacle | None:
    if registered is None:
        return Obstacle.OWNER_UNKNOWN
    number = compact(registered)
    if not number:
        return Obstacle.NUMBER_MISSING
    if not organisation_number.is_valid(number, allow_test_numbers=settings.allow_test_numbers):
        is_test = organisation_number.is_valid(number, allow_test_numbers=True)
        return Obstacle.TEST_NUMBER if is_test else Obstacle.NUMBER_INVALID
    return Obstacle.NUMBER_CHANGED if orgnr is not None and number != orgnr else None


_NOTHING_YET: Final = {
    Language.ENGLISH: "Nothing has been exported yet: ",
    Language.BOKMAL: "Ingenting er eksportert ennå: ",
}
_UNCHANGED: Final = {
    Language.ENGLISH: "The export stays as it was, and nothing new is exported: ",
    Language.BOKMAL: "Eksporten er som den var, og ingenting nytt blir eksportert: ",
}
_APPROVAL: Final = {
    Language.ENGLISH: "The person responsible for the export looks at it with `imsfeed holds show {hold}`,"
    " and approves it with `imsfeed holds approve {hold}`.",
    Language.BOKMAL: "Den som har ansvar for eksporten, ser på det med `imsfeed holds show {hold}`"
    " og godkjenner med `imsfeed holds approve {hold}`.",
}
_WHY: Final[Mapping[Language, Mapping[Obstacle, str]]] = {
    Language.ENGLISH: {
        Obstacle.DISABLED: "the target is disabled; `imsfeed targets set {target} enabled=true` enables it.",
        Obstacle.HALTED: "its files contradict the state database; `imsfeed status` says how.",
        Obstacle.OWNER_UNKNOWN: "the school owner has not arrived from the administration system.",
        Obstacle.NUMBER_MISSING: "the school owner has no organisation number in the administration system.",
        Obstacle.NUMBER_INVALID: "what the school owner has in the administration system is no organisation number.",
        Obstacle.TEST_NUMBER: "the school owner's organisation number is a test number;"
        " `imsfeed targets set {target} allow_test_numbers=true` accepts it.",
        Obstacle.NUMBER_CHANGED: "the school owner has another organisation number now than the export;"
        " for a new number, create another target.",
        Obstacle.ARRIVING: "a change in the administration system has arrived in part; the rest is awaited.",
        Obstacle.FIRST_HELD: "the first export has been waiting for an approval since {since}. "
        + _APPROVAL[Language.ENGLISH],
        Obstacle.FIRST_REJECTED: "the first export was rejected. " + _APPROVAL[Language.ENGLISH],
        Obstacle.FIRST_DUE: "it comes within a minute if compact is running.",
    },
    Language.BOKMAL: {
        Obstacle.DISABLED: "eksporten er slått av; `imsfeed targets set {target} enabled=true` slår den på.",
        Obstacle.HALTED: "filene passer ikke med databasen; `imsfeed status` sier hvordan.",
        Obstacle.OWNER_UNKNOWN: "skoleeieren er ikke kommet fra fagsystemet.",
        Obstacle.NUMBER_MISSING: "skoleeieren mangler organisasjonsnummer i fagsystemet.",
        Obstacle.NUMBER_INVALID: "det som er registrert på skoleeieren i fagsystemet, er ikke et organisasjonsnummer.",
        Obstacle.TEST_NUMBER: "skoleeierens organisasjonsnummer er et testnummer;"
        " `imsfeed targets set {target} allow_test_numbers=true` godtar det.",
        Obstacle.NUMBER_CHANGED: "skoleeieren har nå et annet organisasjonsnummer enn eksporten.",
        Obstacle.ARRIVING: "en endring i fagsystemet er kommet delvis; resten er på vei.",
        Obstacle.FIRST_HELD: "den første eksporten har ventet på godkjenning siden {since}. "
        + _APPROVAL[Language.BOKMAL],
        Obstacle.FIRST_REJECTED: "den første eksporten ble avvist. " + _APPROVAL[Language.BOKMAL],
        Obstacle.FIRST_DUE: "det skjer innen et minutt dersom compact kjører.",
    },
}
_HALTED: Final[Mapping[HaltReason, str]] = {
    HaltReason.AHEAD: "filene passer ikke med databasen, som er gjenopprettet fra en sikkerhetskopi.",
    HaltReason.UNKNOWN_EPOCH: "filene passer ikke med databasen, som er en annen.",
    HaltReason.FILES_MISSING: "filene er borte: lagringsplassen er ikke koblet til, eller den er tapt.",
    HaltReason.UNREADABLE: "filen manifest.json kan ikke leses.",
    HaltReason.FOLDER_TAKEN: "mappen som filene skal skrives til, tilhører en annen eksport. Organisasjonsnummeret kan"
    " være feil.",
    HaltReason.OWNER_UNKNOWN: "mappen har filer fra før, og det er ikke kjent hvilken skoleeier de gjelder.",
}


def explain_obstacle(situation: Situation, language: Language) -> str:
    """Return why nothing is published, and what to do about it, in one or two sentences."""
    before = (_UNCHANGED if situation.published else _NOTHING_YET)[language]
    if situation.obstacle is Obstacle.HALTED and situation.halt_reason is not None:
        if language is Language.BOKMAL:
            return before + _HALTED[situation.halt_reason]
        return f"{before}{text_of(situation.halt_reason, situation.target)}."
    hold = situation.hold
    return before + _WHY[language][situation.obstacle].format(
        target=situation.target,
        hold="" if hold is None else hold.hold_id,
        since="" if hold is None else local_time(hold.since, situation.zone, language),
    )


def approval_text(hold: int, language: Language) -> str:
    """Return who decides on a hold, and with which commands."""
    return _APPROVAL[language].format(hold=hold)
