"""Persons, or groups, that would have the same ``sourcedid/id``: which of them is exported."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from ims.rules.eligibility import Reason
from ims.rules.person_records import ExportedPerson


class PublishedIds(msgspec.Struct, frozen=True):
    """The ``sourcedid/id`` under which persons and course groups are published already, by running number."""

    persons: Mapping[int, str] = {}
    groups: Mapping[int, str] = {}


_Exported = TypeVar("_Exported", str, ExportedPerson)


def without_duplicates(
    outcomes: dict[int, _Exported | Reason],
    id_of: Callable[[_Exported], str],
    first: Mapping[int, str],
    taken: Iterable[str] = (),
) -> tuple[dict[int, _Exported | Reason], set[str]]:
    """Return the outcomes, with a reason instead of each whose id another outcome, or *taken*, has as well.

    Args:
        outcomes: by running number.
        id_of: returns the id of an outcome.
        first: the ids under which these are published already, by running number: such an outcome stays.
        taken: ids that are in use.

    Returns:
        The outcomes, and the ids that several had.
    """
    times = Counter(id_of(outcome) for outcome in outcomes.values() if not isinstance(outcome, Reason))
    shared = {id_ for id_, count in times.items() if count > 1}
    in_use = set(taken)

    def stays(number: int, id_: str) -> bool:
        return id_ not in in_use and (id_ not in shared or first.get(number) == id_)

    resolved = {
        number: outcome if isinstance(outcome, Reason) or stays(number, id_of(outcome)) else Reason.DUPLICATE_ID
        for number, outcome in outcomes.items()
    }
    return resolved, shared
