"""The check of a mapping against the live source: what it would make of every row, before anything is published."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import msgspec

from consumers.reconciliation.source_reader import SourceReader
from ims.errors import BadMessageError
from ims.identifiers import compact
from ims.identifiers.national_id import NationalId
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.roster import roster_of
from ims.source.columns import COLUMNS
from ims.source.events import Row
from ims.source.facts import FACT_TYPES, Fact, Facts, Table
from ims.targets.target_settings import TargetSettings


class TableCheck(msgspec.Struct, frozen=True):
    """What the mapping makes of the rows of one table.

    Attributes:
        rows: how many rows would become facts.
        refused: how many would be quarantined, by reason and detail.
    """

    table: Table
    rows: int
    refused: dict[tuple[str, str], int]


class TargetCheck(msgspec.Struct, frozen=True):
    """Who would be excluded from a target, by reason, and how many records it would have."""

    owner: int
    name: str
    records: dict[RecordKind, int]
    excluded: dict[tuple[RecordKind, Reason], int]


class MappingCheck(msgspec.Struct, frozen=True):
    """The result of the check of a mapping.

    Attributes:
        tables: each table.
        targets: each target; without any, each owner as a target with the usual settings.
    """

    tables: list[TableCheck]
    targets: list[TargetCheck]

    @property
    def wrong(self) -> list[str]:
        """What is wrong with the mapping itself: unknown words, and tables of which no row can be read."""
        silent = [f"no row of {one.table.value} can be read" for one in self.tables if one.refused and not one.rows]
        by_mapping = {"unknown_word", "missing_column"}
        unknown = [detail for one in self.tables for reason, detail in one.refused if reason in by_mapping]
        return silent + unknown


def check_mapping(
    source: SourceReader, targets: Iterable[TargetSettings], today: date, begun: Callable[[Table], None]
) -> MappingCheck:
    """Read every row of the source at one moment, and say what would become of it.

    All facts are held in memory, about a gigabyte for each million rows.

    Args:
        source: the source with the mapping to be checked.
        targets: the targets to be evaluated.
        today: the day for which they are evaluated.
        begun: called with each table when it begins to be read.
    """
    facts: dict[int, dict[Table, dict[int, Any]]] = defaultdict(lambda: {table: {} for table in Table})
    checks = []
    with source.view():
        for table in Table:
            begun(table)
            checks.append(_read(source, table, facts))
    wanted = list(targets) or [TargetSettings(name="usual-settings", owner=owner) for owner in sorted(facts)]
    return MappingCheck(checks, [_target(_facts(facts[one.owner], one.owner), one, today) for one in wanted])


def _read(source: SourceReader, table: Table, facts: dict[int, dict[Table, dict[int, Any]]]) -> TableCheck:
    refused: Counter[tuple[str, str]] = Counter()

    def refuse(error: BadMessageError) -> None:
        refused[error.reason, error.detail] += 1

    count = 0
    for rows in source.rows(table, None, refused=refuse):
        for key, values in rows.items():
            if values is not None:
                count += 1
                facts[key.owner_id][table][key.id] = _fact(table, values)
    return TableCheck(table, count, dict(refused))


def _fact(table: Table, values: Row) -> Fact:
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS[table]), **values}
    if row.get("national_id") is not None:
        row["national_id"] = NationalId(row["national_id"])
    return FACT_TYPES[table](**row)


def _facts(tables: dict[Table, dict[int, Any]], owner_id: int) -> Facts:
    return Facts(
        owner=tables[Table.OWNER].get(owner_id),
        schools=tables[Table.SCHOOL],
        persons=tables[Table.PERSON],
        employees=tables[Table.EMPLOYEE],
        groups=tables[Table.COURSE_GROUP],
        enrolments=tables[Table.ENROLMENT],
    )


def _target(facts: Facts, settings: TargetSettings, today: date) -> TargetCheck:
    orgnr = compact("" if facts.owner is None else facts.owner.orgnr or "")
    roster = roster_of(
        facts,
        msgspec.structs.replace(settings, enabled=True),
        orgnr=orgnr,
        today=today,
        persons=facts.persons,
        groups=facts.groups,
    )
    return TargetCheck(
        owner=settings.owner,
        name=settings.name,
        records=dict(Counter(key.kind for key in roster.records)),
        excluded=dict(Counter((kind, reason) for (kind, _), reason in roster.excluded.items())),
    )
