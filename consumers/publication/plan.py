"""What a target's next cut would tell, with the settings in force or with others, worked out and thrown away.

It reads one state of the database in a transaction that locks nothing, so that cuts go on meanwhile. Nothing of it is
kept: what has been told, marks and settings stay as they are.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Final, Literal

import msgspec

from consumers.database.sessions import Connection, read_only
from consumers.database.targets_table import TargetRow, valid_orgnr
from consumers.facts import facts_reader
from consumers.facts.facts_reader import Affected
from consumers.publication.delta import connected, difference, roster_today
from consumers.published import published_store
from ims.identifiers.national_id import without_national_ids
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.eligibility import Reason
from ims.rules.roster import Roster
from ims.targets.schedule import local_day
from ims.targets.target_settings import TargetSettings

_CHUNK: Final = 2_000
"""Persons worked out at a time."""

What = Literal["new", "changed", "gone"]
Kind = Literal["person", "group", "membership"]
_KINDS: Final[dict[RecordKind, Kind]] = {
    RecordKind.PERSON: "person",
    RecordKind.GROUP: "group",
    RecordKind.MEMBERSHIP: "membership",
}
_WHAT: Final[dict[RecStatus, What]] = {
    RecStatus.NEW: "new",
    RecStatus.CHANGED: "changed",
    RecStatus.GONE: "gone",
}


class Line(msgspec.Struct, frozen=True):
    """The records of one kind with which one thing happens.

    Attributes:
        count: how many; of a changed role the old one is gone and the new one new, as in a delta.
        persons: running numbers of the persons they are about.
        groups: of groups, ``sourcedid/id``.
    """

    kind: Kind
    what: What
    count: int
    persons: list[int]
    groups: list[str]


class Excluded(msgspec.Struct, frozen=True):
    """How many would be left out for a reason, and how many of them the importer has been told of."""

    kind: Literal["person", "group"]
    reason: Reason
    count: int
    published: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be told.

    Attributes:
        state: of the target with these settings. Of one that is disabled all is worked out as if it were enabled;
            one that would stand still (``stale``), or whose owner has no organisation number yet, is not worked out.
        worked_out: false if nothing could be told with these settings, so that there was nothing to work out.
        first: it was never published, and all this would be its first publication.
        arriving: a transaction of the source has arrived in part; the numbers are not final.
        persons: how many were looked at.
        losing_last_membership: running numbers of those who are members of something now and of nothing then.
        changed_ids: running numbers of those whose ``sourcedid/id`` would be another.
        would_hold: what is taken away, or the first publication, would wait for an approval (:mod:`ims.holds.losses`),
            because these settings alone lead to it; removals that are too many for an hour or a day are not foreseen.
    """

    owner: int
    target: str
    state: Literal["ok", "waiting", "stale", "disabled"]
    worked_out: bool
    first: bool
    arriving: bool
    persons: int
    changes: list[Line]
    losing_last_membership: list[int]
    changed_ids: list[int]
    excluded: list[Excluded]
    would_hold: bool


class _Found:
    """What has been found so far; a record that was looked at with two parts counts once."""

    def __init__(self) -> None:
        self.changes: dict[tuple[RecordKind, RecStatus], set[RecordKey]] = defaultdict(set)
        self.persons: dict[tuple[RecordKind, RecStatus], set[int]] = defaultdict(set)
        self.losing: set[int] = set()
        self.changed_ids: set[int] = set()
        self.excluded: dict[tuple[RecordKind, int], Reason] = {}
        self.published: set[tuple[RecordKind, int]] = set()


def plan(
    connection: Connection,
    target: TargetRow,
    settings: TargetSettings,
    now: datetime,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Plan:
    """Work out what the target's importer would be told with *settings*.

    Args:
        settings: those in force, or changed ones (:func:`ims.targets.target_settings.changed`).
        progress: is told how many persons of how many have been looked at.

    Raises:
        psycopg.Error: the state database is away.
    """
    found, in_force = _Found(), target.settings
    with read_only(connection):
        registered = connection.execute(
            "select orgnr from imsfeed.owner where owner_id = %s", (target.owner_id,)
        ).fetchone()
        target = _with(target, settings, registered[0] if registered else None)
        state, in_scope = target.state, 0
        possible = target.orgnr is not None and target.owner_orgnr == target.orgnr
        if possible:
            target = _enabled(target)
            today = max(local_day(now, settings.zone), target.dated_through or date.min)
            for affected, in_scope, of in _chunks(connection, target):
                _work_out(connection, target, affected, today, found)
                progress(in_scope, of)
            found.published.update(_published_groups(connection, target))
    return Plan(
        owner=target.owner_id,
        target=settings.name,
        state=state,
        worked_out=possible,
        first=target.head_seq is None,
        arriving=target.open,
        persons=in_scope,
        changes=_lines(found),
        losing_last_membership=sorted(found.losing),
        changed_ids=sorted(found.changed_ids),
        excluded=_excluded(found),
        would_hold=not settings.accept_initial
        if target.head_seq is None
        else settings != in_force and _takes_away(found),
    )


def _would_wait(target: TargetRow, in_force: TargetSettings, found: _Found) -> bool:
    if target.head_seq is None:
        return not target.settings.accept_initial
    return msgspec.structs.replace(in_force, enabled=True) != target.settings and _takes_away(found)


def _takes_away(found: _Found) -> bool:
    gone = any(keys for (_, recstatus), keys in found.changes.items() if recstatus is RecStatus.GONE)
    return gone or bool(found.losing or found.changed_ids)


def _with(target: TargetRow, settings: TargetSettings, registered: str | None) -> TargetRow:
    """The target as it would stand with *settings*."""
    owner_orgnr = valid_orgnr(registered, settings)
    orgnr = target.orgnr if target.head_seq is not None else owner_orgnr
    return msgspec.structs.replace(target, settings=settings, owner_orgnr=owner_orgnr, orgnr=orgnr)


def _enabled(target: TargetRow) -> TargetRow:
    return msgspec.structs.replace(target, settings=msgspec.structs.replace(target.settings, enabled=True))


def _chunks(connection: Connection, target: TargetRow) -> Iterator[tuple[Affected, int, int]]:
    """All there is, a part at a time, and how many persons of how many that makes; who shares an id is never apart."""
    everything = facts_reader.everything(connection, target)
    persons = everything.persons
    yield Affected([], everything.groups), 0, len(persons)
    for start in range(0, len(persons), _CHUNK):
        chunk = persons[start : start + _CHUNK]
        yield Affected(facts_reader.with_same_id(connection, target, chunk), []), start + len(chunk), len(persons)


def _work_out(connection: Connection, target: TargetRow, affected: Affected, today: date, found: _Found) -> None:
    roster = _roster(connection, target, affected, today)
    while (together := connected(connection, target, affected, roster)) is not None:
        affected = facts_reader.affected(connection, target, together, None)
        roster = _roster(connection, target, affected, today)
    about = published_store.published(connection, target.target_id, affected.persons, affected.groups)
    published, published_ids = about.texts, about.person_ids
    delta = difference(target.settings, published, published_ids, roster)
    before = {id_: person for person, id_ in published_ids.items()}
    after = {id_: person for person, id_ in roster.person_ids.items()}
    for change in delta.changes:
        key = change.key
        found.changes[key.kind, change.recstatus].add(key)
        whose = before if change.recstatus is RecStatus.GONE else after
        person = whose.get(key.member or key.id) if key.kind is not RecordKind.GROUP else None
        if person is not None:
            found.persons[key.kind, change.recstatus].add(person)
    found.losing |= _members(published, before) - _members(roster.records, after)
    found.changed_ids.update(p for p, id_ in roster.person_ids.items() if published_ids.get(p, id_) != id_)
    found.excluded.update(roster.excluded)
    found.published.update((RecordKind.PERSON, person) for person in published_ids)


def _published_groups(connection: Connection, target: TargetRow) -> Iterator[tuple[RecordKind, int]]:
    """The course groups that the importer has been told of."""
    rows = connection.execute(
        "select group_id from imsfeed.published where target_id = %s and kind = 2 and group_id is not null",
        (target.target_id,),
    ).fetchall()
    return ((RecordKind.GROUP, id_) for (id_,) in rows)


def _roster(connection: Connection, target: TargetRow, affected: Affected, today: date) -> Roster:
    facts = facts_reader.read_facts(connection, target, affected.persons, affected.groups)
    return roster_today(target, facts, affected, today)


def _members(keys: Iterable[RecordKey], persons: Mapping[str, int]) -> set[int]:
    """The running numbers of those who are members of anything."""
    return {persons[key.member] for key in keys if key.kind is RecordKind.MEMBERSHIP and key.member in persons}


def _lines(found: _Found) -> list[Line]:
    return [
        Line(
            _KINDS[kind],
            _WHAT[recstatus],
            len(keys),
            sorted(found.persons[kind, recstatus]),
            sorted(without_national_ids(key.id) for key in keys) if kind is RecordKind.GROUP else [],
        )
        for (kind, recstatus), keys in sorted(found.changes.items())
    ]


def _excluded(found: _Found) -> list[Excluded]:
    counts = Counter((kind, reason) for (kind, _), reason in found.excluded.items())
    published = Counter(
        (kind, found.excluded[kind, id_]) for kind, id_ in found.published if (kind, id_) in found.excluded
    )
    return [
        Excluded("person" if kind is RecordKind.PERSON else "group", reason, count, published[kind, reason])
        for (kind, reason), count in sorted(counts.items())
    ]
