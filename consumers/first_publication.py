"""The first publication of a target: everything at once, as sequence 0, once somebody has approved it.

Until then the feed has nothing, and what would be in it can be looked at: a wrong scope, or the wrong owner, is best
seen before an importer has created a thousand accounts.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime

import msgspec

from consumers import facts_reader, holds_store, outcomes_store, published_store
from consumers.cut import marks_of, roster_of_affected
from consumers.delta_files import source_of
from consumers.facts_reader import Affected
from consumers.sessions import Connection, one_view
from consumers.targets_table import TargetRow, as_json, lock_target
from ims.feed import Totals
from ims.roster import Roster
from ims.runtime.crash_points import crash_point
from ims.schedule import due_snapshot, local_day
from ims.vocabulary import RecordKind
from ims.xml_writer import fragment


class Preview(msgspec.Struct, frozen=True):
    """What the first publication would tell: how many records, and the digest that an approval of it is bound to."""

    totals: Totals
    digest: str


def publish_first(connection: Connection, target_id: int, now: datetime) -> bool:
    """Work out everything for a target that was never published: sequence 0, told by the snapshot that follows.

    Returns:
        Whether it was done; not while the owner's facts are arriving, it has no organisation number, or nobody has
        approved it.
    """
    with one_view(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "waiting" or target.open or target.owner_orgnr is None:
            return False
        accepted = target.settings.accept_initial
        if not holds_store.initial_is_approved(connection, target_id, accepted=accepted, now=now):
            return False
        target = msgspec.structs.replace(target, orgnr=target.owner_orgnr)
        zone = target.settings.zone
        today = local_day(now, zone)
        marks = marks_of(connection, target)
        for chunk, roster in _rosters(connection, target, today):
            fragments = {
                key: fragment(record, dialect=target.settings.dialect) for key, record in sorted(roster.records.items())
            }
            published_store.store_fragments(connection, target_id, fragments, roster.owners)
            outcomes_store.keep(connection, target_id, roster, chunk.persons, chunk.groups, now)
        connection.execute(
            "update imsfeed.target set recompute = false, repair = false, cut_settings = %s, orgnr = %s, source = %s,"
            " dialect = %s, head_seq = 0, head_at = %s, marks_through = %s, dated_through = %s, snapshot_through = %s"
            " where target_id = %s",
            (
                as_json(target.settings),
                target.orgnr,
                source_of(target),
                target.settings.dialect,
                now,
                marks[-1].mark_id if marks else target.marks_through,
                today,
                due_snapshot(now, target.settings.snapshot_hour, zone, None),
                target_id,
            ),
        )
        crash_point("first.before_commit")
        return True


def preview(connection: Connection, target: TargetRow, now: datetime) -> Preview:
    """Work out what the first publication would tell.

    Persons stand in the digest by running number, so that it tells nothing of them.
    """
    target = msgspec.structs.replace(target, orgnr=target.owner_orgnr)
    kinds: Counter[RecordKind] = Counter()
    lines: set[tuple[int, int, str]] = set()
    for _, roster in _rosters(connection, target, local_day(now, target.settings.zone)):
        for key, (person, _) in roster.owners.items():
            lines.add((int(key.kind), person or 0, "" if key.kind is RecordKind.PERSON else key.id))
    kinds.update(RecordKind(kind) for kind, _, _ in lines)
    digest = hashlib.sha256(msgspec.json.encode(sorted(lines))).hexdigest()
    return Preview(Totals(*(kinds[kind] for kind in RecordKind)), digest)


def _rosters(connection: Connection, target: TargetRow, today: date) -> Iterator[tuple[Affected, Roster]]:
    for chunk in facts_reader.chunks(connection, target):
        yield chunk, roster_of_affected(connection, target, chunk, today)
