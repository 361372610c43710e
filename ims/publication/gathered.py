"""What a publication has to know before it can decide: the closed set of what belongs together, and all about it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime

import msgspec

from ims.holds.decision import Compared, Waiting
from ims.holds.limits import Departure, PublishedCounts
from ims.holds.losses import Loss
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.rules.roster import Roster
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings, source_of
from ims.xml.dialect import Dialect

Subjects = Mapping[RecordKey, tuple[int | None, int | None]]
"""The running numbers of the person and the course group that a record is about."""


class Scope(msgspec.Struct, frozen=True):
    """The persons and groups whose records a publication works out again, by running number."""

    persons: list[int]
    groups: list[int]


class Terms(msgspec.Struct, frozen=True):
    """On which terms records are worked out.

    Attributes:
        orgnr: the organisation number of the target, as of its first publication.
        today: the date in the target's time zone.
    """

    settings: TargetSettings
    orgnr: str
    today: date

    @property
    def source(self) -> str:
        """The ``sourcedid/source`` of every record."""
        return source_of(self.settings, self.orgnr)


class Format(msgspec.Struct, frozen=True):
    """In which dialect, and under which ``sourcedid/source``, a target's records were published last."""

    source: str | None
    dialect: Dialect


class Published(msgspec.Struct, frozen=True):
    """What was published about some persons and groups, by key.

    Attributes:
        texts: the fragments.
        subjects: the running numbers that each is about.
    """

    texts: dict[RecordKey, str]
    subjects: dict[RecordKey, tuple[int | None, int | None]]

    @property
    def person_ids(self) -> dict[int, str]:
        """The ``sourcedid/id`` that the persons were published under, by running number."""
        return {
            person: key.id
            for key, (person, _) in self.subjects.items()
            if key.kind is RecordKind.PERSON and person is not None
        }

    def group_ids(self, groups: AbstractSet[int]) -> frozenset[str]:
        """Return the ``sourcedid/id`` that these course groups were published under."""
        if not groups:
            return frozenset()
        return frozenset(
            key.id for key, (_, group) in self.subjects.items() if key.kind is RecordKind.GROUP and group in groups
        )

    def org_group_ids(self) -> frozenset[str]:
        """Return the ``sourcedid/id`` of the groups that stand for the owner and its schools."""
        return frozenset(
            key.id for key, (_, group) in self.subjects.items() if key.kind is RecordKind.GROUP and group is None
        )


class SchoolNumbers(msgspec.Struct, frozen=True):
    """What the facts say about schools without a school number.

    Attributes:
        missing: a school of the owner has none.
        teachers: the persons in scope who are employed as active teachers at such a school.
    """

    missing: bool = False
    teachers: frozenset[int] = frozenset()


class HoldState(msgspec.Struct, frozen=True):
    """What the decision about holds has to know besides what is compared.

    Attributes:
        losses: what each person in scope would lose, by running number.
        gone: ``sourcedid/id`` of the groups that were published and are no more.
        waiting: all persons and groups that have waited until now, or none if the publication leaves them alone.
        departures: those of the last day.
        counts: how many persons were published, counted as far as the limits can need it.
        explained: the persons, and the course groups, that change events or dates bear on.
        now: the time of the publication.
    """

    losses: Mapping[int, Loss]
    gone: list[str]
    waiting: Waiting
    departures: list[Departure]
    counts: PublishedCounts
    explained: tuple[frozenset[int], frozenset[int]]
    now: datetime


class LeaveOrders(msgspec.Struct, frozen=True):
    """The orders to leave that the source may have come to agree with.

    Attributes:
        known: the persons with such an order about whom nothing newer is pending; true if the owner's facts had the
            person when it was ordered.
        facts: about these persons, and those with the same national id.
        settings: of all targets of the owner.
        now: the time of the publication.
    """

    known: Mapping[int, bool]
    facts: Facts
    settings: list[TargetSettings]
    now: datetime


class Gathered(msgspec.Struct, frozen=True):
    """All that a publication has to know about one closed set of persons and groups.

    Attributes:
        roster: their records by the facts as they are now.
        published: what was published about them, and about the owner and its schools.
        left_alone: groups whose removal goes on waiting, because the publication bears on nothing that waits.
        numbers: what is needed of schools without a number.
        logins: logins of persons in scope who may leave, as far as persons out of scope have them too.
        holds: ``None`` if nothing is lost and nothing waits, or if holds do not apply.
        orders: ``None`` if no person in scope is told to leave.
    """

    scope: Scope
    roster: Roster
    published: Published
    left_alone: frozenset[str] = frozenset()
    numbers: SchoolNumbers = SchoolNumbers()
    logins: frozenset[str] = frozenset()
    holds: HoldState | None = None
    orders: LeaveOrders | None = None

    @property
    def compared(self) -> Compared:
        """What was published and what is current, without the groups left alone."""
        texts = self.published.texts
        if self.left_alone:
            # Every publication compares the groups of the owner and its schools: these may be among those left alone.
            alone = {RecordKey(RecordKind.GROUP, id_) for id_ in self.left_alone}
            texts = {key: text for key, text in texts.items() if key not in alone}
        return Compared(texts, self.published.person_ids, self.roster)
