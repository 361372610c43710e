"""The questions that a publication may ask about one target and its owner; it reads nothing else.

The first half depends on the owner alone, so that facts read once may serve all its targets. There are two
implementations, :mod:`consumers.publication.postgres_view` and :mod:`consumers.replay.memory_view`; tests/contract asks
both the same questions.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

import msgspec

from consumers.facts.pending_changes import Days, Pending
from consumers.published.logins_store import LoginHolders
from ims.holds.decision import Waiting
from ims.holds.limits import Departure, PublishedCounts
from ims.publication.gathered import Published, Scope
from ims.rules.shared_ids import PublishedIds
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings


class Ids(msgspec.Struct, frozen=True):
    """The ids of persons and groups in scope, by which other persons and groups may belong to the scope.

    Attributes:
        current: ``sourcedid/id`` that persons in scope have now.
        published: ``sourcedid/id`` that persons in scope were published under.
        groups: ``sourcedid/id`` of the course groups of which they are members now.
        free_logins: logins that persons in scope were published with and have no more.
        wanted_logins: logins that persons in scope have now and were not published with.
        old_ids: persons are published with their old ids too (PIFU-IMS).
    """

    current: list[str]
    published: list[str]
    groups: list[str]
    old_ids: bool
    free_logins: list[str] = []
    wanted_logins: list[str] = []


class Related(msgspec.Struct, frozen=True):
    """The persons and groups that are related to the scope by its :class:`Ids`.

    Attributes:
        persons: running numbers of the persons who were published with a current id, as their id or their old one, of
            those whose national id is the published id of a person in scope, of those who are published with a wanted
            login, and of those who were published without a login that is free now.
        groups: the ids of groups that are published.
    """

    persons: set[int]
    groups: set[str]


class Held(msgspec.Struct, frozen=True):
    """What waits at a target, and whether a scope affects it.

    Attributes:
        groups: running numbers of the waiting course groups.
        touched: a waiting group, or a person published as a member of one, is in scope.
    """

    waiting: Waiting
    groups: set[int]
    touched: bool


class OwnerView(Protocol):
    """Questions about an owner's facts."""

    def facts(self, persons: Collection[int], groups: Collection[int] | None) -> Facts:
        """Return the facts about *persons*, the groups they are enrolled in, *groups*, and all schools.

        Args:
            groups: ``None`` if no groups are needed, not even those of the enrolments.
        """
        ...

    def course_groups(self) -> Facts:
        """Return all course groups and schools, and no other facts."""
        ...

    def with_same_national_id(self, persons: Collection[int]) -> list[int]:
        """Return *persons*, and all persons who are registered with the national id of one of them.

        A running number that is a national id counts as one, since both would be the same id.
        """
        ...

    def orders_to_leave(self, persons: Collection[int], through: int) -> dict[int, bool]:
        """Return which of *persons* are ordered to leave, with nothing pending about them after change *through*.

        The value is true if the owner's facts had the person at the time of the order.
        """
        ...

    def owner_settings(self) -> list[TargetSettings]:
        """Return the settings of all targets of the owner."""
        ...


class View(OwnerView, Protocol):
    """Questions about an owner's facts, and about what was published to one of its targets."""

    def everything(self) -> Scope:
        """Return every person and group that the owner has, that was published, or that is excluded; in order."""
        ...

    def affected_groups(self, changes: Pending, days: Days | None) -> list[int]:
        """Return the groups that *changes* or the passing of *days* affect.

        A school affects its groups. Groups that are excluded because two have the same id are always among them.
        """
        ...

    def affected_persons(self, changes: Pending, groups: Collection[int], days: Days | None) -> list[int]:
        """Return the persons that *changes*, *groups* or the passing of *days* affect.

        A group affects its current and its published members, a school its employees. Persons with the same national
        id are always returned together.
        """
        ...

    def published(self, scope: Scope) -> Published:
        """Return what was published about *scope*, memberships included, and about the owner and its schools."""
        ...

    def related(self, ids: Ids) -> Related:
        """Return the persons who are related to the scope by an id, and which of its groups are published."""
        ...

    def held(self, scope: Scope) -> Held:
        """Return what waits, and whether *scope* affects it."""
        ...

    def departures(self, now: datetime) -> list[Departure]:
        """Return the persons who left, or whose id changed, without an approval in the day before *now*."""
        ...

    def published_counts(self, enough: PublishedCounts) -> PublishedCounts:
        """Count the published persons and teachers, each no further than *enough*."""
        ...

    def login_holders(self, logins: Collection[str]) -> LoginHolders:
        """Return who is published with these logins or Feide names, as compared, and who has left with one."""
        ...

    def published_ids(self, persons: Collection[int], groups: Collection[int]) -> PublishedIds:
        """Return the ids under which these persons and course groups are published."""
        ...

    def urgent(self) -> frozenset[int]:
        """Return the persons whom the next publication must include, even if nothing has settled."""
        ...
