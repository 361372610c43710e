"""The status report, for people and for scripts: partitions, targets, exclusions, holds and the quarantine.

Persons and groups are named by their running numbers only.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Literal

import msgspec

from consumers.database.clocks import ClockStatus, clock_troubles
from consumers.database.sessions import Connection
from consumers.database.target_error_table import TargetError, errors_of
from consumers.database.targets_table import TargetRow, read_targets
from consumers.database.unreadable_target import UnreadableTarget
from consumers.facts.suppressions import Suppression, all_in_force
from consumers.holds import holds_store
from consumers.holds.obstacles import obstacle_at
from consumers.holds.open_holds import Hold, open_holds
from consumers.materialize.quarantine_store import QuarantinedMessage, all_quarantined
from consumers.published.exclusions_store import NOT_IN_FEED
from consumers.reconciliation import results_store
from consumers.reconciliation.results_store import ReconciliationStatus
from ims.feed.conflicts import text_of
from ims.records.vocabulary import RecordKind
from ims.reports.reason_texts import Language
from ims.reports.states import Obstacle, explain_obstacle
from ims.targets.importer_deadline import settings_warning


class PartitionStatus(msgspec.Struct, frozen=True):
    """How far a partition has been applied; ``heartbeat_at`` distinguishes an idle partition from a stuck one.

    ``next_offset`` is ``None`` after a reset of the offsets, until materialize begins the partition again.
    """

    topic: str
    partition: int
    next_offset: int | None
    heartbeat_at: datetime | None
    committed_at: datetime | None
    open_owners: list[int]


class Excluded(msgspec.Struct, frozen=True):
    """A person or group that exists and is not exported, by running number."""

    kind: Literal["person", "group"]
    id: int
    reason: str
    since: datetime


class Warned(msgspec.Struct, frozen=True):
    """A person or group that is exported with a warning, because something in its data is wrong, by running number."""

    kind: Literal["person", "group"]
    id: int
    warning: str
    since: datetime


class IdChange(msgspec.Struct, frozen=True):
    """A person whose id in the feed has changed, by running number, and the delta that published the change."""

    person: int
    seq: int
    changed_at: datetime


class TargetStatus(msgspec.Struct, frozen=True):
    """The status of a target and its feed.

    Attributes:
        published: how many persons, groups and memberships have been published and not removed.
        holds: the holds that wait for an approval.
        warning: about settings that are valid but unwise.
        halt_reason: why nothing is written to the feed, and what to do about it.
        obstacle: what keeps the target from publishing, or ``None`` if it publishes.
        not_published: the same in words, with what to do about it.
        errors: why it could not be brought up to date when that was last tried.
        reconciliation: the findings of the last reconciliation, by check.
        left_protected: persons who left in the last day because they are protected; ``excluded`` lists them.
    """

    owner: int
    name: str
    state: str
    orgnr: str | None
    head_seq: int | None
    head_at: datetime | None
    snapshot_at: datetime | None
    published: dict[str, int]
    excluded: list[Excluded]
    warnings: list[Warned]
    id_changes: list[IdChange]
    holds: list[Hold]
    warning: str | None = None
    halt_reason: str | None = None
    obstacle: Obstacle | None = None
    not_published: str | None = None
    errors: list[TargetError] = []
    reconciliation: list[ReconciliationStatus] = []
    left_protected: int = 0


class StatusReport(msgspec.Struct, frozen=True):
    """The status of everything.

    Attributes:
        suppressions: the emergency orders in force, by running number.
        clocks: the machines that run compact and do not believe one of the clocks.
        unreadable: targets whose settings this version cannot read; nothing is published to them.
        unknown_words: how many messages each word has in quarantine that no list has, by what is wrong with it.
    """

    partitions: list[PartitionStatus]
    targets: list[TargetStatus]
    quarantine: list[QuarantinedMessage]
    suppressions: list[Suppression] = []
    clocks: list[ClockStatus] = []
    unreadable: list[UnreadableTarget] = []
    unknown_words: dict[str, int] = {}


def report(connection: Connection) -> StatusReport:
    """Return the status of everything now."""
    partitions = connection.execute(
        "select topic, partition, next_offset, heartbeat_at, committed_at, open_owners from imsfeed.topic_partition"
        " order by topic, partition"
    ).fetchall()
    targets, unreadable = read_targets(connection)
    protected = holds_store.protected_departures(connection, datetime.now(UTC))
    quarantined = sorted(all_quarantined(connection), key=lambda one: (one.topic, one.partition, one.offset))
    return StatusReport(
        partitions=[PartitionStatus(*row) for row in partitions],
        targets=[_target(connection, row, protected.get(row.target_id, 0)) for row in targets],
        quarantine=sorted(quarantined, key=lambda one: one.quarantined_at, reverse=True),
        unknown_words=dict(
            Counter(one.detail for one in quarantined if one.reason == "unknown_word" and one.resolved_at is None)
        ),
        suppressions=all_in_force(connection),
        clocks=clock_troubles(connection),
        unreadable=unreadable,
    )


def _target(connection: Connection, target: TargetRow, left_protected: int) -> TargetStatus:
    published = connection.execute(
        "select kind, count(*) from imsfeed.published where target_id = %s group by kind", (target.target_id,)
    ).fetchall()
    latest_snapshot = connection.execute(
        "select max(created_at) from imsfeed.snapshot where target_id = %s", (target.target_id,)
    ).fetchone()
    excluded = connection.execute(
        f"select kind, id, reason, since from imsfeed.exclusion l where target_id = %s and {NOT_IN_FEED}"  # noqa: S608 - a constant
        " order by kind, reason, id",
        (target.target_id,),
    ).fetchall()
    warnings = connection.execute(
        "select kind, id, warning, since from imsfeed.warning where target_id = %s order by kind, warning, id",
        (target.target_id,),
    ).fetchall()
    id_changes = connection.execute(
        "select person_id, seq, changed_at from imsfeed.id_change where target_id = %s order by seq, person_id",
        (target.target_id,),
    ).fetchall()
    counts: dict[int, int] = dict(published)
    holds = open_holds(connection, target.target_id)
    situation = obstacle_at(target, holds)
    return TargetStatus(
        owner=target.owner_id,
        name=target.settings.name,
        state=target.shown_state,
        orgnr=target.position.orgnr,
        head_seq=target.position.head_seq,
        head_at=target.position.head_at,
        snapshot_at=latest_snapshot[0] if latest_snapshot else None,
        published={kind.name.lower(): counts.get(kind, 0) for kind in RecordKind},
        excluded=[Excluded(_kind(kind), id_, reason, since) for kind, id_, reason, since in excluded],
        warnings=[Warned(_kind(kind), id_, warning, since) for kind, id_, warning, since in warnings],
        id_changes=[IdChange(*row) for row in id_changes],
        holds=holds,
        warning=settings_warning(target.settings),
        halt_reason=None
        if target.position.halt_reason is None
        else text_of(target.position.halt_reason, target.settings.name),
        obstacle=None if situation is None else situation.obstacle,
        not_published=None if situation is None else explain_obstacle(situation, Language.ENGLISH),
        errors=errors_of(connection, target.target_id),
        reconciliation=results_store.latest(connection, target.target_id),
        left_protected=left_protected,
    )


def _kind(number: int) -> Literal["person", "group"]:
    return "person" if number == RecordKind.PERSON else "group"
