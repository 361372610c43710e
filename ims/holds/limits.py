"""How much may be taken away in an hour and in a day before the rest waits for an approval.

Persons, teachers, ids, logins, memberships and groups have limits of their own, since importers act on each. Distinct
ones are counted, in rolling windows: those lost in the last hour (day) without an approval, and those of this
publication. So a fault that removes a few at a time is noticed like one that removes them all in one step.

Entra, Okta, Grouper and EgilSCIM count per run instead, and miss a fault that removes a few persons in each run.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from ims.holds.losses import Loss
from ims.targets.target_settings import TargetSettings

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
"""The longer window: a departure that is older counts in none."""
_Window = tuple[timedelta, int, int]
"""A window's length, its absolute limit and its limit in percent."""


class Departure(NamedTuple):
    """A person removed without an approval, or something that a person who stays, or everyone, has lost.

    Attributes:
        person: running number; 0 where a group was removed.
        id_change: the id changed; the person stays.
        login: the login changed; the person stays.
        group: ``sourcedid/id`` of the removed group, or of the group in which a membership that is not the last ended.
    """

    person: int
    at: datetime
    teacher: bool = False
    id_change: bool = False
    login: bool = False
    group: str = ""

    @property
    def of_person(self) -> bool:
        """Return True if the person left."""
        return not (self.id_change or self.login or self.group)


class PublishedCounts(NamedTuple):
    """How much was published; counted no further than :func:`enough_to_count`.

    Attributes:
        teachers: the teachers among the persons.
        teacher_memberships: memberships as instructor.
    """

    persons: int = 0
    teachers: int = 0
    memberships: int = 0
    teacher_memberships: int = 0
    groups: int = 0


Limited = Literal["persons", "teachers", "id_changes", "logins", "memberships", "teacher_memberships", "groups"]
"""What is limited, as the names of the settings have it."""

_KEYS: Final[dict[Limited, Callable[[Departure], Hashable]]] = {
    "persons": lambda one: one.person if one.of_person else None,
    "teachers": lambda one: one.person if one.of_person and one.teacher else None,
    "id_changes": lambda one: one.person if one.id_change else None,
    "logins": lambda one: one.person if one.login else None,
    "memberships": lambda one: (one.person, one.group) if one.person and one.group else None,
    "teacher_memberships": lambda one: (one.person, one.group) if one.person and one.group and one.teacher else None,
    "groups": lambda one: one.group if not one.person and one.group else None,
}
"""What distinguishes a departure of each kind from others; ``None`` if it is of another kind."""


class Changed(NamedTuple):
    """The persons and groups that change events affect, where days have passed as well.

    Everything else ended by its date, which was registered before: the close of a term, which counts against no limit
    of memberships or groups. Persons who lose their last membership count all the same.
    """

    persons: AbstractSet[int]
    groups: AbstractSet[str]


class Limits:
    """A target's limits at a moment, and the departures that count against them already.

    Args:
        departures: those of at least the last day.
        now: the time of the publication.
        changed: what change events affect; ``None`` if no day has passed, so that they explain everything.
    """

    def __init__(
        self,
        settings: TargetSettings,
        departures: Iterable[Departure],
        published: PublishedCounts,
        now: datetime,
        changed: Changed | None = None,
    ) -> None:
        self._settings = settings
        self._departures = list(departures)
        self._published = published
        self._changed = changed
        self.now = now

    def are_broken(self, what: Limited, lost: AbstractSet[Hashable]) -> bool:
        """Return True if in a window more is lost than its absolute number and more than its percentage.

        Args:
            lost: persons by running number, memberships as in :meth:`memberships`, or groups by ``sourcedid/id``.
        """
        if not lost:
            return False
        published: int = getattr(self._published, what, 0)
        before = [(one.at, key) for one in self._departures if (key := _KEYS[what](one)) is not None]
        for span, absolute, percent in _windows(self._settings, what):
            number = len(lost | {key for at, key in before if self.now - span < at})
            if number > absolute and (percent == 0 or number * 100 > percent * published):
                return True
        return False

    def memberships(self, losses: Mapping[int, Loss]) -> set[tuple[int, str]]:
        """Return the memberships that count: those that are not a person's last and did not end by their date."""
        changed = self._changed
        return {
            one for one in _not_last(losses) if changed is None or one[0] in changed.persons or one[1] in changed.groups
        }

    def groups(self, gone: Iterable[str]) -> set[str]:
        """Return those of the removed groups that count: those that did not end by their date."""
        return {id_ for id_ in gone if self._changed is None or id_ in self._changed.groups}


def enough_to_count(
    settings: TargetSettings, losses: Mapping[int, Loss], departures: Iterable[Departure], gone: Iterable[str] = ()
) -> PublishedCounts:
    """Return from which number on it makes no difference how much was published.

    0 where the absolute limits alone allow the publication, so that nothing has to be counted: counting a million
    persons for one who leaves would keep that person waiting.

    Args:
        losses: what the persons in scope lose; some of them may turn out not to count.
        departures: as for :class:`Limits`.
        gone: the removed groups.
    """
    before = list(departures)
    lost: dict[Limited, set[Hashable]] = {
        "persons": {number for number, loss in losses.items() if loss.last},
        "teachers": {number for number, loss in losses.items() if loss.last and loss.teacher},
        "memberships": set(_not_last(losses)),
        "teacher_memberships": {one for one in _not_last(losses) if losses[one[0]].teacher},
        "groups": set(gone),
    }
    return PublishedCounts(**{what: _enough(found, before, settings, what) for what, found in lost.items()})


def _not_last(losses: Mapping[int, Loss]) -> Iterable[tuple[int, str]]:
    return ((number, group) for number, loss in losses.items() if not loss.last for group in loss.groups)


def _windows(settings: TargetSettings, what: Limited) -> list[_Window]:
    return [
        (span, getattr(settings, f"hold_{name}_{what}"), getattr(settings, f"hold_{name}_{what}_percent", 0))
        for name, span in (("hour", HOUR), ("day", DAY))
    ]


def _enough(
    leaving: AbstractSet[Hashable], before: Iterable[Departure], settings: TargetSettings, what: Limited
) -> int:
    if not leaving:
        return 0
    most = len(leaving | {key for one in before if (key := _KEYS[what](one)) is not None})
    return max(
        (-(-most * 100 // percent) for _, absolute, percent in _windows(settings, what) if percent and most > absolute),
        default=0,
    )
