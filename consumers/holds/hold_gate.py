"""What of a cut waits for an approval: what :mod:`ims.holds.decision` has to know, read from the state database."""

from datetime import datetime

import msgspec

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, source_of
from consumers.facts import facts_reader
from consumers.facts.facts_reader import Affected
from consumers.holds import holds_store
from consumers.published import published_store, record_subjects
from ims.holds.decision import (
    Compared,
    Decision,
    Origin,
    Waiting,
    decide,
    groups_without_school_number,
    has_school_without_number,
    teachers_without_school_number,
)
from ims.holds.limits import Limits
from ims.holds.losses import Cause, gone_groups, losses
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster


class Scope(msgspec.Struct, frozen=True):
    """Who of those who have waited until now a cut looks at: all or nobody, since a hold is always judged whole.

    Attributes:
        waiting: those it looks at.
        left_alone: the groups whose removal goes on waiting, if it looks at nobody.
    """

    waiting: Waiting = Waiting()
    left_alone: frozenset[str] = frozenset()

    def of(self, published: dict[RecordKey, str]) -> dict[RecordKey, str]:
        """What was told, without the groups left alone: every cut compares those of the owner and its schools."""
        if not self.left_alone:
            return published
        alone = {RecordKey(RecordKind.GROUP, id_) for id_ in self.left_alone}
        return {key: text for key, text in published.items() if key not in alone}


def in_scope(connection: Connection, target: TargetRow, affected: Affected, roster: Roster) -> Scope:
    """Who has waited and is looked at: everybody, if the cut bears on one of them.

    It bears on whoever is affected, on whoever was told under an id that somebody has now, and on a group whose removal
    waits if it is there again, or it or one of its members is affected.
    """
    waiting = holds_store.waiting(connection, target.target_id) if target.held else Waiting()
    if not waiting or target.review or not waiting.persons.keys().isdisjoint(affected.persons):
        return Scope(waiting)
    ids = set(published_store.person_ids(connection, target.target_id, waiting.persons).values())
    groups = frozenset(waiting.groups)
    there = {key.id for key in roster.records if key.kind is RecordKind.GROUP}
    if not (ids.isdisjoint(roster.person_ids.values()) and groups.isdisjoint(there)):
        return Scope(waiting)
    if record_subjects.affects(connection, target.target_id, groups, affected.persons, affected.groups):
        return Scope(waiting)
    return Scope(left_alone=groups)


def with_waiting(connection: Connection, target: TargetRow, affected: Affected, waiting: Waiting) -> Affected:
    """What a cut looks at, and all who wait."""
    groups = record_subjects.group_numbers(connection, target.target_id, list(waiting.groups))
    persons = facts_reader.with_same_id(connection, target, {*affected.persons, *waiting.persons})
    return Affected(persons, list({*affected.groups, *groups}))


def hold_back(
    connection: Connection,
    target: TargetRow,
    compared: Compared,
    waiting: Waiting,
    cause: Cause | None,
    explained: Affected,
    now: datetime,
) -> Decision:
    """Take out of a cut what has to wait, and keep who waits.

    Args:
        waiting: who is looked at of those who have waited until now.
        cause: ``SETTING`` if only the settings have changed, ``RESYNC`` if a load has made the cut look at everybody.
        explained: whom change events and dates bear on.
    """
    lost, gone = (
        losses(compared.published, compared.published_ids, compared.roster),
        gone_groups(compared.published, compared.roster),
    )
    if not (lost or gone or waiting):
        return Decision(compared.published, compared.roster)
    target_id = target.target_id
    teachers = [number for number, loss in lost.items() if loss.teacher and loss.last]
    facts = facts_reader.read_facts(connection, target, teachers, ())
    lost_number = {
        *record_subjects.group_ids(connection, target_id, groups_without_school_number(compared.roster)),
        *(record_subjects.org_group_ids(connection, target_id, gone) if has_school_without_number(facts) else ()),
    }
    origin = Origin(
        cause,
        (frozenset(explained.persons), frozenset(record_subjects.group_ids(connection, target_id, explained.groups))),
        lost_number & set(gone),
        teachers_without_school_number(facts),
    )
    departures = holds_store.departures(connection, target_id, now)
    limits = Limits(target.settings, departures, holds_store.published(connection, target_id), now)
    decision = decide(compared, lost, gone, origin, waiting, limits)
    holds_store.keep(connection, target_id, waiting, decision.waiting, now)
    holds_store.note_departures(connection, target_id, decision.departures)
    return decision


def republished(connection: Connection, target: TargetRow, compared: Compared, decision: Decision) -> Decision:
    """A cut in another dialect or under another ``sourcedid/source``, which those who wait are told in as well."""
    frozen = compared.published.keys() - decision.published.keys()
    if not frozen:
        return decision
    subjects = record_subjects.subjects(connection, target.target_id, frozen)
    return decision.with_held(compared.published, subjects, source_of(target))
