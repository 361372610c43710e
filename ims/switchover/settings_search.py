"""The settings under which a target would tell its importer what an existing file has told it, found by trying them.

One key after another takes the value that leaves the fewest differences, until no key can make them fewer; then every
change that turns out not to be needed is taken back. Each key has a few candidates only: those that it can have at all,
and those that the existing file suggests. Keys that say what *may* be told, such as ``allow_test_numbers``, are not
among them, nor are single groups, which would fit anything to everything.

Nothing is proposed that would make more of the existing file missing than is now, however few differences it leaves: it
would lock out somebody who is in.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ims.errors import InvalidSettingsError
from ims.records.text import clean_text
from ims.source.facts import Facts
from ims.switchover.comparison import Comparison, What
from ims.switchover.matching import OldRoster
from ims.targets.target_settings import TargetSettings, changed


class Step(NamedTuple):
    """A setting that makes the two agree better, and the number of differences before it and after."""

    key: str
    value: Any
    before: int
    after: int


class Tally(NamedTuple):
    """How many differences there are under some settings, and of how many of them something is missing."""

    differences: int
    missing: int


_DAYS: Final = (0, 1, 7, 14, 30)
_ROUNDS: Final = 3


def candidates(
    old: OldRoster, facts: Facts, comparison: Comparison, settings: TargetSettings, templates: Sequence[str]
) -> dict[str, list[Any]]:
    """What is worth trying, by key, in the order in which it is tried.

    Args:
        comparison: of the settings as they are.
        templates: what ``group_id`` may be.
    """
    sources = Counter(record.source for records in (old.persons, old.groups) for record in records.values())
    return {
        "dialect": [old.head.dialect],
        "source": [None, *(source for source, _ in sources.most_common(2) if source)],
        "person_id": ["national", "running"],
        "group_id": list(templates),
        "login": ["feide", "email", "none"],
        "org_groups": [False, True],
        "scope": ["all", "grunnskole"],
        "excluded_kinds": [[], _kinds_without(comparison, facts, settings)],
        "include_without_national_id": [False, True],
        "duf_check": ["warn", "refuse"],
        "lead_days": list(_DAYS),
        "grace_days": list(_DAYS),
    }


def _kinds_without(comparison: Comparison, facts: Facts, settings: TargetSettings) -> list[str]:
    """The kinds excluded now, and those all of whose groups would be new to the importer."""
    kinds = {id_: clean_text(group.kind) for id_, group in facts.groups.items()}
    new = {
        kinds[difference.group]
        for difference in comparison.differences
        if difference.kind == "group" and difference.what is What.NEW and isinstance(difference.group, int)
    }
    return sorted({*settings.excluded_kinds, *(new - _kept(comparison, kinds) - {""})})


def _kept(comparison: Comparison, kinds: Mapping[int, str]) -> set[str]:
    """The kinds that a group of the old file has."""
    return {kinds[group] for group in comparison.kept if isinstance(group, int)}


def tally(comparison: Comparison) -> Tally:
    """The differences of a comparison, counted."""
    missing = sum(difference.what is What.MISSING for difference in comparison.differences)
    return Tally(len(comparison.differences), missing)


def matching_settings(
    settings: TargetSettings, values: Mapping[str, Sequence[Any]], tallied: Callable[[TargetSettings], Tally]
) -> list[Step]:
    """The settings to change so that as few differences as possible are left; empty if none makes them fewer.

    Args:
        values: what to try, by key; what the settings cannot be is passed over.
        tallied: what there is under some settings.
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
    """The one with the fewest differences of those that lose nothing more; the earlier, of equally good ones."""
    safe = [settings for settings in tried if count(settings).missing <= count(best).missing]
    return min((best, *safe), key=lambda settings: count(settings).differences)


def _each(settings: TargetSettings, key: str, values: Sequence[Any]) -> list[TargetSettings]:
    found = []
    for value in values:
        try:
            found.append(changed(settings, {key: value}))
        except InvalidSettingsError:
            continue  # what another exporter writes need not be possible here
    return found


def _needed(settings: TargetSettings, best: TargetSettings, count: Callable[[TargetSettings], Tally]) -> TargetSettings:
    """The best settings without the changes that make no difference."""
    for key in settings.__struct_fields__:
        without = msgspec.structs.replace(best, **{key: getattr(settings, key)})
        with_it, without_it = count(best), count(without)
        if without_it.differences <= with_it.differences and without_it.missing <= with_it.missing:
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
