"""The oracle: what the feeds must contain, from the source's tables; and that their logs have only what ever was."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from consumers.database import sessions, targets_table
from ims.identifiers.national_id import NationalId
from ims.records.model import PersonRecord, Record, RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.roster import roster_of
from ims.source.facts import FACT_TYPES, CourseGroup, Employee, Enrolment, Fact, Facts, Owner, Person, School, Table
from ims.targets.target_settings import TargetSettings
from ims.xml.reader import read_fragment
from ims.xml.writer import fragment
from tests.chaos.checkers.feed_log import FeedLog, version_of
from tests.chaos.workload.driver import Driver
from tests.chaos.workload.school_owner import orgnr_of


class Target(NamedTuple):
    """A target and its feed."""

    settings: TargetSettings
    log: FeedLog

    @property
    def name(self) -> str:
        """The target's name in the verdict."""
        return f"{self.settings.owner}/{self.settings.name}"


def targets(state_dsn: str, feed: Path) -> list[Target]:
    """Return every target."""
    with sessions.connect(state_dsn, "oracle") as connection:
        settings = [row.settings for row in targets_table.all_targets(connection)]
    return [Target(one, FeedLog(feed / orgnr_of(one.owner) / one.name)) for one in settings]


def differences(source_dsn: str, target: Target) -> list[str]:
    """Return how an importer's records differ from what the source says today."""
    if target.log.manifest() is None:
        return [f"{target.name}: was never published"]
    expected, published = _expected(source_dsn, target.settings), target.log.published()
    wrong = {key for key in expected.keys() | published.keys() if expected.get(key) != published.get(key)}
    kinds = [f"{key.kind.name.lower()} {_how(expected.get(key), published.get(key))}" for key in sorted(wrong)]
    return [f"{target.name}: {kinds.count(kind)} x a {kind}" for kind in dict.fromkeys(kinds)]


def _how(expected: Record | None, published: Record | None) -> str:
    if expected is None:
        return "is published that does not exist"
    return "is missing" if published is None else "is published differently"


def _expected(source_dsn: str, settings: TargetSettings) -> dict[RecordKey, Record]:
    with psycopg.connect(source_dsn) as connection:
        facts = _facts(connection, settings.owner)
    today = datetime.now(UTC).astimezone(settings.zone).date()
    orgnr = orgnr_of(settings.owner)
    roster = roster_of(facts, settings, orgnr=orgnr, today=today, persons=facts.persons, groups=facts.groups)
    # As an importer reads them: a file does not have every field of a record.
    return {key: read_fragment(key, fragment(record)) for key, record in roster.records.items()}


def _facts(connection: psycopg.Connection[Any], owner: int) -> Facts:
    rows: dict[type, list[Any]] = {
        kind: list(_rows(connection, table, kind, owner)) for table, kind in FACT_TYPES.items()
    }
    return Facts(
        owner=rows[Owner][0],
        schools={row.id: row for row in rows[School]},
        persons={row.id: row for row in rows[Person]},
        employees={row.id: row for row in rows[Employee]},
        groups={row.id: row for row in rows[CourseGroup]},
        enrolments={row.id: row for row in rows[Enrolment]},
    )


def _rows(connection: psycopg.Connection[Any], table: Table, kind: type[Fact], owner: int) -> Iterator[Fact]:
    columns = kind.__struct_fields__
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("select {} from {} where owner_id = %s").format(names, sql.Identifier(table.value))
    for row in connection.execute(query, (owner,)):
        values = dict(zip(columns, row, strict=True))
        if values.get("national_id") is not None:
            values["national_id"] = NationalId(values["national_id"])
        yield kind(**values)


def never_true(target: Target, driver: Driver) -> list[str]:
    """Return the log's entries that were never true, and transactions that it splits over two deltas."""
    owner = target.settings.owner
    names, pairs = _what_was(target.settings, driver)
    came: dict[RecordKey, int] = dict.fromkeys(target.log.first(), 0)
    left: dict[RecordKey, int] = {}
    wrong = []
    for seq, delta in enumerate(target.log.deltas(), 1):
        for item in delta:
            record, key = item.record, item.record.key
            (left if item.recstatus is RecStatus.GONE else came)[key] = seq
            if isinstance(record, PersonRecord) and (record.id, version_of(record)) not in names:
                wrong.append(f"{target.name}: delta {seq} has a name that its person never had")
            if key.kind is RecordKind.MEMBERSHIP and key.id.startswith("group-") and (key.id, key.member) not in pairs:
                wrong.append(f"{target.name}: delta {seq} has a membership that never was")
    ids = _ids(target.settings, driver)
    for move in driver.moves:
        for id_ in ids[move.person] if move.owner == owner else ():
            gone = left.get(RecordKey(RecordKind.MEMBERSHIP, f"group-{move.old}", id_))
            new = came.get(RecordKey(RecordKind.MEMBERSHIP, f"group-{move.new}", id_))
            if gone is not None and new is not None and gone != new:
                wrong.append(f"{target.name}: one transaction is split over the deltas {gone} and {new}")
    return wrong


def _ids(settings: TargetSettings, driver: Driver) -> dict[int, set[str]]:
    """Return the ids under which each person of the owner may have been published."""
    ids: dict[int, set[str]] = defaultdict(set)
    for owner, person, number, _ in driver.people:
        if owner == settings.owner:
            ids[person].add(_published_id(settings, person, number))
    return ids


def _published_id(settings: TargetSettings, person: int, number: str | None) -> str:
    return str(person) if number is None or settings.person_id == "running" else number


def _what_was(settings: TargetSettings, driver: Driver) -> tuple[set[tuple[str, int]], set[tuple[str, str]]]:
    """Return every (id, number in the name) and every (group, id) that was ever true."""
    names = {
        (_published_id(settings, person, number), version)
        for owner, person, number, version in driver.people
        if owner == settings.owner
    }
    ids = _ids(settings, driver)
    pairs = {
        (f"group-{group}", id_)
        for owner, person, group in driver.pairs
        if owner == settings.owner
        for id_ in ids[person]
    }
    return names, pairs
