"""The settings search: the settings under which a target publishes what is in an existing file, found by trying.

One key after another takes the value that leaves the fewest differences, until no key makes them fewer; then every
change that turns out to be unnecessary is taken back. Each key has only a few candidates: the values that it can have
at all, and those that the existing file suggests. Keys that say what *may* be published, such as
``allow_test_numbers``, are not tried, nor is the exclusion of single groups, which could be fitted to any file.

No change is proposed by which more of the existing file would be missing than before, or more persons would lose their
login, however few differences it leaves: it would lock out a person who has access. For the same reason ``login =
"none"`` is tried only if the file has no userid at all, and nothing is tried on a file without records.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ims.errors import InvalidSettingsError
from ims.records.model import PersonRecord
from ims.records.text import clean_text
from ims.source.facts import Facts
from ims.switchover.comparison import Comparison, DifferenceType, login_of
from ims.switchover.matching import OldRoster
from ims.targets.target_settings import TargetSettings
from ims.targets.written_settings import changed


class Step(NamedTuple):
    """A change of a setting that leaves fewer differences, and their number before and after it."""

    key: str
    value: Any
    before: int
    after: int


class Tally(NamedTuple):
    """The number of differences under some settings, and how many of them are losses.

    Attributes:
        missing: missing records.
        unreachable: persons who have a login in the existing file and would have none.
    """

    differences: int
    missing: int
    unreachable: int = 0

    def loses_more_than(self, other: "Tally") -> bool:
        """Return True if more would be missing, or more persons without a login."""
        return self.missing > other.missing or self.unreachable > other.unreachable


_DAYS: Final = (0, 1, 7, 14, 30)
_ROUNDS: Final = 3


def candidates(
    old: OldRoster, facts: Facts, comparison: Comparison, settings: TargetSettings, templates: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the values worth trying, by key, in the order in which they are tried.

    Args:
        comparison: the comparison under the present settings.
        templates: candidates for ``group_id``.
    """
    if not (old.persons or old.groups or old.memberships):
        return {}
    sources = Counter(record.source for records in (old.persons, old.groups) for record in records.values())
    return {
        "dialect": [old.head.dialect],
        "source": [None, *(source for source, _ in sources.most_common(2) if source)],
        "person_id": ["national", "running"],
        "group_id": list(templates),
        "login": ["feide", "email", *(() if any(person.userids for person in old.persons.values()) else ("none",))],
        "org_groups": [False, True],
        "scope": ["all", "grunnskole"],
        "excluded_kinds": [[], _kinds_without(comparison, facts, settings)],
        "include_without_national_id": [False, True],
        "duf_check": ["warn", "refuse"],
        "lead_days": list(_DAYS),
        "grace_days": list(_DAYS),
    }


def _kinds_without(comparison: Comparison, facts: Facts, settings: TargetSettings) -> list[str]:
    """Return the kinds excluded now, and those all of whose groups would be new to the importer."""
    kinds = {id_: clean_text(group.kind) for id_, group in facts.groups.items()}
    new = {
        kinds[difference.group]
        for difference in comparison.differences
        if difference.kind == "group" and difference.what is DifferenceType.NEW and isinstance(difference.group, int)
    }
    return sorted({*settings.excluded_kinds, *(new - _kept(comparison, kinds) - {""})})


def _kept(comparison: Comparison, kinds: Mapping[int, str]) -> set[str]:
    """Return the kinds that a group of the existing file has."""
    return {kinds[group] for group in comparison.kept if isinstance(group, int)}


def tally(comparison: Comparison) -> Tally:
    """Return the number of a comparison's differences."""
    missing = sum(difference.what is DifferenceType.MISSING for difference in comparison.differences)
    unreachable = sum(
        difference.what is DifferenceType.LOGIN
        and isinstance(difference.new, PersonRecord)
        and not login_of(difference.new)
        for difference in comparison.differences
    )
    return Tally(len(comparison.differences), missing, unreachable)


def search_settings(
    settings: TargetSettings, values: Mapping[str, Sequence[Any]], tallied: Callable[[TargetSettings], Tally]
) -> list[Step]:
    """Return the settings to change so that as few differences as possible are left; empty if none leaves fewer.

    Args:
        values: the values to try, by key; those that a target cannot have are skipped.
        tallied: returns the number of differences under some settings.
    """
    known: dict[bytes, Tally] = {}

    def count(tried: TargetSettings) -> Tally:
        key = msgspec.json.encode(tried)
        if key not in known:
            known[key] = tallied(tried)
        return known[key]

    best = settings
    for _ in range(_ROUNDS):
        before = best
        for key, candidates_ in values.items():
            if count(best).differences:
                best = _better(best, _each(best, key, candidates_), count)
        if best == before:
            break
    return _steps(settings, _needed(settings, best, count), count)


def _better(
    best: TargetSettings, tried: Sequence[TargetSettings], count: Callable[[TargetSettings], Tally]
) -> TargetSettings:
    """Return the settings with the fewest differences of those with no more missing; the first of equally good ones."""
    safe = [settings for settings in tried if not count(settings).loses_more_than(count(best))]
    return min((best, *safe), key=lambda settings: count(settings).differences)


def _each(settings: TargetSettings, key: str, values: Sequence[Any]) -> list[TargetSettings]:
    found = []
    for value in values:
        try:
            found.append(changed(settings, {key: value}))
        except InvalidSettingsError:
            continue  # another exporter may write what no setting here can give
    return found


def _needed(settings: TargetSettings, best: TargetSettings, count: Callable[[TargetSettings], Tally]) -> TargetSettings:
    """Return the best settings without the changes that do not matter."""
    for key in settings.__struct_fields__:
        without = msgspec.structs.replace(best, **{key: getattr(settings, key)})
        with_it, without_it = count(best), count(without)
        if without_it.differences <= with_it.differences and not without_it.loses_more_than(with_it):
            best = without
    return best


def _steps(settings: TargetSettings, best: TargetSettings, count: Callable[[TargetSettings], Tally]) -> list[Step]:
    steps = []
    for key in settings.__struct_fields__:
        value = getattr(best, key)
        if value != getattr(settings, key):
            after = msgspec.structs.replace(settings, **{key: value})
            steps.append(Step(key, value, count(settings).differences, count(after).differences))
            settings = after
    return steps
