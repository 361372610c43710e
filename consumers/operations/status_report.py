"""Where everything stands, for people and for scripts: partitions, targets, what is left out, what is in quarantine.

Persons and groups are named by their running numbers only.
"""

from datetime import datetime
from typing import Literal

import msgspec

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.facts.suppressions import Suppression, all_in_force
from consumers.holds.open_holds import Hold, open_holds
from consumers.materialize.quarantine_store import Aside, all_aside
from consumers.reconciliation import results_store
from consumers.reconciliation.results_store import ProofStatus
from ims.feed.conflicts import text_of
from ims.records.vocabulary import RecordKind
from ims.targets.importer_deadline import settings_warning


class PartitionStatus(msgspec.Struct, frozen=True):
    """How far a partition has been applied; ``heartbeat_at`` tells an idle one from one that is stuck.

    ``next_offset`` is ``None`` while the offset is forgotten, until materialize begins the partition anew.
    """

    topic: str
    partition: int
    next_offset: int | None
    heartbeat_at: datetime | None
    committed_at: datetime | None
    open_owners: list[int]


class LeftOut(msgspec.Struct, frozen=True):
    """A person or group that exists and is not exported, by its running number."""

    kind: Literal["person", "group"]
    id: int
    reason: str
    since: datetime


class Remarked(msgspec.Struct, frozen=True):
    """A person or group that is exported though something was not as it should be, by its running number."""

    kind: Literal["person", "group"]
    id: int
    remark: str
    since: datetime


class IdChange(msgspec.Struct, frozen=True):
    """A person whose id in the feed has changed, by its running number, and the delta that told it."""

    person: int
    seq: int
    changed_at: datetime


class TargetStatus(msgspec.Struct, frozen=True):
    """Where a target's feed stands.

    ``published`` counts persons, groups and memberships told; ``holds`` is what waits for an approval; ``warning`` is
    about settings that are unwise; ``standstill`` says why nothing is written to the feed, and what to do; ``proof`` is
    what the last proof has found, by check.
    """

    owner: int
    name: str
    state: str
    orgnr: str | None
    head_seq: int | None
    head_at: datetime | None
    snapshot_at: datetime | None
    published: dict[str, int]
    left_out: list[LeftOut]
    remarks: list[Remarked]
    id_changes: list[IdChange]
    holds: list[Hold]
    warning: str | None = None
    standstill: str | None = None
    proof: list[ProofStatus] = []


class StatusReport(msgspec.Struct, frozen=True):
    """All of it. ``suppressions``: who is told to leave or suppressed, by running number."""

    partitions: list[PartitionStatus]
    targets: list[TargetStatus]
    quarantine: list[Aside]
    suppressions: list[Suppression] = []


def report(connection: Connection) -> StatusReport:
    """Read where everything stands now."""
    partitions = connection.execute(
        "select topic, partition, next_offset, heartbeat_at, committed_at, open_owners from imsfeed.topic_partition"
        " order by topic, partition"
    ).fetchall()
    aside = sorted(all_aside(connection), key=lambda one: (one.topic, one.partition, one.offset))
    return StatusReport(
        partitions=[PartitionStatus(*row) for row in partitions],
        targets=[_target(connection, row) for row in all_targets(connection)],
        quarantine=sorted(aside, key=lambda one: one.quarantined_at, reverse=True),
        suppressions=all_in_force(connection),
    )


def _target(connection: Connection, target: TargetRow) -> TargetStatus:
    told = connection.execute(
        "select kind, count(*) from imsfeed.published where target_id = %s group by kind", (target.target_id,)
    ).fetchall()
    taken = connection.execute(
        "select max(created_at) from imsfeed.snapshot where target_id = %s", (target.target_id,)
    ).fetchone()
    left_out = connection.execute(
        "select kind, id, reason, since from imsfeed.left_out where target_id = %s order by kind, reason, id",
        (target.target_id,),
    ).fetchall()
    remarks = connection.execute(
        "select kind, id, remark, since from imsfeed.remark where target_id = %s order by kind, remark, id",
        (target.target_id,),
    ).fetchall()
    id_changes = connection.execute(
        "select person_id, seq, changed_at from imsfeed.id_change where target_id = %s order by seq, person_id",
        (target.target_id,),
    ).fetchall()
    counts: dict[int, int] = dict(told)
    return TargetStatus(
        owner=target.owner_id,
        name=target.settings.name,
        state=target.shown_state,
        orgnr=target.orgnr,
        head_seq=target.head_seq,
        head_at=target.head_at,
        snapshot_at=taken[0] if taken else None,
        published={kind.name.lower(): counts.get(kind, 0) for kind in RecordKind},
        left_out=[LeftOut(_kind(kind), id_, reason, since) for kind, id_, reason, since in left_out],
        remarks=[Remarked(_kind(kind), id_, remark, since) for kind, id_, remark, since in remarks],
        id_changes=[IdChange(*row) for row in id_changes],
        holds=open_holds(connection, target.target_id),
        warning=settings_warning(target.settings),
        standstill=None if target.standstill is None else text_of(target.standstill, target.settings.name),
        proof=results_store.latest(connection, target.target_id),
    )


def _kind(number: int) -> Literal["person", "group"]:
    return "person" if number == RecordKind.PERSON else "group"
