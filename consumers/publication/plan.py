"""What a target's next publication would be, with the settings in force or with others.

A plan reads one state of the database in a transaction that locks nothing, so that publications go on meanwhile. It
stores nothing: published records, pending changes and settings stay as they are.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Final, Literal

import msgspec

from consumers.database.sessions import Connection, read_only
from consumers.database.targets_table import State, TargetRow, read_target, state_of, valid_orgnr
from consumers.publication.gathering import Gatherer
from consumers.publication.postgres_view import PostgresView
from ims.identifiers.national_id import without_national_ids
from ims.publication.decision import decide, numbers_of
from ims.publication.gathered import Format, Gathered, Terms
from ims.records.model import RecordKey, Subjects
from ims.records.vocabulary import RecordKind, RecStatus
from ims.rules.eligibility import Reason
from ims.targets.schedule import local_day
from ims.targets.target_settings import TargetSettings

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
    """The records of one kind that are added, changed or removed.

    Attributes:
        count: how many; a changed role counts as one removed and one new, as in a delta.
        persons: running numbers of the persons whom the records are about.
        groups: ``sourcedid/id`` of the groups, if the records are groups.
    """

    kind: Kind
    what: What
    count: int
    persons: list[int]
    groups: list[str]


class Excluded(msgspec.Struct, frozen=True):
    """How many persons or groups would be excluded for a reason, and how many of them are published."""

    kind: Literal["person", "group"]
    reason: Reason
    count: int
    published: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be published.

    Attributes:
        state: the target's state with these settings. A disabled target is worked out as if it were enabled; a target
            that would be ``stale``, or whose owner has no organisation number yet, is not worked out.
        worked_out: false if nothing could be published with these settings.
        first: the target was never published, and this would be its first publication.
        arriving: a transaction of the source has arrived in part; the numbers are not final.
        persons: how many were compared.
        losing_last_membership: running numbers of the persons who would lose their last membership.
        changed_ids: running numbers of the persons whose ``sourcedid/id`` would change.
        would_hold: the removals, or the first publication, would wait for an approval (:mod:`ims.holds.losses`),
            because only the settings cause them. Limits per hour and day are not foreseen.
    """

    owner: int
    target: str
    state: State
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
    """The differences found so far; a record that is in two parts counts once."""

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
    """Return what the target's importer would be sent with *settings*.

    Args:
        settings: the settings in force, or changed ones (:func:`ims.targets.target_settings.changed`).
        progress: called with how many persons have been compared, and how many there are.

    Raises:
        psycopg.Error: the state database cannot be reached.
    """
    found, in_scope = _Found(), 0
    with read_only(connection):
        owner, position = read_target(connection, target.target_id).owner, target.position
        first = position.head_seq is None
        owner_orgnr = valid_orgnr(owner.registered, settings)
        orgnr = owner_orgnr if first else position.orgnr
        possible = orgnr is not None and owner_orgnr == orgnr
        if possible:
            today = max(local_day(now, settings.zone), position.dated_through or date.min)
            terms = Terms(msgspec.structs.replace(settings, enabled=True), orgnr or "", today)
            gatherer = Gatherer(PostgresView(connection, target), terms)
            before = Format(position.source, position.dialect)
            for scope, in_scope, of in gatherer.chunks():
                gatherer.give(_note(gatherer.compare(scope, closed=True), terms, before, found))
                progress(in_scope, of)
    return Plan(
        owner=target.owner_id,
        target=settings.name,
        state=state_of(settings, position, owner),
        worked_out=possible,
        first=first,
        arriving=target.owner.open,
        persons=in_scope,
        changes=_lines(found),
        losing_last_membership=sorted(found.losing),
        changed_ids=sorted(found.changed_ids),
        excluded=_excluded(found),
        would_hold=not settings.accept_initial if first else settings != target.settings and _takes_away(found),
    )


def _takes_away(found: _Found) -> bool:
    gone = any(keys for (_, recstatus), keys in found.changes.items() if recstatus is RecStatus.GONE)
    return gone or bool(found.losing or found.changed_ids)


def _note(gathered: Gathered, terms: Terms, before: Format, found: _Found) -> dict[str, int]:
    """Work out one part, add its differences to *found*, and return who is given a login in it."""
    decision = decide(gathered, terms, before)
    published = gathered.published
    ids_before, ids_after = numbers_of(published.person_ids), numbers_of(gathered.roster.person_ids)
    found.changes[RecordKind.GROUP, RecStatus.GONE].update(
        RecordKey(RecordKind.GROUP, id_) for id_ in decision.delta.closed_groups
    )
    new = {change.key for change in decision.delta.changes if change.recstatus is RecStatus.NEW}
    for change in decision.delta.changes:
        key = change.key
        if change.recstatus is RecStatus.CHANGED and key in new:
            continue  # the same new record, sent again for an importer that needs it
        found.changes[key.kind, change.recstatus].add(key)
        whose = ids_before if change.recstatus is RecStatus.GONE else ids_after
        person = whose.get(key.member or key.id) if key.kind is not RecordKind.GROUP else None
        if person is not None:
            found.persons[key.kind, change.recstatus].add(person)
    found.losing |= _members(published.texts, ids_before) - _members(gathered.roster.records, ids_after)
    found.changed_ids.update(decision.changed_ids)
    found.excluded.update(decision.excluded)
    found.published.update(_subjects(published.subjects))
    return {login: ids_after[id_] for login, id_ in decision.delta.names_now.items() if id_ in ids_after}


def _subjects(published: Subjects) -> Iterator[tuple[RecordKind, int]]:
    """Yield the persons and course groups that are published."""
    for key, (person, group) in published.items():
        number = person if key.kind is RecordKind.PERSON else group
        if key.kind is not RecordKind.MEMBERSHIP and number is not None:
            yield key.kind, number


def _members(keys: Iterable[RecordKey], persons: Mapping[str, int]) -> set[int]:
    """Return the running numbers of the persons who are members of a group."""
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
        if keys
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
