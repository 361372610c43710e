"""The exclusion report to the case worker: who and what is not exported, why, and how to correct it; as CSV for Excel.

Persons are named by running number and name, never by national id. A person with a protected identity is named by the
running number alone: where such a person goes to school is what the protection is to hide.
"""

import csv
from collections.abc import Sequence
from datetime import datetime
from io import StringIO
from itertools import groupby
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from ims.identifiers.national_id import without_national_ids
from ims.records.text import visible
from ims.reports.reason_texts import USUALLY_RIGHT, Language, reason_text
from ims.rules.eligibility import Reason

Kind = Literal["person", "group"]


class Excluded(msgspec.Struct, frozen=True):
    """A person or group that is not exported.

    Attributes:
        id: the running number.
        name: given and family name, or the group's name and code.
        schools: the schools where a person is employed or enrolled, or the school of a group.
        groups: the groups in which a person is enrolled.
        since: since when it has been excluded for this reason.
    """

    kind: Kind
    id: int
    name: str
    schools: tuple[str, ...]
    groups: tuple[str, ...]
    reason: Reason
    since: datetime


class Report(msgspec.Struct, frozen=True):
    """All persons and groups that a target excludes, as of ``at``; ``zone`` is that of the times shown."""

    target: str
    owner: str
    at: datetime
    zone: ZoneInfo
    excluded: tuple[Excluded, ...]


class Part(NamedTuple):
    """The persons and groups that are excluded for one reason."""

    reason: Reason
    persons: Sequence[Excluded]
    groups: Sequence[Excluded]


def parts(report: Report) -> list[Part]:
    """Return the excluded persons and groups by reason, those to be corrected first, each part in the order of names.

    What must not be shown is removed (names of protected persons, national ids typed into a name).
    """
    place = {reason: (reason in USUALLY_RIGHT, number) for number, reason in enumerate(Reason)}
    rows = sorted(
        map(_without_secrets, report.excluded), key=lambda one: (place[one.reason], one.name.casefold(), one.id)
    )
    return [
        Part(reason, [one for one in same if one.kind == "person"], [one for one in same if one.kind == "group"])
        for reason, same in ((reason, list(some)) for reason, some in groupby(rows, key=lambda one: one.reason))
    ]


_SECRET: Final = frozenset({Reason.PERSON_PROTECTED, Reason.PERSON_SUPPRESSED})


def _without_secrets(one: Excluded) -> Excluded:
    if one.reason in _SECRET:
        return msgspec.structs.replace(one, name="", schools=(), groups=())
    return msgspec.structs.replace(
        one,
        name=_printable(one.name),
        schools=tuple(map(_printable, one.schools)),
        groups=tuple(map(_printable, one.groups)),
    )


def _printable(text: str) -> str:
    # A report is also read in a terminal, which obeys control characters.
    return visible(without_national_ids(" ".join(text.split())))


def local_time(at: datetime, zone: ZoneInfo, language: Language) -> str:
    """Return a time to the minute as it is written in the language."""
    return at.astimezone(zone).strftime("%d.%m.%Y %H:%M" if language is Language.BOKMAL else "%Y-%m-%d %H:%M")


_HEADINGS: Final = {
    Language.BOKMAL: ("Type", "Løpenummer", "Navn", "Skole", "Grupper", "Årsak", "Rettes slik", "Siden"),
    Language.ENGLISH: ("Kind", "Running number", "Name", "School", "Groups", "Reason", "How to correct it", "Since"),
}
_KINDS: Final = {
    Language.BOKMAL: {"person": "person", "group": "gruppe"},
    Language.ENGLISH: {"person": "person", "group": "group"},
}
_FORMULA: Final = tuple("=+-@\t\r")


def as_csv(report: Report, language: Language) -> str:
    """Return the report as CSV that a Norwegian Excel opens as it is.

    That needs a byte order mark, or æøå are broken, and semicolons, since the comma is the decimal sign. A cell that
    begins like a formula gets an apostrophe in front: a name must not be run (CWE-1236, "CSV injection").
    """
    stream = StringIO()
    stream.write("\ufeff")
    table = csv.writer(stream, delimiter=";")
    table.writerow(_HEADINGS[language])
    for part in parts(report):
        text = reason_text(part.reason, language)
        for one in (*part.persons, *part.groups):
            since = local_time(one.since, report.zone, language)
            places = (", ".join(one.schools), ", ".join(one.groups))
            cells = (_KINDS[language][one.kind], str(one.id), one.name, *places, *text, since)
            table.writerow(map(_no_formula, cells))
    return stream.getvalue()


def _no_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
