"""A cut: what may have changed for a target, compared with what its importer has been told, becomes the next delta.

One transaction takes the marks, works out the records, compares, gives the delta its number and stores its bytes; only
then is the file put into the feed. After a crash the same bytes are written again.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime

import msgspec

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import TargetRow, as_json, lock_target, source_of
from consumers.facts import facts_reader, suppressions
from consumers.facts.facts_reader import Affected, pending_changes
from consumers.facts.pending_changes import Pending, looking_at, mentioned, settled
from consumers.holds import hold_gate
from consumers.holds.hold_gate import Scope
from consumers.publication.delta_files import next_deltas, who
from consumers.publication.leave_now_expiry import end_agreed_leave_now
from consumers.published import exclusions_store, published_store, record_subjects, recorded_files, tombstones
from ims.feed.delta import Delta, between
from ims.feed.manifest import DeltaEntry
from ims.feed.previous_ids import former_ids, with_old_ids
from ims.holds.decision import Compared
from ims.holds.losses import Cause
from ims.records.model import Record, RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster, roster_of
from ims.runtime.failpoints import failpoint
from ims.source.facts import Facts
from ims.targets.schedule import local_day
from ims.targets.target_settings import TargetSettings


class Publication(msgspec.Struct, frozen=True):
    """The deltas that a cut has made: none when nothing had changed for the importer, several for very much.

    ``changed_ids`` counts the persons whose ``sourcedid/id`` changed.
    """

    entries: list[DeltaEntry]
    changed_ids: int

    def and_then(self, other: "Publication") -> "Publication":
        """This cut and the one that follows it at once."""
        return Publication([*self.entries, *other.entries], self.changed_ids + other.changed_ids)


def publish_delta(connection: Connection, target_id: int, now: datetime, settle_seconds: float) -> Publication | None:
    """Make the next delta of a target, if there is anything to tell.

    When its settings have changed, what the source has changed is told first, as the settings were: so it is known
    what the settings alone take away, which waits for an approval.

    Returns:
        ``None`` when another process works on the target, or its owner or marks are not ready.

    Raises:
        psycopg.Error: nothing has been changed; the same cut can be tried again.
    """
    with repeatable_read(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "ok" or target.open or not target.has_snapshot:
            return None
        changes = pending_changes(connection, target)
        pending, explained = settled(changes, settle_seconds, after=target.changes_through), mentioned(changes)
        pending = msgspec.structs.replace(pending, persons=pending.persons | suppressions.urgent(connection, target_id))
        if not target.recompute or target.published_settings in {None, target.settings}:
            publication = _publish(
                connection, target, pending, explained, now, everybody=target.recompute or target.repair
            )
        else:
            publication = _publish_twice(connection, target, pending, explained, now)
        suppressions.in_scope(connection, target_id)
        return publication


def _publish_twice(
    connection: Connection, target: TargetRow, pending: Pending, explained: Pending, now: datetime
) -> Publication | None:
    """With the settings of the last cut, then with those in force."""
    as_before = msgspec.structs.replace(target, settings=target.published_settings)
    first = _publish(connection, as_before, pending, explained, now, everybody=True)
    target = lock_target(connection, target.target_id) or target
    rest = settled((), 0, after=pending.through)
    second = _publish(connection, target, rest, rest, now, everybody=True, cause=Cause.SETTING)
    return first.and_then(second) if first and second else second


def _publish(
    connection: Connection,
    target: TargetRow,
    pending: Pending,
    explained: Pending,
    now: datetime,
    *,
    everybody: bool = False,
    cause: Cause | None = None,
) -> Publication | None:
    """One comparison, with the settings of *target*.

    Args:
        explained: all that is marked: what events have said, taken by this cut or not.
        cause: ``SETTING`` if nothing but the settings has changed.
    """
    today = max(local_day(now, target.settings.zone), target.dated_through or date.min)
    published = target.dated_through or today
    days = (published, today) if published < today else None
    known = Affected([], [])
    if pending.everything or target.repair:
        cause, known = Cause.RESYNC, facts_reader.affected(connection, target, explained, days)
    if everybody or pending.everything:
        affected = facts_reader.everything(connection, target)
    elif pending or days or target.review:
        affected = facts_reader.affected(connection, target, pending, days)
    else:
        return None
    publication = _compare(connection, target, affected, pending, now, today, cause, known)
    end_agreed_leave_now(connection, target, affected.persons, pending.through, now)
    return publication


def _compare(
    connection: Connection,
    target: TargetRow,
    affected: Affected,
    pending: Pending,
    now: datetime,
    today: date,
    cause: Cause | None,
    explained: Affected,
) -> Publication:
    target_id = target.target_id
    affected, roster, in_scope = _looked_at(connection, target, affected, today)
    persons, groups = affected.persons, affected.groups
    published = published_store.published(connection, target_id, persons, groups)
    published_ids = published.person_ids
    compared = Compared(in_scope.of(published.texts), published_ids, roster)
    decision = hold_gate.hold_back(connection, target, compared, in_scope.waiting, cause, explained, now)
    if (target.source, target.dialect) != (source_of(target), target.settings.dialect):
        decision = hold_gate.republished(connection, target, compared, decision)
    roster = decision.roster
    taken = logins_taken(connection, target, decision.published, roster)
    delta = difference(target.settings, decision.published, published_ids, roster, taken)
    if target.dialect != target.settings.dialect:
        tombstones.forget(connection, target_id)
    exclusions_store.keep(connection, target_id, roster, persons, groups, now)
    numbers = who(published_ids) | who(roster.person_ids)
    entries = record(connection, target, delta, numbers, now, pending.oldest_event_at)
    changed_ids = 0
    if entries:
        published_store.record_delta(connection, target_id, delta, roster.subjects)
        tombstones.keep(connection, target, delta, now)
        changed_ids = exclusions_store.keep_id_changes(
            connection, target_id, published_ids, roster.person_ids, entries[-1].seq, now
        )
    record_subjects.note(connection, target_id, roster.subjects, published.subjects)
    connection.execute(
        "update imsfeed.target set recompute = false, review = false, repair = false, published_settings = %s,"
        " source = %s,"
        " dialect = %s, changes_through = %s, dated_through = %s where target_id = %s",
        (as_json(target.settings), source_of(target), target.settings.dialect, pending.through, today, target_id),
    )
    failpoint("publication.before_commit")
    return Publication(entries, changed_ids)


def _looked_at(
    connection: Connection, target: TargetRow, affected: Affected, today: date
) -> tuple[Affected, Roster, Scope]:
    """All that a cut looks at, what is so of it, and who of it has waited until now."""
    affected, roster = _with_connected(connection, target, affected, today)
    in_scope = hold_gate.in_scope(connection, target, affected, roster)
    if in_scope.waiting:
        everybody = hold_gate.with_waiting(connection, target, affected, in_scope.waiting)
        affected, roster = _with_connected(connection, target, everybody, today)
    return affected, roster, in_scope


def _with_connected(
    connection: Connection, target: TargetRow, affected: Affected, today: date
) -> tuple[Affected, Roster]:
    """The affected, and those who cannot be told without them."""
    roster = roster_of_affected(connection, target, affected, today)
    while (together := connected(connection, target, affected, roster)) is not None:
        affected = facts_reader.affected(connection, target, together, None)
        roster = roster_of_affected(connection, target, affected, today)
    return affected, roster


def difference(
    settings: TargetSettings,
    published: Mapping[RecordKey, str],
    published_ids: Mapping[int, str],
    roster: Roster,
    taken: Collection[str] = (),
) -> Delta:
    """What has to be told, in the target's dialect.

    Args:
        published: as for :func:`ims.feed.delta.between`.
        published_ids: the ``sourcedid/id`` told before of the persons looked at, by running number.
        roster: what is so now.
        taken: logins that persons who are not looked at have.
    """
    current: Mapping[RecordKey, Record] = roster.records
    if settings.dialect == "pifu":
        current = with_old_ids(published, current, former_ids(published_ids, roster.person_ids))
    return between(published, current, settings.dialect, taken)


def logins_taken(
    connection: Connection, target: TargetRow, published: Mapping[RecordKey, str], roster: Roster
) -> Collection[str]:
    """The logins of those who go that somebody has who is not looked at; most often nobody goes."""
    persons = [key for key in published if key.kind is RecordKind.PERSON]
    gone = [key.id for key in persons if key not in roster.records]
    if not gone:
        return ()
    return published_store.logins_elsewhere(connection, target.target_id, gone, [key.id for key in persons])


def connected(connection: Connection, target: TargetRow, affected: Affected, roster: Roster) -> Pending | None:
    """The affected and those who cannot be told without them; ``None`` if there are no such others.

    What has rested and what has not may be about one record: an id that goes from one running number to another, or a
    group that comes and has members already. Looked at alone, the one would take everything from the person that the
    other still is, or make somebody a member of a group of which the importer has not heard.
    """
    ids = list(roster.person_ids.values())
    persons = set(published_store.persons_called(connection, target.target_id, ids))
    published = published_store.person_ids(connection, target.target_id, affected.persons)
    persons |= set(facts_reader.persons_called(connection, target, list(published.values())))
    if target.settings.dialect == "pifu":
        persons |= set(published_store.persons_once_called(connection, target.target_id, ids))
    joined = {group: key.id for key, (_, group) in roster.subjects.items() if key.member and group is not None}
    known = published_store.groups_called(connection, target.target_id, list(joined.values()))
    groups = {group for group, id_ in joined.items() if id_ not in known}
    if persons <= set(affected.persons) and groups <= set(affected.groups):
        return None
    return looking_at({*persons, *affected.persons}, {*groups, *affected.groups})


def record(
    connection: Connection,
    target: TargetRow,
    delta: Delta,
    persons: Mapping[str, int],
    now: datetime,
    oldest_event_at: datetime | None,
) -> list[DeltaEntry]:
    """Keep *delta* as the target's next one, or several; its file is written afterwards. As :func:`next_deltas`."""
    entries = []
    for entry, xml in next_deltas(target, delta, persons, now, oldest_event_at):
        recorded_files.add_delta(connection, target.target_id, entry, xml)
        connection.execute(
            "update imsfeed.target set head_seq = %s, head_sha256 = %s, head_at = %s where target_id = %s",
            (entry.seq, entry.sha256, now, target.target_id),
        )
        entries.append(entry)
    return entries


def roster_of_affected(connection: Connection, target: TargetRow, affected: Affected, today: date) -> Roster:
    """What the target's importer should know of these persons and groups, by the facts as they are."""
    facts = facts_reader.read_facts(connection, target, affected.persons, affected.groups)
    return roster_today(target, facts, affected, today)


def roster_today(target: TargetRow, facts: Facts, affected: Affected, today: date) -> Roster:
    """What the target's importer should know of these persons and groups."""
    return roster_of(
        facts,
        target.settings,
        orgnr=target.orgnr or "",
        today=today,
        persons=affected.persons,
        groups=affected.groups,
    )
