"""The first publication of a target: everything in one step, as sequence 0, once an operator has approved it.

Until then the feed has no files, and an operator can see what would be in them: a wrong scope or a wrong owner is best
found before an importer has created a thousand accounts.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec

from consumers.database import feed_folders
from consumers.database.sessions import Connection, repeatable_read
from consumers.database.targets_table import FeedPosition, TargetRow, as_json, lock_target, valid_orgnr
from consumers.facts.facts_reader import pending_changes
from consumers.holds import holds_store
from consumers.publication.everything import Everything, Part
from consumers.publication.first_approval import (
    Line,
    MoreThanApprovedError,
    approval_from,
    content_of,
    lines_of,
    settings_digest,
)
from consumers.publication.postgres_view import PostgresView
from consumers.published import exclusions_store, logins_store, published_store
from ims.feed.manifest import Totals
from ims.publication.gathered import Terms
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster
from ims.runtime.failpoints import failpoint
from ims.runtime.logs import get_logger
from ims.targets.schedule import due_snapshot, local_day
from ims.xml.writer import fragment

log = get_logger(__name__)


class Preview(msgspec.Struct, frozen=True):
    """The outcome of a first publication: how many records, and the digest to which its approval is bound.

    Attributes:
        content: what an approval stores (:mod:`consumers.publication.first_approval`).
    """

    totals: Totals
    digest: str
    content: bytes


def publish_first(
    connection: Connection, target_id: int, now: datetime, alive: Callable[[], None] = lambda: None
) -> bool:
    """Publish everything for a target that was never published, as sequence 0; the next snapshot is its first file.

    Args:
        alive: called after each part, since a large owner takes minutes.

    Returns:
        True if it was published; False while the owner's facts are arriving, while the owner has no organisation
        number or its folder is another target's, or until it is approved; likewise if it is more than was approved,
        which ends the approval.
    """
    try:
        return _publish_first(connection, target_id, now, alive)
    except MoreThanApprovedError:
        holds_store.ask_again(connection, target_id, now)
        log.warning("the first publication is more than was approved and waits again", target_id=target_id)
        return False


def _publish_first(connection: Connection, target_id: int, now: datetime, alive: Callable[[], None]) -> bool:
    with repeatable_read(connection):
        target = lock_target(connection, target_id)
        orgnr = None if target is None else valid_orgnr(target.owner.registered, target.settings)
        if target is None or target.state != "waiting" or target.owner.open or orgnr is None:
            return False
        accepted = target.settings.accept_initial
        approval = None
        if not accepted:
            content = holds_store.initial_approval(connection, target_id, now)
            if content is None:
                return False
            approval = approval_from(content)
            approval.check_settings(target.settings)
        if not feed_folders.claim(connection, orgnr, target.settings.name, target_id):
            return False  # the folder is another target's
        holds_store.end_initial(connection, target_id, now)
        terms = Terms(target.settings, orgnr, local_day(now, target.settings.zone))
        changes = pending_changes(connection, target.owner_id, target.position.changes_through)
        check = (lambda _roster: None) if approval is None else approval.check
        _store(connection, target_id, Everything(PostgresView(connection, target), terms), terms, now, alive, check)
        through = changes[-1].change_id if changes else target.position.changes_through
        _store_position(connection, target_id, first_position(target.position, terms, through, now))
        failpoint("first.before_commit")
        return True


def first_position(position: FeedPosition, terms: Terms, through: int, now: datetime) -> FeedPosition:
    """Return the feed's position after the first publication.

    Args:
        position: its position before, without a sequence number.
        through: the last pending change that is published with it.
    """
    settings = terms.settings
    return msgspec.structs.replace(
        position,
        published_settings=settings,
        orgnr=terms.orgnr,
        source=terms.source,
        dialect=settings.dialect,
        head_seq=0,
        head_at=now,
        changes_through=through,
        dated_through=terms.today,
        snapshot_through=due_snapshot(now, settings.snapshot_hour, settings.zone, None),
    )


def preview(connection: Connection, target: TargetRow, now: datetime) -> Preview:
    """Return what the first publication would be.

    The digest has persons by running number, so that it reveals nothing about them.
    """
    settings = target.settings
    orgnr = valid_orgnr(target.owner.registered, settings)
    terms = Terms(settings, orgnr or "", local_day(now, settings.zone))
    kinds: Counter[RecordKind] = Counter()
    lines: set[Line] = set()
    for part in Everything(PostgresView(connection, target), terms).parts():
        lines |= lines_of(part.roster)
    kinds.update(RecordKind(kind) for kind, _, _ in lines)
    digest = hashlib.sha256(settings_digest(settings) + msgspec.json.encode(sorted(lines))).hexdigest()
    return Preview(Totals(*(kinds[kind] for kind in RecordKind)), digest, content_of(settings, lines))


def _store(
    connection: Connection,
    target_id: int,
    everything: Everything,
    terms: Terms,
    now: datetime,
    alive: Callable[[], None],
    check: Callable[[Roster], None],
) -> None:
    """Store all parts; each is stored while the next, which was read before, is worked out.

    Args:
        check: called with each part before it is stored; raises if it may not be published.
    """
    dialect = terms.settings.dialect

    def written(part: Part) -> tuple[Part, Mapping[RecordKey, str]]:
        check(part.roster)
        return part, {key: fragment(record, dialect=dialect) for key, record in sorted(part.roster.records.items())}

    def store(part: Part, fragments: Mapping[RecordKey, str]) -> None:
        roster = part.roster
        published_store.store_fragments(connection, target_id, fragments, roster.subjects)
        exclusions_store.store_excluded(connection, target_id, part.scope, roster.excluded, now)
        exclusions_store.store_warnings(connection, target_id, part.scope, roster.warnings, now)
        logins_store.store_denied(connection, target_id, part.scope, part.denied)

    ready = written(everything.groups)
    with ThreadPoolExecutor(1, "first publication") as storing:
        for scope, facts in everything.read():
            stored = storing.submit(store, *ready)
            ready = written(everything.part(scope, facts))
            stored.result()
            alive()
        store(*ready)


def _store_position(connection: Connection, target_id: int, position: FeedPosition) -> None:
    connection.execute(
        "update imsfeed.target set recompute = false, repair = false, published_settings = %s, orgnr = %s, source = %s,"
        " dialect = %s, head_seq = 0, head_at = %s, changes_through = %s, dated_through = %s, snapshot_through = %s"
        " where target_id = %s",
        (
            None if position.published_settings is None else as_json(position.published_settings),
            position.orgnr,
            position.source,
            position.dialect,
            position.head_at,
            position.changes_through,
            position.dated_through,
            position.snapshot_through,
            target_id,
        ),
    )
