"""The second check of a reconciliation: the published records are what the rules make of the facts.

It reads the state database in one read-only repeatable-read transaction without the target's lock, so that no leaver
waits for it. Persons and groups with unpublished changes, which are pending or wait for an approval, are not compared.
"""

from collections.abc import Callable

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import read_target
from consumers.facts.facts_reader import pending_changes
from consumers.facts.pending_changes import settled
from consumers.publication.gathering import Gatherer
from consumers.publication.postgres_view import PostgresView
from consumers.reconciliation.results_store import Checked, done, not_done
from ims.publication.decision import decide
from ims.publication.gathered import Format, Gathered, Scope, Terms
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind


def check_rules(
    connection: Connection,
    target_id: int,
    proceed: Callable[[], bool] = lambda: True,
) -> Checked:
    """Compare all published records with the rules, some thousand persons at a time.

    Args:
        connection: connection to the state database, in autocommit mode.
        target_id: the target.
        proceed: called before each part; the check ends unfinished if it returns False.
    """
    with repeatable_read(connection):
        connection.execute("set transaction read only")
        target = read_target(connection, target_id)
        position, outstanding = target.position, target.outstanding
        pending = settled(
            pending_changes(connection, target.owner_id, position.changes_through), 0, after=position.changes_through
        )
        if target.state != "ok" or not position.has_snapshot:
            return not_done("rules", f"the target is {target.state}", skipped=True)
        unfinished = target.owner.open or outstanding.recompute or outstanding.repair or pending.everything
        if unfinished or position.dated_through is None:
            return not_done("rules", "a change of the whole owner or of the settings is not published yet")
        view = PostgresView(connection, target)
        terms = Terms(target.settings, position.orgnr or "", position.dated_through)
        gatherer, before = Gatherer(view, terms), Format(position.source, position.dialect)
        aside = gatherer.affected(pending, None) if pending else Scope([], [])
        waiting = view.held(aside).waiting
        persons, groups = {*aside.persons, *waiting.persons}, set(aside.groups)
        found: set[tuple[int, int | str]] = set()
        for chunk, _, _ in gatherer.chunks():
            if not proceed():
                return not_done("rules", "interrupted")
            part = Scope([p for p in chunk.persons if p not in persons], [g for g in chunk.groups if g not in groups])
            gathered = gatherer.compare(part, closed=False)
            delta = decide(gathered, terms, before).delta
            keys = {*(change.key for change in delta.changes), *delta.removals} - {
                RecordKey(RecordKind.GROUP, id_) for id_ in waiting.groups
            }
            found |= {
                (int(kind), about)
                for kind, about in (_about(key, gathered) for key in keys)
                if not (kind is RecordKind.PERSON and about in persons)
                and not (kind is RecordKind.GROUP and about in groups)
            }
    words = [f"{RecordKind(kind).name.lower()} {about}" for kind, about in sorted(found, key=str)]
    return done("rules", words)


def _about(key: RecordKey, gathered: Gathered) -> tuple[RecordKind, int | str]:
    """Return the person or the group of a record that a publication would send now."""
    person, group = gathered.roster.subjects.get(key) or gathered.published.subjects[key]
    if person is not None:
        return RecordKind.PERSON, person
    # A person's sourcedid may be a national id; a group's is none.
    return (RecordKind.PERSON, "?") if key.kind is RecordKind.PERSON else (RecordKind.GROUP, group or key.id)
