"""The part of the report about persons and groups that are exported with a warning, for the page and for Excel."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Final, Literal

import msgspec

from ims.identifiers.national_id import without_national_ids
from ims.records.text import visible
from ims.reports.reason_texts import Language
from ims.reports.warning_texts import warning_text
from ims.rules.normalisation import RecordWarning


class Warned(msgspec.Struct, frozen=True):
    """A person or group that is exported with a warning.

    Attributes:
        id: the running number.
        name: given and family name, or the group's name and code.
        others: running number and name of each person whom the warning is about too.
        since: since when there has been this warning.
    """

    kind: Literal["person", "group"]
    id: int
    name: str
    warning: RecordWarning
    others: tuple[str, ...]
    since: datetime


_HEADINGS: Final = {
    Language.BOKMAL: (
        "Med i eksporten, bør rettes",
        "Rettes slik:",
        "Løpenummer",
        "Navn",
        "Gjelder også",
        "person",
        "gruppe",
    ),
    Language.ENGLISH: (
        "Exported, to be corrected",
        "How to correct it:",
        "Running number",
        "Name",
        "Others",
        "person",
        "group",
    ),
}


def named_with(name: str, others: Iterable[str]) -> str:
    """Return a name, followed by the others with whom something is shared; without any national id.

    >>> named_with("Bo Li", ["1001 Ada Li"]), named_with("Bo Li", [])
    ('Bo Li (= 1001 Ada Li)', 'Bo Li')
    """
    listed = ", ".join(others)
    return printable(f"{name} (= {listed})" if listed else name)


def printable(text: str) -> str:
    """Return a text of the source as a report shows it: on one line, without national ids.

    A report is also read in a terminal, which obeys control characters; they are written as escapes.
    """
    return visible(without_national_ids(" ".join(text.split())))


def sections(warned: Iterable[Warned], language: Language) -> Iterator[str]:
    """Yield the lines of the page about these warnings, one table for each; none if there are no warnings."""
    parts = _parts(warned)
    heading, remedy, number, name, others, _, _ = _HEADINGS[language]
    if parts:
        yield f"<h2>{heading}</h2>"
    for warning, rows in parts:
        text = warning_text(warning, language)
        yield f'<section id="{warning}">\n<h3>{escape(text.meaning)}</h3>'
        yield f"<p><strong>{remedy}</strong> {escape(text.remedy)}</p>"
        yield f'<div class="wide">\n<table>\n<caption>{escape(text.meaning)} ({len(rows)})</caption>'
        yield (
            f'<thead><tr><th scope="col" class="n">{number}</th><th scope="col">{name}</th>'
            f'<th scope="col">{others}</th></tr></thead>\n<tbody>'
        )
        for one in rows:
            named, listed = (escape(printable(text)) for text in (one.name, ", ".join(one.others)))
            yield f'<tr><td class="n">{one.id}</td><th scope="row">{named or "&ndash;"}</th><td>{listed}</td></tr>'
        yield "</tbody>\n</table>\n</div>\n</section>"


def rows_for_csv(warned: Iterable[Warned], language: Language) -> Iterator[tuple[str, str, str, str, str, datetime]]:
    """Yield kind, running number, name, meaning, remedy and since when, of each warning."""
    *_, person, group = _HEADINGS[language]
    for warning, rows in _parts(warned):
        text = warning_text(warning, language)
        for one in rows:
            kind = person if one.kind == "person" else group
            yield kind, str(one.id), named_with(one.name, one.others), *text, one.since


def _parts(warned: Iterable[Warned]) -> list[tuple[RecordWarning, list[Warned]]]:
    place = {warning: number for number, warning in enumerate(RecordWarning)}
    rows = sorted(warned, key=lambda one: (place[one.warning], one.name.casefold(), one.id))
    return [(warning, list(same)) for warning, same in groupby(rows, key=lambda one: one.warning)]
