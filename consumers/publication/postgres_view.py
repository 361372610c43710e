"""The questions of :mod:`consumers.publication.view`, answered by the state database."""

import contextlib
from collections.abc import Collection
from datetime import datetime
from typing import Final

import msgspec

from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection
from consumers.database.targets_table import Target
from consumers.facts import facts_reader, suppressions
from consumers.facts.pending_changes import Days, Pending
from consumers.holds import holds_store
from consumers.publication.view import Held, Ids, Related
from consumers.published import logins_store, published_store
from consumers.published.logins_store import LoginHolders
from ims.holds.limits import Departure, PublishedCounts
from ims.publication.gathered import Published, Scope
from ims.rules.shared_ids import PublishedIds
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings


class PostgresView:
    """What a transaction sees of a target and its owner; all its statements must see the same state."""

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection = connection
        self._target = target

    def facts(self, persons: Collection[int], groups: Collection[int] | None) -> Facts:
        """Return the facts about *persons* and *groups*; see :meth:`OwnerView.facts`."""
        return facts_reader.read_facts(self._connection, self._target.owner_id, persons, groups)

    def course_groups(self) -> Facts:
        """Return all course groups and schools; see :meth:`OwnerView.course_groups`."""
        return facts_reader.course_groups(self._connection, self._target.owner_id)

    def with_same_national_id(self, persons: Collection[int]) -> list[int]:
        """Return *persons* and all others with their national ids; see :meth:`OwnerView.with_same_national_id`."""
        return facts_reader.with_same_national_id(self._connection, self._target.owner_id, persons)

    def orders_to_leave(self, persons: Collection[int], through: int) -> dict[int, bool]:
        """Return which of *persons* are ordered to leave; see :meth:`OwnerView.orders_to_leave`."""
        return suppressions.to_be_ended(self._connection, self._target.owner_id, persons, through)

    def owner_settings(self) -> list[TargetSettings]:
        """Return the settings of all targets of the owner; see :meth:`OwnerView.owner_settings`."""
        rows = self._connection.execute(
            "select settings from imsfeed.target where owner_id = %s", (self._target.owner_id,)
        ).fetchall()
        readable = []
        for (settings,) in rows:
            # Nothing is published to a target whose settings cannot be read; it must not stop the owner's others.
            with contextlib.suppress(msgspec.ValidationError):
                readable.append(msgspec.convert(settings, TargetSettings))
        return readable

    def everything(self) -> Scope:
        """Return every person and group; see :meth:`View.everything`."""
        return facts_reader.everything(self._connection, self._target)

    def affected_groups(self, changes: Pending, days: Days | None) -> list[int]:
        """Return the groups that *changes* or *days* affect; see :meth:`View.affected_groups`."""
        return facts_reader.affected_groups(self._connection, self._target, changes, days)

    def affected_persons(self, changes: Pending, groups: Collection[int], days: Days | None) -> list[int]:
        """Return the persons that *changes*, *groups* or *days* affect; see :meth:`View.affected_persons`."""
        return facts_reader.affected_persons(self._connection, self._target, changes, groups, days)

    def published(self, scope: Scope) -> Published:
        """Return what was published about *scope*; see :meth:`View.published`."""
        return published_store.published(self._connection, self._target.target_id, scope)

    def related(self, ids: Ids) -> Related:
        """Return the persons and groups related to *ids*; see :meth:`View.related`."""
        parameters = {
            "target": self._target.target_id,
            "owner": self._target.owner_id,
            "current": array_literal(ids.current),
            "published": array_literal(ids.published),
            "groups": array_literal(ids.groups),
            "logins": [logins_store.digest(login) for login in ids.free_logins],
        }
        query = _RELATED + (_ONCE_PUBLISHED if ids.old_ids else "") + (_DENIED if ids.free_logins else "")
        rows = self._connection.execute(query.encode(), parameters).fetchall()
        return Related(
            {person for person, _ in rows if person is not None} | self._published_with(ids.wanted_logins),
            {group for _, group in rows if group is not None},
        )

    def _published_with(self, logins: Collection[str]) -> set[int]:
        found = self.login_holders(logins).published if logins else {}
        return {person for persons in found.values() for person in persons.values()}

    def held(self, scope: Scope) -> Held:
        """Return what waits, and whether *scope* affects it; see :meth:`View.held`."""
        target_id = self._target.target_id
        waiting = holds_store.waiting(self._connection, target_id)
        if not waiting:
            return Held(waiting, set(), touched=False)
        rows = self._connection.execute(
            _HELD.encode(),
            {"target": target_id, "groups": list(waiting.groups), "in_scope": array_literal(scope.persons)},
        ).fetchall()
        groups = {number for member, number in rows if not member and number is not None}
        touched = any(member for member, _ in rows) or not groups.isdisjoint(scope.groups)
        return Held(waiting, groups, touched)

    def departures(self, now: datetime) -> list[Departure]:
        """Return the departures in the day before *now*; see :meth:`View.departures`."""
        return holds_store.departures(self._connection, self._target.target_id, now)

    def published_counts(self, enough: PublishedCounts) -> PublishedCounts:
        """Count the published persons and teachers; see :meth:`View.published_counts`."""
        return holds_store.published_counts(self._connection, self._target.target_id, enough)

    def login_holders(self, logins: Collection[str]) -> LoginHolders:
        """Return who has these logins; see :meth:`View.login_holders`."""
        return logins_store.holders(self._connection, self._target.target_id, logins)

    def published_ids(self, persons: Collection[int], groups: Collection[int]) -> PublishedIds:
        """Return the ids of these persons and groups; see :meth:`View.published_ids`."""
        rows = self._connection.execute(
            _PUBLISHED_IDS,
            {
                "target": self._target.target_id,
                "persons": array_literal(list(persons)),
                "groups": array_literal(list(groups)),
            },
        ).fetchall()
        return PublishedIds(
            {person: id_ for person, _, id_ in rows if person is not None},
            {group: id_ for _, group, id_ in rows if group is not None},
        )

    def urgent(self) -> frozenset[int]:
        """Return the persons who must leave without waiting for changes to settle; see :meth:`View.urgent`."""
        return suppressions.urgent(self._connection, self._target.target_id)


# One query for each condition: joined by "or", each row found would be compared with all ids one by one.
_RELATED: Final = """
select person_id, null from imsfeed.published where target_id = %(target)s and kind = 1
   and id = any (%(current)s::text[])
union all select id, null from imsfeed.person where owner_id = %(owner)s
   and imsfeed.national_number(national_id) = any (%(published)s::text[])
union all select null, id from imsfeed.published where target_id = %(target)s and kind = 2
   and id = any (%(groups)s::text[])
"""
_ONCE_PUBLISHED: Final = """
union all select person_id, null from imsfeed.published where target_id = %(target)s and kind = 1
   and xml like '%%sourcedidtype="Old"%%'
   and substring(xml from 'sourcedidtype="Old".*?<id>([^<]*)</id>') = any (%(current)s::text[])
"""
_DENIED: Final = """
union all select person_id, null from imsfeed.login_conflict
   where target_id = %(target)s and login = any (%(logins)s::bytea[])
"""
_PUBLISHED_IDS: Final = """
select person_id, null::bigint, id from imsfeed.published
 where target_id = %(target)s and kind = 1 and person_id = any (%(persons)s::bigint[])
union all select null, group_id, id from imsfeed.published
 where target_id = %(target)s and kind = 2 and group_id = any (%(groups)s::bigint[])
"""
_HELD: Final = """
select false, group_id from imsfeed.published where target_id = %(target)s and kind = 2 and id = any (%(groups)s)
union all select * from (select true, null::bigint from imsfeed.published
 where target_id = %(target)s and kind = 3 and id = any (%(groups)s) and person_id = any (%(in_scope)s::bigint[])
 limit 1) member
"""
