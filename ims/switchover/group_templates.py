"""How an existing file makes its groups' ids: the ``group_id`` of a target that would make the same ones."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from ims.records.text import clean_text
from ims.source.facts import CourseGroup, Facts
from ims.switchover.matching import OldRoster, school_no

_SAMPLE: Final = 500
"""Old groups whose ids are taken apart."""
_LONGEST: Final = 64
"""Characters of an id that is; twice as many would take four times as long."""
_NAMESAKES: Final = 50
"""Groups with the same code that are considered."""
_SCHOOL_NO: Final = "{school_no}"  # noqa: RUF027 - a template of its own
_MOST: Final = 4
"""Templates that are worth trying."""


def likely_templates(old: OldRoster, facts: Facts) -> list[str]:
    """Templates that make many of an existing file's group ids of our groups' ids, codes and school numbers.

    Every part of an old id that is one of our ids or codes is a vote for what stands around it; of equally many votes
    the template with the least text of its own comes first.
    """
    holders: dict[str, list[tuple[str, CourseGroup]]] = defaultdict(list)
    for group in facts.groups.values():
        for field, value in (("{id}", str(group.id)), ("{code}", clean_text(group.code))):
            if value and len(holders[value]) < _NAMESAKES:
                holders[value].append((field, group))
    votes: Counter[str] = Counter()
    for old_id in list(old.groups)[:_SAMPLE]:
        votes.update(set(_templates(old_id, holders, facts)) if len(old_id) <= _LONGEST else ())
    ordered = sorted(votes, key=lambda template: (-votes[template], _own_text(template), template))
    return [template for template in ordered[:_MOST] if 2 * votes[template] >= votes[ordered[0]]]


def _templates(old_id: str, holders: Mapping[str, list[tuple[str, CourseGroup]]], facts: Facts) -> Iterator[str]:
    for start in range(len(old_id)):
        for end in range(start + 1, len(old_id) + 1):
            for field, group in holders.get(old_id[start:end], ()):
                number = school_no(group, facts)
                yield _literal(old_id[:start], number) + field + _literal(old_id[end:], number)


def _literal(text: str, number: str) -> str:
    before, found, after = text.partition(number) if number else (text, "", "")
    return _escaped(before) + _SCHOOL_NO * bool(found) + _escaped(after)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _own_text(template: str) -> int:
    return len(template.format(id="", code="", school_no=""))
