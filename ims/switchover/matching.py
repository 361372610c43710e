"""The matching of an existing file's persons and groups with the facts of an owner.

A person is matched by an identifier that both sides have, the most reliable first: national id, running number, Feide
name, e-mail. A group by an id that a template gives, by name or code at its school, and by name or code alone. An
identifier that two on our side share matches none of them, and none is matched twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ims.identifiers import compact
from ims.records.text import clean_text
from ims.records.vocabulary import GroupLevel
from ims.rules.eligibility import school_number
from ims.source.facts import CourseGroup, Facts, Person
from ims.switchover.existing_file import OldGroup, OldHead, OldMembership, OldPerson, OldRecord


class OldRoster(msgspec.Struct, frozen=True):
    """A whole existing file. Persons and groups by ``sourcedid/id``; of two with the same source and id the later one.

    If two sources have the same id, the key of the later record has its source too.
    """

    head: OldHead
    persons: dict[str, OldPerson]
    groups: dict[str, OldGroup]
    memberships: list[OldMembership]


class Matches(msgspec.Struct, frozen=True):
    """Our running numbers of the persons and groups of an existing file, by their key in :class:`OldRoster`."""

    persons: dict[str, int]
    groups: dict[str, int]


def collect(records: Iterable[OldHead | OldRecord]) -> OldRoster:
    """Return all records of a file; a record without an id gets a key that no membership can refer to."""
    old = OldRoster(OldHead("ims"), {}, {}, [])
    for record in records:
        match record:
            case OldHead():
                old = msgspec.structs.replace(old, head=record)
            case OldPerson():
                old.persons[_key(record, old.persons)] = record
            case OldGroup():
                old.groups[_key(record, old.groups)] = record
            case OldMembership():
                old.memberships.append(record)
    for number, membership in enumerate(old.memberships):
        group = _referred(membership.group, membership.group_source, old.groups)
        person = _referred(membership.person, membership.person_source, old.persons)
        if (group, person) != (membership.group, membership.person):
            old.memberships[number] = msgspec.structs.replace(membership, group=group, person=person)
    return old


def _key(record: OldPerson | OldGroup, known: Mapping[str, OldPerson] | Mapping[str, OldGroup]) -> str:
    if not record.ids:
        return f"\0{len(known)}"
    other = known.get(record.ids[0])
    return record.ids[0] if other is None or other.source == record.source else _with_source(record)


def _with_source(record: OldPerson | OldGroup) -> str:
    return f"{record.ids[0]}\0{record.source}"


def _referred(id_: str, source: str, known: Mapping[str, OldPerson] | Mapping[str, OldGroup]) -> str:
    """Return the key of the record that a membership means, if the file has two with its id; else the id."""
    both = f"{id_}\0{source}"
    return both if both in known else id_


def match_records(old: OldRoster, facts: Facts, templates: Sequence[str]) -> Matches:
    """Return our running numbers of an existing file's persons and groups.

    Args:
        templates: how a group's existing id may have been made (``group_id``), the likeliest first.
    """
    return Matches(_persons(old.persons, facts.persons), _groups(old.groups, facts, templates))


class _Identifier(NamedTuple):
    """An identifier of a person that both sides may have.

    Attributes:
        ours: returns it from our person; empty if there is none.
        theirs: returns the texts of the existing file's person that may be it.
        needs_name: it matches only if a part of the name is the same.
    """

    ours: Callable[[Person], str]
    theirs: Callable[[OldPerson], Iterable[str]]
    needs_name: bool = False


def _theirs(person: OldPerson) -> Iterator[str]:
    yield from person.ids
    yield from (userid.value for userid in person.userids)


_IDENTIFIERS: Final = (
    _Identifier(
        lambda person: compact(person.national_id.reveal()) if person.national_id is not None else "",
        lambda old: map(compact, _theirs(old)),
    ),
    # Serial numbers of two systems coincide by chance, so that the name must agree as well.
    _Identifier(lambda person: str(person.id), _theirs, needs_name=True),
    _Identifier(lambda person: _folded(person.feide_name), lambda old: map(_folded, _theirs(old))),
    _Identifier(lambda person: _folded(person.email), lambda old: map(_folded, (old.email, *_theirs(old)))),
)


def _persons(old: Mapping[str, OldPerson], ours: Mapping[int, Person]) -> dict[str, int]:
    found: dict[str, int] = {}
    taken: set[int] = set()
    for identifier in _IDENTIFIERS:
        index = _unique((identifier.ours(person), id_) for id_, person in ours.items())
        for key, person in old.items():
            if key in found:
                continue
            ids = {index[value] for value in identifier.theirs(person) if value in index} - taken
            if len(ids) == 1 and not (identifier.needs_name and not _same_person(person, ours[min(ids)])):
                found[key] = min(ids)
                taken |= ids
    return found


def _same_person(old: OldPerson, person: Person) -> bool:
    theirs = set(_folded(f"{old.given_name} {old.family_name} {old.full_name}").split())
    return not theirs or bool(theirs & set(_folded(f"{person.given_name} {person.family_name}").split()))


def _groups(old: Mapping[str, OldGroup], facts: Facts, templates: Sequence[str]) -> dict[str, int]:
    groups = {key: group for key, group in old.items() if group.level is GroupLevel.GROUP}
    by_template = [
        {key: id_ for key, id_ in _by_template(template, facts).items() if key in groups} for template in templates
    ]
    found: dict[str, int] = {}
    for pairs in by_template:
        # A template is trusted if at least half of its pairs have the same name: serial numbers coincide by chance.
        same_names = sum(_same_group(groups[key], facts.groups[id_], facts) for key, id_ in pairs.items())
        if 2 * same_names >= len(pairs):
            _take(found, pairs)
    for name in (_name, _code):
        index = _unique((f"{name(group)}\0{_school_name(group, facts)}", id_) for id_, group in facts.groups.items())
        _take(found, _by_any({key: _names_at_school(group, old) for key, group in groups.items()}, index))
    for name in (_name, _code):
        index = _unique((name(group), id_) for id_, group in facts.groups.items())
        _take(found, _by_any({key: map(_folded, group.names) for key, group in groups.items()}, index))
    for pairs in by_template:
        # Last, whatever the names: the importer takes a group with this id for the one that it has.
        _take(found, pairs)
    return found


def _take(found: dict[str, int], pairs: Mapping[str, int]) -> None:
    taken = set(found.values())
    for key, id_ in pairs.items():
        if key not in found and id_ not in taken:
            found[key] = id_
            taken.add(id_)


def _by_any(values: Mapping[str, Iterable[str]], index: Mapping[str, int]) -> dict[str, int]:
    found = {key: {index[value] for value in some if value in index} for key, some in values.items()}
    return {key: min(ids) for key, ids in found.items() if len(ids) == 1}


def _by_template(template: str, facts: Facts) -> dict[str, int]:
    return _unique((group_id(template, group, facts), id_) for id_, group in facts.groups.items())


def group_id(template: str, group: CourseGroup, facts: Facts) -> str:
    """Return the id that a template (``group_id`` of a target) gives for a group, as it is written to a file."""
    return clean_text(template.format(id=group.id, code=clean_text(group.code), school_no=school_no(group, facts)))


def school_no(group: CourseGroup, facts: Facts) -> str:
    """Return the number of a group's school; empty if it is not known."""
    school = facts.schools.get(group.school_id)
    return "" if school is None else school_number(school)


def _school_name(group: CourseGroup, facts: Facts) -> str:
    school = facts.schools.get(group.school_id)
    return "" if school is None else _folded(school.name)


def _name(group: CourseGroup) -> str:
    return _folded(group.name)


def _code(group: CourseGroup) -> str:
    return _folded(group.code)


def _same_group(old: OldGroup, group: CourseGroup, facts: Facts) -> bool:
    ours = {_name(group), _code(group), f"{_code(group)} ({_folded(school_no(group, facts))})"}
    return not old.names or not ours.isdisjoint(map(_folded, old.names))


def _names_at_school(group: OldGroup, old: Mapping[str, OldGroup]) -> Iterator[str]:
    above = [name for parent in group.parents if parent in old for name in old[parent].names]
    for name in group.names:
        for school in filter(None, {group.school, *above}):
            yield f"{_folded(name)}\0{_folded(school)}"


def _unique(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the values that exactly one id has, without empty ones."""
    ids: dict[str, set[int]] = defaultdict(set)
    for value, id_ in pairs:
        if value:
            ids[value].add(id_)
    return {value: min(found) for value, found in ids.items() if len(found) == 1}


def _folded(text: str | None) -> str:
    return clean_text(text or "").casefold()
