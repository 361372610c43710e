"""The end of an order to leave: once the source agrees, a new enrolment counts as usual."""

from collections.abc import Collection
from datetime import datetime

from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow, all_targets
from consumers.facts import facts_reader, suppressions
from ims.rules.overrides import has_left, with_same_national_id
from ims.source.facts import Facts
from ims.targets.schedule import local_day
from ims.targets.target_settings import TargetSettings


def end_agreed_leave_now(
    connection: Connection, target: TargetRow, persons: Collection[int], through: int, now: datetime
) -> None:
    """End the orders to leave for those of *persons* of whom the source says now that they have left.

    In the transaction of the cut that has looked at them. The source must agree in the eyes of every target of the
    owner, or one with days of grace would take back somebody whom another one lets go; and nothing may be pending about
    the person, because a move in two transactions looks like a leave for a moment.

    Args:
        through: the mark that the cut has reached.
    """
    ordered = suppressions.to_be_ended(connection, target.owner_id, persons, through)
    if not ordered:
        return
    facts = facts_reader.read_facts(connection, target, facts_reader.with_same_id(connection, target, ordered), [])
    views = [row.settings for row in all_targets(connection) if row.owner_id == target.owner_id]
    agreed = [
        person
        for person, known in ordered.items()
        if (known or person in facts.persons) and _all_have_left(facts, person, views, now)
    ]
    if agreed:
        suppressions.end(connection, target.owner_id, agreed, now)


def _all_have_left(facts: Facts, person: int, views: list[TargetSettings], now: datetime) -> bool:
    return all(
        has_left(facts, same, settings, local_day(now, settings.zone))
        for same in with_same_national_id(facts, [person])
        for settings in views
    )
