"""The exclusion report as one self-contained web page, to be read on a screen, read aloud, or printed.

It has no script and no picture and fetches nothing. The page itself forbids all three (Content-Security-Policy), so
that a name that looks like markup could do no harm even if it were not escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from ims.identifiers.national_id import without_national_ids
from ims.records.text import visible
from ims.reports.exclusion_report import Excluded, Part, Report, local_time, parts
from ims.reports.reason_texts import USUALLY_RIGHT, Language, ReasonText, reason_text


class _Words(NamedTuple):
    title: str
    made: str
    none_excluded: str
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

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8888; --accent: #b3541e; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 68rem; padding: 1.5rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; }
h2 { border-bottom: 2px solid var(--accent); font-size: 1.35rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem; }
h3 { font-size: 1.05rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 48rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
caption { font-weight: 600; padding: .25rem 0; text-align: start; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: start; }
th, td { overflow-wrap: anywhere; vertical-align: top; }
th { font-weight: 600; }
tbody th { font-weight: 400; }
tfoot th, tfoot td { border-bottom: 0; font-weight: 600; }
a { color: inherit; text-decoration-color: var(--accent); text-underline-offset: .2em; }
.n { font-variant-numeric: tabular-nums; text-align: end; white-space: nowrap; width: 1%; }
.n + th, .n + td { padding-inline-start: 1.25rem; }
.t { white-space: nowrap; width: 9.5rem; }
.wide { overflow-x: auto; }
.wide table { min-width: 46rem; table-layout: fixed; }
.wide .n { width: 8.5rem; }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  .wide table { min-width: 0; }
  a { color: inherit; text-decoration: none; }
  thead { display: table-header-group; }
  tr, h2, h3, p { break-inside: avoid; }
  h2, h3, h3 + p, caption { break-after: avoid; }
}
""".strip()


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
        f"<style>\n{_STYLE}\n</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{title}</h1>",
        f"<p>{escape(visible(without_national_ids(report.owner)))}{' · ' if report.owner else ''}{made}</p>",
        *(_counts(found, language) if found else [f"<p>{words.none_excluded}</p>"]),
        *_section(words.to_fix, words.to_fix_why, _some(found, usually_right=False), report, language),
        *_section(words.usually_right, words.usually_right_why, _some(found, usually_right=True), report, language),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


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
            yield from _table(words.persons, (words.name, words.school, words.groups), part.persons, report, language)
        if part.groups:
            yield from _table(words.groups, (words.group, words.school), part.groups, report, language)
        yield "</section>"


def _explained(part: Part, text: ReasonText, words: _Words) -> str:
    return (
        f'<section id="{part.reason}" aria-labelledby="{part.reason}-title">\n'
        f'<h3 id="{part.reason}-title">{escape(text.meaning)}</h3>\n'
        f"<p><strong>{words.remedy}</strong> {escape(text.remedy)}</p>"
    )


def _table(
    caption: str, columns: Sequence[str], rows: Sequence[Excluded], report: Report, language: Language
) -> Iterator[str]:
    words = _WORDS[language]
    headings = "".join(f'<th scope="col">{column}</th>' for column in columns)
    yield f'<div class="wide">\n<table>\n<caption>{caption} ({len(rows)})</caption>'
    yield (
        f'<thead><tr><th scope="col" class="n">{words.number}</th>{headings}'
        f'<th scope="col" class="t">{words.since}</th></tr></thead>\n<tbody>'
    )
    for one in rows:
        places = (", ".join(one.schools), ", ".join(one.groups))[: len(columns) - 1]
        cells = "".join(f"<td>{escape(place)}</td>" for place in places)
        since = f'<time datetime="{one.since.isoformat()}">{local_time(one.since, report.zone, language)}</time>'
        named = f'<td class="n">{one.id}</td><th scope="row">{escape(one.name) or "&ndash;"}</th>'
        yield f'<tr>{named}{cells}<td class="t">{since}</td></tr>'
    yield "</tbody>\n</table>\n</div>"
