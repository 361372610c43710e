"""The exclusion report to the case worker: who and what is not exported or is held, and why; as CSV for Excel.

Persons are named by running number and name, never by national id. A person with a protected identity is named by the
running number alone: where such a person goes to school is what the protection is to hide.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO
from itertools import groupby
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from ims.feed.manifest import Totals
from ims.reports.hold_texts import HeldFigure, hold_cause
from ims.reports.reason_texts import USUALLY_RIGHT, Language, reason_text
from ims.reports.states import PersonState, Situation, approval_text, explain_obstacle
from ims.reports.times import local_time
from ims.reports.warned import Warned, named_with, printable, rows_for_csv
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
        same_id: the running numbers of the others that have the same id, if that is the reason.
        others: running number and name of each person or group with whom the reason is shared.
    """

    kind: Kind
    id: int
    name: str
    schools: tuple[str, ...]
    groups: tuple[str, ...]
    reason: Reason
    since: datetime
    same_id: tuple[int, ...] = ()
    others: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """A person or group that waits for an approval, and is in the feed as published meanwhile.

    Attributes:
        id: the running number; ``None`` of a group that has none.
        name: as of :class:`Excluded`; empty for a person with a protected identity.
        since: since when it has waited.
    """

    kind: Kind
    id: int | None
    name: str
    since: datetime


class HeldPart(NamedTuple):
    """A hold, and the persons and groups in it."""

    hold: HeldFigure
    waiting: Sequence[Held]


class Report(msgspec.Struct, frozen=True):
    """Everything that a target excludes, holds or exports with a warning, as of ``at``, in times of ``zone``.

    Attributes:
        excluded: those that are not in the feed. Those that a rule excludes and a hold keeps in the feed are not here.
        situation: why the target publishes nothing, or ``None`` if it does.
        published: how many records are in the feed, those that wait included.
    """

    target: str
    owner: str
    at: datetime
    zone: ZoneInfo
    excluded: tuple[Excluded, ...]
    held: tuple[HeldPart, ...] = ()
    situation: Situation | None = None
    published: Totals = Totals()
    warned: tuple[Warned, ...] = ()


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
    rows = sorted(map(_without_secrets, report.excluded), key=lambda one: (place[one.reason], *_order(one)))
    return [
        Part(reason, [one for one in same if one.kind == "person"], [one for one in same if one.kind == "group"])
        for reason, same in ((reason, list(some)) for reason, some in groupby(rows, key=lambda one: one.reason))
    ]


def _order(one: Excluded) -> tuple[int, str, int]:
    # Those with one id stand together; a case worker has to compare them.
    together = min(one.id, *one.same_id) if one.same_id else 0
    return together, "" if one.same_id else one.name.casefold(), one.id


def held_parts(report: Report) -> list[HeldPart]:
    """Return what waits, by hold, each part in the order of names, without what must not be shown."""
    return [
        HeldPart(
            part.hold,
            sorted(
                (msgspec.structs.replace(one, name=printable(one.name)) for one in part.waiting),
                key=lambda one: (one.kind != "person", one.name.casefold(), one.id or 0),
            ),
        )
        for part in report.held
    ]


_SECRET: Final = frozenset({Reason.PERSON_PROTECTED, Reason.PERSON_SUPPRESSED})


def _without_secrets(one: Excluded) -> Excluded:
    if one.reason in _SECRET:
        return msgspec.structs.replace(one, name="", schools=(), groups=())
    return msgspec.structs.replace(
        one,
        name=named_with(printable(one.name), map(printable, one.others)),
        schools=tuple(map(printable, one.schools)),
        groups=tuple(map(printable, one.groups)),
    )


_HEADINGS: Final = {
    Language.BOKMAL: (
        *("Type", "Løpenummer", "Navn", "Skole", "Grupper", "Årsak", "Rettes slik", "Siden"),
        *("Status", "Samme nummer eller kode som"),
    ),
    Language.ENGLISH: (
        *("Kind", "Running number", "Name", "School", "Groups", "Reason", "How to correct it", "Since"),
        *("Status", "Same number or code as"),
    ),
}
_STATUS: Final = {
    Language.BOKMAL: {
        PersonState.EXCLUDED: "ikke med",
        PersonState.IN_FEED: "med",
        PersonState.HELD: "på vent, fortsatt med",
        PersonState.NOT_PUBLISHED: "ingenting eksporteres nå",
    },
    Language.ENGLISH: {
        PersonState.EXCLUDED: "not exported",
        PersonState.IN_FEED: "exported",
        PersonState.HELD: "held, still exported",
        PersonState.NOT_PUBLISHED: "nothing is exported now",
    },
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
    for rows in (_situation_rows, _held_rows, _excluded_rows, _warned_rows):
        for cells in rows(report, language):
            table.writerow(map(_no_formula, cells))
    return stream.getvalue()


def _situation_rows(report: Report, language: Language) -> Iterator[Sequence[str]]:
    """Yield a row for the whole export if nothing is published: an empty table would say that all are in it."""
    if report.situation is not None:
        why = explain_obstacle(report.situation, language)
        yield ("", "", "", "", "", why, "", "", _STATUS[language][PersonState.NOT_PUBLISHED], "")


def _held_rows(report: Report, language: Language) -> Iterator[Sequence[str]]:
    for part in held_parts(report):
        why, remedy = hold_cause(part.hold, language), approval_text(part.hold.hold_id, language)
        for one in part.waiting:
            named = (_KINDS[language][one.kind], "" if one.id is None else str(one.id), one.name)
            since = local_time(one.since, report.zone, language)
            yield (*named, "", "", why, remedy, since, _STATUS[language][PersonState.HELD], "")


def _excluded_rows(report: Report, language: Language) -> Iterator[Sequence[str]]:
    for part in parts(report):
        text = reason_text(part.reason, language)
        for one in (*part.persons, *part.groups):
            since = local_time(one.since, report.zone, language)
            places = (", ".join(one.schools), ", ".join(one.groups))
            same = ", ".join(map(str, one.same_id))
            status = _STATUS[language][PersonState.EXCLUDED]
            yield (_KINDS[language][one.kind], str(one.id), one.name, *places, *text, since, status, same)


def _warned_rows(report: Report, language: Language) -> Iterator[Sequence[str]]:
    for kind, number, name, meaning, remedy, at in rows_for_csv(report.warned, language):
        since = local_time(at, report.zone, language)
        yield (
            kind,
            number,
            printable(name),
            "",
            "",
            meaning,
            remedy,
            since,
            _STATUS[language][PersonState.IN_FEED],
            "",
        )


def _no_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
