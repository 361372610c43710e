"""The exclusion report as one self-contained web page, to be read on a screen, read aloud, or printed.

It has no script and no picture and fetches nothing. The page itself forbids all three (Content-Security-Policy), so
that a name that looks like markup could do no harm even if it were not escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Final, NamedTuple

from ims.identifiers.national_id import without_national_ids
from ims.records.text import visible
from ims.reports.exclusion_report import Excluded, Part, Report, held_parts, parts
from ims.reports.hold_texts import hold_cause
from ims.reports.page_style import STYLE
from ims.reports.reason_texts import USUALLY_RIGHT, Language, ReasonText, reason_text
from ims.reports.states import approval_text, explain_obstacle
from ims.reports.times import local_time
from ims.reports.warned import sections

_Row = tuple[int | None, str, list[str], datetime]
"""A row of a table: running number, name, further cells, since when."""


class _Words(NamedTuple):
    title: str
    made: str
    none_excluded: str
    in_feed: str
    held: str
    held_why: str
    held_since: str
    same_id: str
    counts: str
    reason: str
    persons: str
    groups: str
    total: str
    to_fix: str
    to_fix_why: str
    usually_right: str
    usually_right_why: str
    remedy: str
    number: str
    name: str
    group: str
    school: str
    since: str


_WORDS: Final = {
    Language.BOKMAL: _Words(
        title="Ikke med i eksporten",
        made="Laget",
        none_excluded="Alle personer og grupper er med.",
        in_feed="Med i eksporten: {persons} personer, {groups} grupper. Av dem er {held} på vent. Ikke med: {out}.",
        held="På vent, fortsatt med",
        held_why="De er med i eksporten som før, til det er avgjort.",
        held_since="På vent siden",
        same_id="Samme nummer eller kode som",
        counts="Antall per årsak",
        reason="Årsak",
        persons="Personer",
        groups="Grupper",
        total="Sum",
        to_fix="Bør rettes",
        to_fix_why="Når det er rettet i fagsystemet, kommer personene og gruppene med av seg selv.",
        usually_right="Som regel riktig",
        usually_right_why="Her er det bare noe å gjøre dersom opplysningen er feil.",
        remedy="Rettes slik:",
        number="Løpenummer",
        name="Navn",
        group="Gruppe",
        school="Skole",
        since="Siden",
    ),
    Language.ENGLISH: _Words(
        title="Not exported",
        made="Made",
        none_excluded="All persons and groups are exported.",
        in_feed="Exported: {persons} persons, {groups} groups. Of these, {held} are held. Not exported: {out}.",
        held="Held, still exported",
        held_why="They are exported as before until it has been decided.",
        held_since="Held since",
        same_id="Same number or code as",
        counts="Counts by reason",
        reason="Reason",
        persons="Persons",
        groups="Groups",
        total="Total",
        to_fix="To be corrected",
        to_fix_why="Once corrected in the administration system, the persons and groups are exported automatically.",
        usually_right="Usually right",
        usually_right_why="There is something to do here only if what is registered is wrong.",
        remedy="How to correct it:",
        number="Running number",
        name="Name",
        group="Group",
        school="School",
        since="Since",
    ),
}


def as_html(report: Report, language: Language) -> str:
    """Return the report as a page: the counts by reason, then every person and group, by reason."""
    words = _WORDS[language]
    title = escape(f"{words.title}: {report.target}")
    found = parts(report)
    made = (
        f'{words.made} <time datetime="{report.at.isoformat()}">{local_time(report.at, report.zone, language)}</time>'
    )
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="{language}">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="robots" content="noindex">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}</title>",
        f"<style>\n{STYLE}\n</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{title}</h1>",
        f"<p>{escape(visible(without_national_ids(report.owner)))}{' · ' if report.owner else ''}{made}</p>",
        *_summary(report, found, language),
        *_held(report, language),
        *_section(words.to_fix, words.to_fix_why, _some(found, usually_right=False), report, language),
        *sections(report.warned, language),
        *_section(words.usually_right, words.usually_right_why, _some(found, usually_right=True), report, language),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _summary(report: Report, found: Sequence[Part], language: Language) -> Iterator[str]:
    """Yield why nothing is published, if that is the case, else how many are in the feed; then the counts by reason."""
    words = _WORDS[language]
    held = sum(len(part.waiting) for part in report.held)
    if report.situation is not None:
        yield f'<p class="now"><strong>{escape(explain_obstacle(report.situation, language))}</strong></p>'
    if report.situation is None or report.situation.published:
        persons, groups = report.published.person, report.published.group
        yield f"<p>{words.in_feed.format(persons=persons, groups=groups, held=held, out=len(report.excluded))}</p>"
    if found:
        yield from _counts(found, language)
    elif report.situation is None and not held:
        yield f"<p>{words.none_excluded}</p>"


def _held(report: Report, language: Language) -> Iterator[str]:
    words = _WORDS[language]
    found = held_parts(report)
    if not found:
        return
    yield f"<h2>{words.held}</h2>\n<p>{words.held_why}</p>"
    for hold, waiting in found:
        yield f'<section id="hold-{hold.hold_id}" aria-labelledby="hold-{hold.hold_id}-title">'
        yield f'<h3 id="hold-{hold.hold_id}-title">{escape(hold_cause(hold, language))}</h3>'
        yield f"<p>{_code(approval_text(hold.hold_id, language))}</p>"
        for caption, kind in ((words.persons, "person"), (words.groups, "group")):
            rows: list[_Row] = [(one.id, one.name, [], one.since) for one in waiting if one.kind == kind]
            if rows:
                name = words.name if kind == "person" else words.group
                yield from _table(caption, (name,), words.held_since, rows, report, language)
        yield "</section>"


def _code(text: str) -> str:
    """Return a text as HTML, with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _some(found: Iterable[Part], *, usually_right: bool) -> list[Part]:
    return [part for part in found if (part.reason in USUALLY_RIGHT) is usually_right]


def _counts(found: Sequence[Part], language: Language) -> Iterator[str]:
    words = _WORDS[language]
    yield f"<table>\n<caption>{words.counts}</caption>"
    yield (
        f'<thead><tr><th scope="col">{words.reason}</th><th scope="col" class="n">{words.persons}</th>'
        f'<th scope="col" class="n">{words.groups}</th></tr></thead>\n<tbody>'
    )
    for part in found:
        link = f'<a href="#{part.reason}">{escape(reason_text(part.reason, language).meaning)}</a>'
        yield _count_row(link, len(part.persons), len(part.groups))
    persons, groups = (sum(len(part[at]) for part in found) for at in (1, 2))
    yield f"</tbody>\n<tfoot>{_count_row(words.total, persons, groups)}</tfoot>\n</table>"


def _count_row(heading: str, persons: int, groups: int) -> str:
    return f'<tr><th scope="row">{heading}</th><td class="n">{persons}</td><td class="n">{groups}</td></tr>'


def _section(heading: str, why: str, found: Sequence[Part], report: Report, language: Language) -> Iterator[str]:
    if not found:
        return
    yield f"<h2>{heading}</h2>\n<p>{why}</p>"
    words = _WORDS[language]
    for part in found:
        yield _explained(part, reason_text(part.reason, language), words)
        if part.persons:
            same = (words.same_id,) if any(one.same_id for one in part.persons) else ()
            rows = [(one.id, one.name, _places(one, bool(same), groups=True), one.since) for one in part.persons]
            columns = (words.name, *same, words.school, words.groups)
            yield from _table(words.persons, columns, words.since, rows, report, language)
        if part.groups:
            same = (words.same_id,) if any(one.same_id for one in part.groups) else ()
            rows = [(one.id, one.name, _places(one, bool(same), groups=False), one.since) for one in part.groups]
            yield from _table(words.groups, (words.group, *same, words.school), words.since, rows, report, language)
        yield "</section>"


def _explained(part: Part, text: ReasonText, words: _Words) -> str:
    return (
        f'<section id="{part.reason}" aria-labelledby="{part.reason}-title">\n'
        f'<h3 id="{part.reason}-title">{escape(text.meaning)}</h3>\n'
        f"<p><strong>{words.remedy}</strong> {escape(text.remedy)}</p>"
    )


def _places(one: Excluded, same: bool, *, groups: bool) -> list[str]:
    """Return the cells between name and time: the others with the same id if *same*, the schools, and the groups."""
    others = [", ".join(map(str, one.same_id))] if same else []
    return [*others, ", ".join(one.schools), *([", ".join(one.groups)] if groups else [])]


def _table(
    caption: str, columns: Sequence[str], since: str, rows: Sequence[_Row], report: Report, language: Language
) -> Iterator[str]:
    """Yield a table; each cell also has its column's heading, which a narrow screen shows beside it."""
    words = _WORDS[language]
    headings = "".join(f'<th scope="col">{column}</th>' for column in columns)
    yield f'<div class="wide">\n<table>\n<caption>{caption} ({len(rows)})</caption>'
    yield (
        f'<thead><tr><th scope="col" class="n">{words.number}</th>{headings}'
        f'<th scope="col" class="t">{since}</th></tr></thead>\n<tbody>'
    )
    for number, name, places, at in rows:
        cells = "".join(
            f'<td data-label="{column}">{escape(place)}</td>' for column, place in zip(columns[1:], places, strict=True)
        )
        time = f'<time datetime="{at.isoformat()}">{local_time(at, report.zone, language)}</time>'
        named = (
            f'<td class="n" data-label="{words.number}">{"" if number is None else number}</td>'
            f'<th scope="row">{escape(name) or "&ndash;"}</th>'
        )
        yield f'<tr>{named}{cells}<td class="t" data-label="{since}">{time}</td></tr>'
    yield "</tbody>\n</table>\n</div>"
