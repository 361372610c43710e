"""What a publication may ask of the state database about one target and its owner; nothing else is read for one.

The first half depends on the owner alone, so that facts read once may serve all its targets. There are two
implementations, :mod:`consumers.publication.postgres_view` and :mod:`consumers.replay.memory_view`; tests/contract asks
both the same questions.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

import msgspec

from consumers.facts.pending_changes import Days, Pending
from ims.holds.decision import Waiting
from ims.holds.limits import Departure, PublishedCounts
from ims.publication.gathered import Published, Scope
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings


class Ids(msgspec.Struct, frozen=True):
    """The ids of persons and groups in scope, by which others may belong to them.

    Attributes:
        current: ``sourcedid/id`` that persons in scope have now.
        published: ``sourcedid/id`` that persons in scope were published under.
        groups: ``sourcedid/id`` of the course groups of which they are members now.
        old_ids: persons are published with their old ids too (PIFU-IMS).
    """

    current: list[str]
    published: list[str]
    groups: list[str]
    old_ids: bool


class Related(msgspec.Struct, frozen=True):
    """What :class:`Ids` have to do with others.

    Attributes:
        persons: running numbers of those who were published under a current id, or with it as their old one, and of
            those whose national id is one that a person in scope was published under.
        groups: those of the groups' ids that are published.
    """

    persons: set[int]
    groups: set[str]


class Held(msgspec.Struct, frozen=True):
    """What waits at a target, and how a scope bears on it.

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
            groups: ``None`` if no groups are needed, those of enrolments neither.
        """
        ...

    def course_groups(self) -> Facts:
        """Return all course groups and schools, and no other facts."""
        ...

    def with_same_national_id(self, persons: Collection[int]) -> list[int]:
        """Return *persons*, and those who are registered with the national id of one of them."""
        ...

    def orders_to_leave(self, persons: Collection[int], through: int) -> dict[int, bool]:
        """Return which of *persons* are told to leave, with nothing pending about them after change *through*.

        True for those whom the owner's facts had when it was ordered.
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
        """Return the groups that *changes* or the passing of *days* bear on.

        A school bears on its groups. Groups that are excluded because two have the same id are always among them.
        """
        ...

    def affected_persons(self, changes: Pending, groups: Collection[int], days: Days | None) -> list[int]:
        """Return the persons that *changes*, *groups* or the passing of *days* bear on.

        A group bears on those who are members of it now or were published as members, a school on its employees.
        Persons with the same national id are always returned together.
        """
        ...

    def published(self, scope: Scope) -> Published:
        """Return what was published about *scope*, memberships included, and about the owner and its schools."""
        ...

    def related(self, ids: Ids) -> Related:
        """Return who is related to persons in scope by an id, and which of their groups are published."""
        ...

    def held(self, scope: Scope) -> Held:
        """Return what waits, and how *scope* bears on it."""
        ...

    def departures(self, now: datetime) -> list[Departure]:
        """Return who has left, or changed ids, without an approval in the day before *now*."""
        ...

    def published_counts(self, enough: PublishedCounts) -> PublishedCounts:
        """Count the published persons and teachers, each no further than *enough*."""
        ...

    def logins_elsewhere(self, persons: Collection[str], in_scope: Collection[str]) -> frozenset[str]:
        """Return the logins of *persons* that others than those *in_scope* were published with, as compared.

        Both are given by ``sourcedid/id``.
        """
        ...

    def urgent(self) -> frozenset[int]:
        """Return the persons at whom the next publication must look, settled or not."""
        ...
