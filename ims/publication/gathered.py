"""What a publication has to know before it can decide: a closed set of persons and groups, and what is about it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime

import msgspec

from ims.holds.decision import Compared, Waiting
from ims.holds.limits import Departure, PublishedCounts
from ims.holds.losses import Loss
from ims.publication.login_holders import LoginHolders
from ims.records.model import RecordKey, person_ids
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings, source_of
from ims.xml.dialect import Dialect


class Scope(msgspec.Struct, frozen=True):
    """The persons and groups whose records a publication works out again, by running number."""

    persons: list[int]
    groups: list[int]


class Terms(msgspec.Struct, frozen=True):
    """The terms on which records are worked out.

    Attributes:
        orgnr: the organisation number of the target, as of its first publication.
        today: the date in the target's time zone.
    """

    settings: TargetSettings
    orgnr: str
    today: date

    @property
    def source(self) -> str:
        """Return the ``sourcedid/source`` of every record."""
        return source_of(self.settings, self.orgnr)


class Format(msgspec.Struct, frozen=True):
    """The dialect and the ``sourcedid/source`` in which a target's records were published last."""

    source: str | None
    dialect: Dialect


class Published(msgspec.Struct, frozen=True):
    """The records that were published about some persons and groups, by key.

    Attributes:
        texts: the fragments.
        subjects: the subjects of each, by running number.
    """

    texts: dict[RecordKey, str]
    subjects: dict[RecordKey, tuple[int | None, int | None]]

    @property
    def person_ids(self) -> dict[int, str]:
        """Return the ``sourcedid/id`` under which the persons were published, by running number."""
        return person_ids(self.subjects)

    def group_ids(self, groups: AbstractSet[int]) -> frozenset[str]:
        """Return the ``sourcedid/id`` under which these course groups were published."""
        if not groups:
            return frozenset()
        return frozenset(
            key.id for key, (_, group) in self.subjects.items() if key.kind is RecordKind.GROUP and group in groups
        )

    def org_group_ids(self) -> frozenset[str]:
        """Return the ``sourcedid/id`` of the groups that represent the owner and its schools."""
        return frozenset(
            key.id for key, (_, group) in self.subjects.items() if key.kind is RecordKind.GROUP and group is None
        )


class SchoolNumbers(msgspec.Struct, frozen=True):
    """The schools without a school number, and their teachers.

    Attributes:
        missing: a school of the owner has no number.
        teachers: the persons in scope who are employed as active teachers at such a school.
    """

    missing: bool = False
    teachers: frozenset[int] = frozenset()


class HoldState(msgspec.Struct, frozen=True):
    """What the decision about holds needs besides the compared records.

    Attributes:
        losses: what each person in scope would lose, by running number.
        gone: ``sourcedid/id`` of the published groups that are no longer current.
        waiting: all persons and groups that have waited until now, or none if the publication leaves them alone.
        departures: the departures of the last day.
        counts: how many persons were published, counted only as far as the limits need it.
        explained: the persons, and the course groups, that change events or dates affect.
        now: the time of the publication.
        changed: the persons and course groups that change events affect; ``None`` if no day has passed.
    """

    losses: Mapping[int, Loss]
    gone: list[str]
    waiting: Waiting
    departures: list[Departure]
    counts: PublishedCounts
    explained: tuple[frozenset[int], frozenset[int]]
    now: datetime
    changed: tuple[frozenset[int], frozenset[int]] | None = None


class LeaveOrders(msgspec.Struct, frozen=True):
    """The orders to leave that end if the source agrees by now.

    Attributes:
        known: the persons with an order about whom nothing newer is pending; true if the owner's facts had the person
            at the time of the order.
        facts: the facts about these persons, and about all with the same national id.
        settings: the settings of all targets of the owner.
        now: the time of the publication.
    """

    known: Mapping[int, bool]
    facts: Facts
    settings: list[TargetSettings]
    now: datetime


class Gathered(msgspec.Struct, frozen=True):
    """All that a publication has to know about one closed set of persons and groups.

    Attributes:
        roster: their current records.
        published: their published records, and those of the owner and its schools.
        left_alone: groups whose removal goes on waiting, because the publication affects nothing that waits.
        numbers: the schools without a number.
        holders: who else has the logins that are published or wanted in scope.
        holds: ``None`` if nothing is lost and nothing waits, or if holds do not apply.
        orders: ``None`` if no person in scope is ordered to leave.
    """

    scope: Scope
    roster: Roster
    published: Published
    left_alone: frozenset[str] = frozenset()
    numbers: SchoolNumbers = SchoolNumbers()
    holders: LoginHolders = LoginHolders()
    holds: HoldState | None = None
    orders: LeaveOrders | None = None

    @property
    def compared(self) -> Compared:
        """Return the published and the current records, without the groups left alone."""
        texts = self.published.texts
        if self.left_alone:
            # Every publication compares the groups of the owner and its schools: these may be among those left alone.
            alone = {RecordKey(RecordKind.GROUP, id_) for id_ in self.left_alone}
            texts = {key: text for key, text in texts.items() if key not in alone}
        return Compared(texts, self.published.person_ids, self.roster)
