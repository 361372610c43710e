"""The second check of a proof: what the importer has been told is what the rules make of the facts, worked out anew.

In one read-only view of the state database and off the target's lock, so that no leaver waits for it. What is not told
yet is left out: whom marks bear on that the target has not passed.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import date

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import TargetRow, read_target
from consumers.facts import facts_reader
from consumers.facts.facts_reader import Affected, unsettled
from consumers.holds import holds_store
from consumers.publication.delta import difference, logins_taken, roster_today
from consumers.published import published_store
from consumers.reconciliation.results_store import Checked, done, not_done
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster


def check_rules(
    connection: Connection,
    target_id: int,
    proceed: Callable[[], bool] = lambda: True,
) -> Checked:
    """Compare what is told with the rules, the whole owner, some thousand persons at a time.

    Args:
        connection: to the state database, in autocommit mode.
        target_id: whose feed.
        proceed: asked before each part; the check ends unfinished when it says no.
    """
    with repeatable_read(connection):
        connection.execute("set transaction read only")
        target = read_target(connection, target_id)
        pending = unsettled(connection, target)
        if target.state != "ok" or not target.has_snapshot:
            return not_done("rules", f"the target is {target.state}", skipped=True)
        if target.open or target.recompute or target.repair or pending.everything or target.dated_through is None:
            return not_done("rules", "a change of the whole owner or of the settings is not told yet")
        beside = facts_reader.affected(connection, target, pending, None) if pending else Affected([], [])
        # About these something waits for approval: they are told what they were.
        waiting = holds_store.waiting(connection, target_id)
        persons = set(beside.persons) | waiting.persons.keys()
        groups = set(beside.groups)
        found: set[tuple[int, int | str]] = set()
        for chunk in facts_reader.chunks(connection, target):
            if not proceed():
                return not_done("rules", "interrupted")
            part = Affected(
                [p for p in chunk.persons if p not in persons], [g for g in chunk.groups if g not in groups]
            )
            found |= {
                (int(kind), about)
                for kind, about in _different(connection, target, part, target.dated_through, waiting.groups.keys())
                if not (kind is RecordKind.PERSON and about in persons)
                and not (kind is RecordKind.GROUP and about in groups)
            }
    words = [f"{RecordKind(kind).name.lower()} {about}" for kind, about in sorted(found, key=str)]
    return done("rules", words)


def _different(
    connection: Connection, target: TargetRow, part: Affected, today: date, waiting: Collection[str]
) -> Iterator[tuple[RecordKind, int | str]]:
    """The persons, groups, and groups of schools or the owner about which a cut would tell something now.

    Args:
        waiting: ``sourcedid/id`` of the groups whose removal waits for approval.
    """
    facts = facts_reader.read_facts(connection, target, part.persons, part.groups)
    roster = roster_today(target, facts, part, today)
    about = published_store.published(connection, target.target_id, part.persons, part.groups)
    published, published_ids = about.texts, about.person_ids
    delta = difference(
        target.settings, published, published_ids, roster, logins_taken(connection, target, published, roster)
    )
    keys = {change.key for change in delta.changes}
    keys -= {RecordKey(RecordKind.GROUP, id_) for id_ in waiting}
    if not keys:
        return
    subjects = published_store.subjects(connection, target.target_id, keys)
    for key in keys:
        yield _about(key, roster, subjects)


def _about(
    key: RecordKey, roster: Roster, published: dict[RecordKey, tuple[int | None, int | None]]
) -> tuple[RecordKind, int | str]:
    person, group = roster.subjects.get(key) or published.get(key) or (None, None)
    if person is not None:
        return RecordKind.PERSON, person
    # A person's sourcedid may be a national id; a group's is none.
    return (RecordKind.PERSON, "?") if key.kind is RecordKind.PERSON else (RecordKind.GROUP, group or key.id)
