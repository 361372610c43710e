"""What a row that cannot be read whole takes away: it is obeyed at once, and the rest of the row is quarantined.

A row with one impossible value may also say that a person is protected, has left, or that a group is closed. A person
who must lose access must not keep it because of a wrong value elsewhere in the row. Nothing that gives access is taken
from such a row. The next row that can be read whole replaces all of it.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any, Final

from ims.source.events import Row
from ims.source.facts import Table
from ims.source.words import ACTIVE, MOVED, TEACHER

_TAKEN: Final[Mapping[Table, frozenset[str]]] = {
    Table.EMPLOYEE: frozenset({"person_id", "school_id", "kind", "active"}),
    Table.COURSE_GROUP: frozenset({"starts_on", "ends_on", "active"}),
    Table.ENROLMENT: frozenset({"person_id", "group_id", "starts_on", "ends_on", "status"}),
}


def restriction_of(table: Table, readable: Row, unreadable: Collection[str]) -> Row | None:
    """Return what a row takes away by the values that could be read, or ``None`` if it can take nothing away.

    An unreadable ``protected`` counts as protected: whether a person may be shown must be known. Of a protected person
    everything that could be read is kept, because a second registration is recognised by the national id and nothing of
    the person is published.

    Args:
        table: the row's table.
        readable: the values that could be read, by our names.
        unreadable: the columns that could not be read, or that the row lacks.
    """
    if table is Table.PERSON:
        protected = readable.get("protected") is True or "protected" in unreadable
        return {**readable, "protected": True} if protected else None
    taken = {name: value for name, value in readable.items() if name in _TAKEN.get(table, ())}
    return taken or None


def without_texts(restriction: Row) -> Row:
    """Return the restriction without values that PostgreSQL could refuse: only numbers, dates and booleans stay.

    An enrolment's status stays too: it is one of our own words.
    """
    return {name: value for name, value in restriction.items() if name == "status" or not isinstance(value, str)}


def restricted(table: Table, stored: Row | None, restriction: Row) -> Row | None:
    """Return the row's values after a restriction; ``None`` if it changes nothing.

    Args:
        table: the row's table.
        stored: all stored values, or ``None`` if there is no row. A person is then created as protected, without a
            name, so that the protection holds for everyone with the same national id.
        restriction: what :func:`restriction_of` returned, with the row's key for a person.
    """
    if table is Table.PERSON:
        nameless = {"given_name": "", "family_name": ""} if stored is None else {}
        values = {**nameless, **(stored or {}), **restriction}
    elif stored is None:
        return None
    else:
        values = {**stored, **_RESTRICTING[table](stored, restriction)}
    return None if values == stored else values


def _employee(stored: Row, restriction: Row) -> Row:
    ends = restriction.get("active") is False or _differs(stored, restriction, "person_id", "school_id")
    kind = restriction.get("kind", TEACHER)
    return {"active": stored["active"] and not ends, "kind": stored["kind"] if kind == TEACHER else kind}


def _group(stored: Row, restriction: Row) -> Row:
    closes = restriction.get("active") is False
    return {"active": stored["active"] and not closes, **_narrowed(stored, restriction)}


def _enrolment(stored: Row, restriction: Row) -> Row:
    status = stored["status"]
    if restriction.get("status", ACTIVE) != ACTIVE:
        status = restriction["status"]
    elif status == ACTIVE and _differs(stored, restriction, "person_id", "group_id"):
        status = MOVED
    return {"status": status, **_narrowed(stored, restriction)}


_RESTRICTING: Final[Mapping[Table, Callable[[Row, Row], Row]]] = {
    Table.EMPLOYEE: _employee,
    Table.COURSE_GROUP: _group,
    Table.ENROLMENT: _enrolment,
}


def _differs(stored: Row, restriction: Row, *names: str) -> bool:
    return any(name in restriction and restriction[name] != stored[name] for name in names)


def _narrowed(stored: Row, restriction: Row) -> dict[str, Any]:
    """Return the later of the two first days and the earlier of the two last days; ``None`` is no limit."""
    starts, ends = (
        [day for day in (stored[name], restriction.get(name)) if day is not None] for name in ("starts_on", "ends_on")
    )
    latest: date | None = max(starts, default=None)
    earliest: date | None = min(ends, default=None)
    return {"starts_on": latest, "ends_on": earliest}
