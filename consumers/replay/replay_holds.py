"""What waits at a target in a replay: :mod:`consumers.holds.hold_gate` in memory, by the clock of the events."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from consumers.facts.facts_reader import Affected
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
from ims.holds.limits import DAY, Departure, Limits, PublishedCounts
from ims.holds.losses import Cause, count_teachers, gone_groups, losses
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.source.facts import Facts
from ims.targets.target_settings import TargetSettings


class ReplayedHolds:
    """Who waits at one target; there is nobody who could approve anything.

    Attributes:
        waiting: those who wait since the last cut.

    Args:
        on: whether anything waits at all.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self.waiting = Waiting()
        self._departures: list[Departure] = []

    def keep_back_first(self, settings: TargetSettings) -> bool:
        """Whether the first publication waits."""
        return self._on and not settings.accept_initial

    def persons(self) -> dict[Cause, int]:
        """How many persons wait, by cause."""
        return dict(sorted(Counter(waits.cause for waits in self.waiting.persons.values()).items()))

    def hold_back(
        self,
        settings: TargetSettings,
        compared: Compared,
        cause: Cause | None,
        explained: Affected,
        facts: Facts,
        groups: Mapping[str, int | None],
        now: datetime,
    ) -> Decision:
        """As :func:`consumers.holds.hold_gate.hold_back`.

        Args:
            groups: the running number of each group that was told, ``None`` if it stands for the owner or a school.
        """
        lost, gone = (
            losses(compared.published, compared.published_ids, compared.roster),
            gone_groups(compared.published, compared.roster),
        )
        if not (self._on and (lost or gone or self.waiting)):
            return Decision(compared.published, compared.roster)
        numberless = set(groups_without_school_number(compared.roster))
        without = has_school_without_number(facts)
        known = set(explained.groups)
        origin = Origin(
            cause,
            (frozenset(explained.persons), frozenset(id_ for id_, number in groups.items() if number in known)),
            {id_ for id_ in gone if (without if groups[id_] is None else groups[id_] in numberless)},
            teachers_without_school_number(facts),
        )
        kinds = Counter(key.kind for key in compared.published)
        published = PublishedCounts(lambda _: kinds[RecordKind.PERSON], lambda _: count_teachers(compared.published))
        self._departures = [one for one in self._departures if one.at > now - DAY]
        limits = Limits(settings, self._departures, published, now)
        decision = decide(compared, lost, gone, origin, self.waiting, limits)
        self.waiting = decision.waiting
        self._departures += decision.departures
        return decision


def group_numbers(subjects: Mapping[RecordKey, tuple[int | None, int | None]]) -> dict[str, int | None]:
    """The running numbers of the groups that were told, by ``sourcedid/id``."""
    return {key.id: number for key, (_, number) in subjects.items() if key.kind is RecordKind.GROUP}
