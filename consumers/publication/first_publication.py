"""The first publication of a target: everything at once, as sequence 0, once somebody has approved it.

Until then the feed has nothing, and what would be in it can be looked at: a wrong scope, or the wrong owner, is best
seen before an importer has created a thousand accounts.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from itertools import chain
from typing import NamedTuple

import msgspec

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import TargetRow, as_json, lock_target, source_of
from consumers.facts import facts_reader
from consumers.facts.facts_reader import Affected, pending_changes
from consumers.holds import holds_store
from consumers.published import exclusions_store, published_store
from ims.feed.manifest import Totals
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster, roster_of_groups, roster_of_persons
from ims.runtime.failpoints import failpoint
from ims.source.facts import Facts
from ims.targets.schedule import due_snapshot, local_day
from ims.xml.writer import fragment


class Preview(msgspec.Struct, frozen=True):
    """What the first publication would tell: how many records, and the digest that an approval of it is bound to."""

    totals: Totals
    digest: str


def publish_first(
    connection: Connection, target_id: int, now: datetime, alive: Callable[[], None] = lambda: None
) -> bool:
    """Work out everything for a target that was never published: sequence 0, told by the snapshot that follows.

    Args:
        alive: called after each part, since a large owner takes minutes.

    Returns:
        Whether it was done; not while the owner's facts are arriving, it has no organisation number, or nobody has
        approved it.
    """
    with repeatable_read(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "waiting" or target.open or target.owner_orgnr is None:
            return False
        accepted = target.settings.accept_initial
        if not holds_store.initial_is_approved(connection, target_id, accepted=accepted, now=now):
            return False
        target = msgspec.structs.replace(target, orgnr=target.owner_orgnr)
        zone = target.settings.zone
        today = local_day(now, zone)
        changes = pending_changes(connection, target)
        _store(connection, target, _Everything(connection, target, today), now, alive)
        connection.execute(
            "update imsfeed.target set recompute = false, repair = false, published_settings = %s, orgnr = %s,"
            " source = %s,"
            " dialect = %s, head_seq = 0, head_at = %s, changes_through = %s, dated_through = %s, snapshot_through = %s"
            " where target_id = %s",
            (
                as_json(target.settings),
                target.orgnr,
                source_of(target),
                target.settings.dialect,
                now,
                changes[-1].change_id if changes else target.changes_through,
                today,
                due_snapshot(now, target.settings.snapshot_hour, zone, None),
                target_id,
            ),
        )
        failpoint("first.before_commit")
        return True


def preview(connection: Connection, target: TargetRow, now: datetime) -> Preview:
    """Work out what the first publication would tell.

    Persons stand in the digest by running number, so that it tells nothing of them.
    """
    target = msgspec.structs.replace(target, orgnr=target.owner_orgnr)
    everything = _Everything(connection, target, local_day(now, target.settings.zone))
    kinds: Counter[RecordKind] = Counter()
    lines: set[tuple[int, int, str]] = set()
    for part in chain([everything.groups], (everything.part(*read) for read in everything.read())):
        for key, (person, _) in part.roster.subjects.items():
            lines.add((int(key.kind), person or 0, "" if key.kind is RecordKind.PERSON else key.id))
    kinds.update(RecordKind(kind) for kind, _, _ in lines)
    digest = hashlib.sha256(msgspec.json.encode(sorted(lines))).hexdigest()
    return Preview(Totals(*(kinds[kind] for kind in RecordKind)), digest)


class _Part(NamedTuple):
    """Some persons and groups, and all that is so of them."""

    affected: Affected
    roster: Roster


class _Everything:
    """All that an owner has, worked out part by part: the groups, once for all persons, and then the persons.

    Attributes:
        groups: the first part.
    """

    def __init__(self, connection: Connection, target: TargetRow, today: date) -> None:
        self._connection = connection
        self._target = target
        everything = facts_reader.everything(connection, target)
        self._persons = everything.persons
        facts = facts_reader.read_facts(connection, target, [], everything.groups)
        roster, self._published = roster_of_groups(
            facts, target.settings, orgnr=target.orgnr or "", today=today, groups=everything.groups
        )
        self.groups = _Part(Affected([], everything.groups), roster)

    def read(self) -> Iterator[tuple[list[int], Facts]]:
        """Read the persons of the other parts, and their facts."""
        for persons in facts_reader.parts(self._connection, self._target, self._persons):
            yield persons, facts_reader.read_person_facts(self._connection, self._target, persons)

    def part(self, persons: list[int], facts: Facts) -> _Part:
        """Work out a part that was read; needs no database."""
        return _Part(Affected(persons, []), roster_of_persons(facts, self._target.settings, self._published, persons))


def _store(
    connection: Connection, target: TargetRow, everything: _Everything, now: datetime, alive: Callable[[], None]
) -> None:
    """Store all parts, each while the next one, which is read already, is worked out."""
    dialect = target.settings.dialect

    def in_words(part: _Part) -> tuple[_Part, Mapping[RecordKey, str]]:
        return part, {key: fragment(record, dialect=dialect) for key, record in sorted(part.roster.records.items())}

    def store(part: _Part, fragments: Mapping[RecordKey, str]) -> None:
        (persons, groups), roster = (part.affected.persons, part.affected.groups), part.roster
        published_store.store_fragments(connection, target.target_id, fragments, roster.subjects)
        exclusions_store.keep(connection, target.target_id, roster, persons, groups, now)

    ready = in_words(everything.groups)
    with ThreadPoolExecutor(1, "first publication") as storing:
        for persons, facts in everything.read():
            stored = storing.submit(store, *ready)
            ready = in_words(everything.part(persons, facts))
            stored.result()
            alive()
        store(*ready)
