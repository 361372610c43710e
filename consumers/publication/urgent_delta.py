"""A cut for emergencies: whoever must be gone at once is told as gone, and nothing else is.

It does not wait until the source's transactions have arrived whole, nor for a changed setting that is worked out or
held: taking everything away from one person is right whatever else is pending. All the rest, and who comes back, is
left to :func:`consumers.publication.delta.publish_delta`.
"""

from datetime import datetime

import msgspec

from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import TargetRow, lock_target
from consumers.facts import facts_reader, suppressions
from consumers.publication.delta import Publication, logins_taken, record
from consumers.publication.delta_files import who
from consumers.published import exclusions_store, published_store, tombstones
from ims.feed.delta import between
from ims.records.vocabulary import RecordKind
from ims.rules.eligibility import Reason
from ims.rules.overrides import with_same_national_id
from ims.rules.roster import Roster


def publish_urgent_delta(connection: Connection, target_id: int, now: datetime) -> Publication | None:
    """Tell as gone whoever is suppressed or told to leave, and was told to the target.

    Returns:
        ``None`` when another process works on the target, or it has no feed that goes on.

    Raises:
        psycopg.Error: nothing has been changed; the same cut can be tried again.
    """
    with repeatable_read(connection):
        target = lock_target(connection, target_id)
        if target is None or target.state != "ok" or not target.has_snapshot:
            return None
        reasons = _reasons(connection, target)
        about = published_store.published(connection, target_id, reasons, [])
        published = {key: xml for key, xml in about.texts.items() if key.kind is not RecordKind.GROUP}
        if not published:
            return Publication([], 0)
        target = _as_published(target)
        nothing = Roster({}, {}, {(RecordKind.PERSON, person): reason for person, reason in reasons.items()})
        delta = between(published, {}, target.dialect, logins_taken(connection, target, published, nothing))
        entries = record(connection, target, delta, who(about.person_ids), now, None)
        published_store.record_delta(connection, target_id, delta, {})
        tombstones.keep(connection, target, delta, now)
        exclusions_store.keep(connection, target_id, nothing, list(reasons), [], now)
        return Publication(entries, 0)


def _reasons(connection: Connection, target: TargetRow) -> dict[int, Reason]:
    """Who must be gone of those at whom the target has to look, and why."""
    persons = facts_reader.with_same_id(connection, target, suppressions.urgent(connection, target.target_id))
    facts = facts_reader.read_facts(connection, target, persons, [])
    leaving = dict.fromkeys(with_same_national_id(facts, facts.leave_now), Reason.LEAVE_NOW)
    return leaving | dict.fromkeys(with_same_national_id(facts, facts.suppressed), Reason.PERSON_SUPPRESSED)


def _as_published(target: TargetRow) -> TargetRow:
    """The target in whose words the records were told, whatever its settings say since."""
    settings = msgspec.structs.replace(target.settings, dialect=target.dialect, source=target.source)
    return msgspec.structs.replace(target, settings=settings)
