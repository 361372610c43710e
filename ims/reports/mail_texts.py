"""The mails to case workers: counts and a link, in Norwegian bokmål and, below it, in English; never a person's data.

There is a mail each day, also when all is well: otherwise no case worker would notice that the mails have stopped.
There is one more when a target begins to fail, and one when the failure is over.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ims.feed.manifest import Counts, KindCounts, Totals
from ims.holds.losses import Cause
from ims.reports.hold_texts import HeldFigure, held_lines, kept_line
from ims.reports.mail_figures import ExcludedCount, Failure, Figures, WarnedCount
from ims.reports.reason_texts import USUALLY_RIGHT, Language, reason_text
from ims.reports.states import Obstacle, Situation, explain_obstacle
from ims.reports.times import local_time
from ims.reports.warning_texts import warning_text


class Mail(NamedTuple):
    """A mail's subject and plain text."""

    subject: str
    text: str


class _Words(NamedTuple):
    units: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]
    changes: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]
    well: str
    exported: str
    last_day: str
    to_fix: str
    usually_right: str
    warned: str
    quarantined: str
    short_notice: str
    responsible: str
    link: str
    began: str
    over: str
    failures: dict[Failure, str]


_WORDS: Final = {
    Language.BOKMAL: _Words(
        units=(("person", "personer"), ("gruppe", "grupper"), ("medlemskap", "medlemskap")),
        changes=(("ny", "nye"), ("endret", "endret"), ("fjernet", "fjernet")),
        well="Alt er i orden. Med i eksporten {target}: {totals}. Siste døgn: {changes}.",
        exported="Med i eksporten {target}: {totals}.",
        last_day="Siste døgn: {changes}.",
        to_fix="Ikke med, bør rettes:",
        usually_right="Ikke med, som regel riktig:",
        warned="Med, bør rettes:",
        quarantined="Meldinger fra fagsystemet som ikke kunne leses: {count}. {responsible}",
        short_notice="Den daglige fullfilen lages mindre enn en time før mottakeren leser den. {responsible}",
        responsible="Den som har ansvar for eksporten, må se på det.",
        link="Hvem det gjelder, og hvordan det rettes: {link}",
        began="Eksporten {target} har feilet siden {at}.",
        over="Eksporten {target} virker igjen. Den feilet fra {began} til {at}.",
        failures={
            Failure.STALE: "Ingenting blir eksportert.",
            Failure.FEED_BROKEN: "En fil i eksporten er ikke slik den ble skrevet.",
            Failure.NOT_UPDATED: "Eksporten blir ikke oppdatert. Endringer når ikke mottakeren før feilen er rettet.",
            Failure.FOLDER_TAKEN: "Mappen som eksporten skal skrives til, tilhører en annen eksport.",
            Failure.SNAPSHOT_MISSING: "Den daglige fullfilen er ikke laget. Mottakeren kan ha lest en gammel fil.",
            Failure.MANY_PROTECTED: "Uvanlig mange er fjernet det siste døgnet fordi de er registrert som skjermet."
            " Er det en feil, må den rettes i fagsystemet; da kommer de tilbake.",
        },
    ),
    Language.ENGLISH: _Words(
        units=(("person", "persons"), ("group", "groups"), ("membership", "memberships")),
        changes=(("new", "new"), ("changed", "changed"), ("removed", "removed")),
        well="All is well. In the export {target}: {totals}. In the last 24 hours: {changes}.",
        exported="In the export {target}: {totals}.",
        last_day="In the last 24 hours: {changes}.",
        to_fix="Not exported, to be corrected:",
        usually_right="Not exported, usually right:",
        warned="Exported, to be corrected:",
        quarantined="Messages from the administration system that could not be read: {count}. {responsible}",
        short_notice="The daily full file is made less than an hour before it is read. {responsible}",
        responsible="The person responsible for the export must look into it.",
        link="Who is affected, and how to correct it: {link}",
        began="The export {target} has been failing since {at}.",
        over="The export {target} works again. It failed from {began} to {at}.",
        failures={
            Failure.STALE: "Nothing is exported.",
            Failure.FEED_BROKEN: "A file of the export is no longer as it was written.",
            Failure.NOT_UPDATED: "The export is not updated. Changes do not reach the importer until this is fixed.",
            Failure.FOLDER_TAKEN: "The folder that the export should be written to belongs to another export.",
            Failure.SNAPSHOT_MISSING: "The daily full file was not made. The importer may have read an old one.",
            Failure.MANY_PROTECTED: "Unusually many were removed in the last day because they are registered as"
            " protected. A mistake must be corrected in the administration system; they then come back.",
        },
    ),
}


def daily(figures: Figures) -> Mail:
    """Return the daily mail: one line, and the link, when there is nothing to do."""
    to_fix = sum(one.persons + one.groups for one in figures.excluded if one.reason not in USUALLY_RIGHT)
    to_fix += sum(one.count for one in figures.warned)
    if figures.failures:
        what = "feiler"
    elif figures.holds or (figures.situation and figures.situation.obstacle is Obstacle.FIRST_HELD):
        what = "venter på godkjenning"
    elif to_fix:
        what = f"{to_fix} bør rettes"
    else:
        what = "alt i orden" if _is_well(figures) else "se på dette"
    return Mail(
        f"Eksporten {figures.target}, {figures.owner}: {what}", _both(lambda language: _daily(figures, language))
    )


def failure_began(
    target: str,
    owner: str,
    failures: Sequence[Failure],
    began: datetime,
    zone: ZoneInfo,
    link: str | None,
    situation: Situation | None = None,
) -> Mail:
    """Return the mail that a target has begun to fail; *situation*: why it publishes nothing now, if so."""

    def text(language: Language) -> Iterator[str]:
        words = _WORDS[language]
        yield words.began.format(target=target, at=local_time(began, zone, language))
        yield from _failures(failures, situation, language)
        yield words.responsible
        yield from _link(link, words)

    return Mail(f"Eksporten {target}, {owner}: feiler", _both(text))


def failure_over(target: str, owner: str, began: datetime, ended: datetime, zone: ZoneInfo) -> Mail:
    """Return the mail that a target's failure is over."""

    def text(language: Language) -> Iterator[str]:
        times = {name: local_time(at, zone, language) for name, at in (("began", began), ("at", ended))}
        yield _WORDS[language].over.format(target=target, **times)

    return Mail(f"Eksporten {target}, {owner}: virker igjen", _both(text))


def hold_began(target: str, owner: str, held: HeldFigure) -> Mail:
    """Return the mail that something has begun to wait for an approval."""
    return Mail(f"Eksporten {target}, {owner}: venter på godkjenning", _hold(held))


def hold_changed(target: str, owner: str, held: HeldFigure) -> Mail:
    """Return the mail that something else waits than an earlier mail said."""
    return Mail(f"Eksporten {target}, {owner}: noe annet venter på godkjenning", _hold(held))


def _hold(held: HeldFigure) -> str:
    def text(language: Language) -> Iterator[str]:
        yield from held_lines(held, language)
        if held.cause is not Cause.INITIAL:
            yield kept_line(language)

    return _both(text)


def _both(text: Callable[[Language], Iterator[str]]) -> str:
    return "\n\n-- English --\n\n".join("\n".join(text(language)) for language in Language) + "\n"


def _is_well(figures: Figures) -> bool:
    nothing_to_fix = all(one.reason in USUALLY_RIGHT for one in figures.excluded)
    wrong = figures.situation or figures.quarantined or figures.failures or figures.short_notice or figures.holds
    return nothing_to_fix and not wrong and not figures.warned


def _daily(figures: Figures, language: Language) -> Iterator[str]:
    words = _WORDS[language]
    named = {"target": figures.target, "totals": _totals(figures.published, words)}
    changes = _changes(figures.last_day, words)
    if _is_well(figures):
        yield words.well.format(changes=changes, **named)
    else:
        yield from _failures(figures.failures, figures.situation, language)
        for held in figures.holds:
            yield from held_lines(held, language)
            yield kept_line(language)
        if figures.situation is None or figures.situation.published:
            yield words.exported.format(**named)
        yield words.last_day.format(changes=changes)
        yield from _excluded(figures.excluded, language)
        yield from _warned(figures.warned, language)
        if figures.quarantined:
            yield words.quarantined.format(count=figures.quarantined, responsible=words.responsible)
        if figures.short_notice:
            yield words.short_notice.format(responsible=words.responsible)
    yield from _link(figures.link, words)


def _failures(failures: Sequence[Failure], situation: Situation | None, language: Language) -> Iterator[str]:
    """Yield what is wrong, each thing once: why nothing is published is said in place of that nothing is."""
    if situation is not None:
        yield explain_obstacle(situation, language)
    yield from (
        _WORDS[language].failures[failure] for failure in failures if failure is not Failure.STALE or situation is None
    )


def _link(link: str | None, words: _Words) -> Iterator[str]:
    if link:
        yield words.link.format(link=link)


def _excluded(counts: Sequence[ExcludedCount], language: Language) -> Iterator[str]:
    words = _WORDS[language]
    for heading, right in ((words.to_fix, False), (words.usually_right, True)):
        some = [one for one in counts if (one.reason in USUALLY_RIGHT) is right]
        if some:
            yield heading
        for one in some:
            numbers = zip((one.persons, one.groups), words.units, strict=False)
            count = ", ".join(_count(number, unit) for number, unit in numbers if number)
            yield f"  {count}: {reason_text(one.reason, language).meaning}"


def _warned(counts: Sequence[WarnedCount], language: Language) -> Iterator[str]:
    if counts:
        yield _WORDS[language].warned
    for one in counts:
        yield f"  {one.count}: {warning_text(one.warning, language).meaning}"


def _totals(totals: Totals, words: _Words) -> str:
    numbers = (totals.person, totals.group, totals.membership)
    return ", ".join(map(_count, numbers, words.units))


def _changes(counts: Counts, words: _Words) -> str:
    """Return ``personer: 1 ny, 0 endret, 2 fjernet; grupper: ...``."""

    def counted(kind: KindCounts) -> str:
        return ", ".join(map(_count, (kind.new, kind.changed, kind.gone), words.changes))

    kinds = (counts.person, counts.group, counts.membership)
    return "; ".join(f"{unit[1]}: {counted(kind)}" for kind, unit in zip(kinds, words.units, strict=True))


def _count(number: int, unit: tuple[str, str]) -> str:
    return f"{number} {unit[0] if number == 1 else unit[1]}"
