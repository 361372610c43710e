"""The templates by which an existing file's group ids may have been made: ``group_id`` that gives the same ids."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from ims.records.text import clean_text
from ims.source.facts import CourseGroup, Facts
from ims.switchover.matching import OldRoster, school_no

_SAMPLE: Final = 500
"""How many groups of the existing file are examined."""
_LONGEST: Final = 64
"""Characters of an id that is examined; the work grows with the square of the length."""
_SAME_CODE: Final = 50
"""How many groups with the same code are considered."""
_SCHOOL_NO: Final = "{school_no}"  # noqa: RUF027 - a template of its own
_MOST: Final = 4
"""How many templates are worth trying."""


def likely_templates(old: OldRoster, facts: Facts) -> list[str]:
    """Return templates that give many of an existing file's group ids from our groups' ids, codes and school numbers.

    Every part of an existing id that is one of our ids or codes is a vote for the text around it. Of templates with
    equally many votes the one with the least literal text comes first.
    """
    holders: dict[str, list[tuple[str, CourseGroup]]] = defaultdict(list)
    for group in facts.groups.values():
        for field, value in (("{id}", str(group.id)), ("{code}", clean_text(group.code))):
            if value and len(holders[value]) < _SAME_CODE:
                holders[value].append((field, group))
    votes: Counter[str] = Counter()
    for old_id in list(old.groups)[:_SAMPLE]:
        votes.update(set(_templates(old_id, holders, facts)) if len(old_id) <= _LONGEST else ())
    ordered = sorted(votes, key=lambda template: (-votes[template], _literal_length(template), template))
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


def _literal_length(template: str) -> int:
    return len(template.format(id="", code="", school_no=""))
