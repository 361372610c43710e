"""A comparison's differences as rows for the persons who plan the switch: names and running numbers, no national id.

Of an id only the kind is shown, because most ids of persons are national ids.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from ims.identifiers import compact
from ims.identifiers.national_id import NationalId, kind_of, without_national_ids
from ims.records.model import GroupRecord, PersonRecord
from ims.records.text import clean_text, visible
from ims.rules.overrides import with_same_national_id
from ims.source.facts import CourseGroup, Facts, Person
from ims.switchover.comparison import KINDS, Comparison, Difference, DifferenceType, login_of
from ims.switchover.existing_file import OldGroup, OldPerson
from ims.switchover.matching import school_no

NONE: Final = "none"
OTHER: Final = "other"


class Row(msgspec.Struct, frozen=True):
    """One difference.

    Attributes:
        kind: ``person``, ``group``, ``membership`` or ``file``.
        running_number: of the person; empty if the difference is about none of our persons.
        group: our running number of the group, likewise; for an owner's or school's group its ``sourcedid/id``.
        name: of the person; of the group if the difference is about no person.
        old_id_kind: the kind of the id until now (for a changed login: of the login); empty if there is none.
        new_id_kind: the kind that it would be.
        what: a :class:`~ims.switchover.comparison.DifferenceType`.
        reason: why it is missing, else empty.
    """

    kind: str
    running_number: str
    group: str
    name: str
    old_id_kind: str
    new_id_kind: str
    what: str
    reason: str


def rows_of(differences: Iterable[Difference], facts: Facts) -> list[Row]:
    """Return the differences as rows.

    A person with a protected identity, or whom an operator has suppressed, is named by the running number alone, and so
    is a person with the same national id: where such a person goes to school is what the protection is to hide.
    """
    protected = {person.id for person in facts.persons.values() if person.protected}
    secret = with_same_national_id(facts, protected | facts.suppressed)
    numbers = {
        compact(one.national_id.reveal())
        for one in map(facts.persons.get, secret)
        if one is not None and one.national_id
    }

    def is_secret(difference: Difference) -> bool:
        # Of a person who is registered twice, the file's record is matched with neither registration.
        old = difference.old
        ids = (*old.ids, *(one.value for one in old.userids)) if isinstance(old, OldPerson) else ()
        return difference.number in secret or any(compact(id_) in numbers for id_ in ids)

    return [_row_of(difference, facts, secret=is_secret(difference)) for difference in differences]


def _row_of(difference: Difference, facts: Facts, *, secret: bool) -> Row:
    person = None if difference.number is None else facts.persons.get(difference.number)
    group = facts.groups.get(difference.group) if isinstance(difference.group, int) else None
    old, new = difference.old, difference.new
    if isinstance(new, PersonRecord) or isinstance(old, OldPerson):
        old_id, new_id = _person_ids(difference)
        kinds = tuple("" if id_ is None else person_id_kind(id_, person) for id_ in (old_id, new_id))
    else:
        old_id = (old.ids or ("",))[0] if isinstance(old, OldGroup) else None
        new_id = new.id if isinstance(new, GroupRecord) else None
        kinds = tuple("" if id_ is None else group_id_kind(id_, group, facts) for id_ in (old_id, new_id))
    return Row(
        kind=difference.kind,
        running_number="" if difference.number is None else str(difference.number),
        group="" if secret or difference.group is None else without_national_ids(str(difference.group)),
        name="" if secret else visible(without_national_ids(_name(difference, person, group))),
        old_id_kind=kinds[0],
        new_id_kind=kinds[1],
        what=difference.what.value,
        reason=difference.reason.value if difference.reason is not None else "",
    )


def summary(comparison: Comparison) -> dict[str, Counter[DifferenceType]]:
    """Return the number of differences of each type, by kind."""
    counts: dict[str, Counter[DifferenceType]] = {kind: Counter() for kind in KINDS}
    for difference in comparison.differences:
        counts[difference.kind][difference.what] += 1
    return counts


def reasons(comparison: Comparison) -> Counter[tuple[str, str]]:
    """Return how many records are missing, by kind and reason."""
    return Counter(
        (difference.kind, difference.reason.value)
        for difference in comparison.differences
        if difference.reason is not None
    )


def person_id_kind(value: str, person: Person | None) -> str:
    """Return what kind of id (or login) a value is; *person* is the person of ours who has it, if known.

    >>> person_id_kind("41814061033", None), person_id_kind("1001", None)
    ('d_number', 'other')
    """
    if not value:
        return NONE
    kind = kind_of(NationalId(value), allow_test_numbers=True)
    if kind is not None:
        return kind.value
    if person is None:
        return OTHER
    known = {
        str(person.id): "running_number",
        (person.feide_name or "").casefold(): "feide_name",
        (person.email or "").casefold(): "email",
    }
    if person.national_id is not None and compact(value) == compact(person.national_id.reveal()):
        return "national_id_not_valid"
    return known.get(value.casefold(), OTHER)


def group_id_kind(value: str, group: CourseGroup | None, facts: Facts) -> str:
    """Return the fields that a group's id is made of, written as in ``group_id``."""
    if not value:
        return NONE
    if group is None:
        return OTHER
    fields = {"code": clean_text(group.code), "id": str(group.id), "school_no": school_no(group, facts)}
    found = ""
    for field, text in fields.items():
        if text and text in value:
            value = value.replace(text, "\0", 1)
            found += f"{{{field}}}"
    return found or OTHER


def _person_ids(difference: Difference) -> tuple[str | None, str | None]:
    old, new = difference.old, difference.new
    login = difference.what is DifferenceType.LOGIN
    old_id = new_id = None
    if isinstance(old, OldPerson):
        old_id = login_of(old) if login else (old.ids or ("",))[0]
    if isinstance(new, PersonRecord):
        new_id = login_of(new) if login else new.id
    return old_id, new_id


def _name(difference: Difference, person: Person | None, group: CourseGroup | None) -> str:
    if person is not None:
        return f"{person.given_name} {person.family_name}".strip()
    match difference.old:
        case OldPerson() as old:
            return old.full_name or f"{old.given_name} {old.family_name}".strip()
        case OldGroup() as old if group is None:
            return (old.names or ("",))[-1]
        case _:
            new = difference.new
            return new.long if isinstance(new, GroupRecord) else group.name if group is not None else ""
