"""Facts as compact reads them: which persons and groups a cut must look at, and all facts that bear on those."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Final, TypeVar

import msgspec

from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection
from consumers.database.targets_table import TargetRow
from consumers.facts import suppressions
from consumers.facts.pending_changes import Pending, PendingChange, settled
from ims.identifiers.national_id import NationalId
from ims.rules.group_records import group_id
from ims.source.facts import FACT_TYPES, CourseGroup, Employee, Enrolment, Fact, Facts, Owner, Person, School, Table
from ims.source.mapping import COLUMNS

T = TypeVar("T", bound=Fact)

_CHUNK: Final = 2_000
"""Persons worked out at a time where all are."""


class Affected(msgspec.Struct, frozen=True):
    """The persons and groups whose records a cut works out anew."""

    persons: list[int]
    groups: list[int]


def unsettled(connection: Connection, target: TargetRow) -> Pending:
    """All that the target has not been told yet, whether it has rested or not."""
    return settled(pending_changes(connection, target), 0, after=target.changes_through)


def pending_changes(connection: Connection, target: TargetRow) -> Sequence[PendingChange]:
    """The marks that the target has not been told, in order."""
    rows = connection.execute(
        "select change_id, kind, id, committed_at, extract(epoch from clock_timestamp() - noted_at)::float8"
        " from imsfeed.pending_change where owner_id = %s and change_id > %s order by change_id",
        (target.owner_id, target.changes_through),
    ).fetchall()
    return [PendingChange(*row) for row in rows]


def affected(connection: Connection, target: TargetRow, pending: Pending, days: tuple[date, date] | None) -> Affected:
    """Whom *pending* and the passing of time bear on.

    A group bears on all its members, a school on its groups and employees. Persons that share a national id, and groups
    that would have the same id, are looked at together.

    Args:
        days: the day up to which dates are told, and today; what begins or has ended between them has changed.
    """
    published, today = days or (None, None)
    parameters: dict[str, Any] = {
        "target": target.target_id,
        "owner": target.owner_id,
        "persons": list(pending.persons),
        "groups": list(pending.groups),
        "schools": list(pending.schools),
        "told": published,
        "today": today,
        "lead": target.settings.lead_days,
        "grace": target.settings.grace_days,
    }
    groups = _with_same_id(connection, target, _ids(connection, _GROUPS, parameters))
    parameters["groups"] = groups
    persons = _ids(connection, _PERSONS, parameters)
    return Affected(with_same_id(connection, target, persons), groups)


def with_same_id(connection: Connection, target: TargetRow, persons: Collection[int]) -> list[int]:
    """These persons and those at the owner who share a national id with one of them."""
    return _ids(connection, _SAME_NATIONAL_ID, {"owner": target.owner_id, "persons": array_literal(list(persons))})


def persons_called(connection: Connection, target: TargetRow, ids: Collection[str]) -> list[int]:
    """The persons at the owner whose national id is one of these."""
    return _ids(connection, _CALLED, {"owner": target.owner_id, "ids": list(ids)})


def everything(connection: Connection, target: TargetRow) -> Affected:
    """Every person and group that the owner has, or that the target has been told of."""
    parameters = {"target": target.target_id, "owner": target.owner_id}
    return Affected(_ids(connection, _ALL_PERSONS, parameters), _ids(connection, _ALL_GROUPS, parameters))


def chunks(connection: Connection, target: TargetRow) -> Iterator[Affected]:
    """All that the owner has, a part at a time: first the groups, then the persons as :func:`parts` has them."""
    all_ = everything(connection, target)
    yield Affected([], all_.groups)
    for persons in parts(connection, target, all_.persons):
        yield Affected(persons, [])


def parts(connection: Connection, target: TargetRow, persons: list[int]) -> Iterator[list[int]]:
    """The persons some at a time; those that share a national id are never apart, and may therefore come twice."""
    for start in range(0, len(persons), _CHUNK):
        yield with_same_id(connection, target, persons[start : start + _CHUNK])


def read_facts(connection: Connection, target: TargetRow, persons: Collection[int], groups: Collection[int]) -> Facts:
    """The facts that bear on these persons and groups; also the groups that may have the id of one of these."""
    facts = read_person_facts(connection, target, persons)
    wanted = {*groups, *(enrolment.group_id for enrolment in facts.enrolments.values())}
    ids = _with_same_id(connection, target, wanted)
    found = _read(connection, CourseGroup, Table.COURSE_GROUP, target.owner_id, "id", ids)
    return msgspec.structs.replace(facts, groups={group.id: group for group in found})


def read_person_facts(connection: Connection, target: TargetRow, persons: Collection[int]) -> Facts:
    """The facts that bear on these persons, but for groups."""
    owner_id, ids = target.owner_id, list(persons)
    owners = connection.execute(
        "select owner_id, orgnr, name from imsfeed.owner where owner_id = %s", (owner_id,)
    ).fetchall()
    return Facts(
        owner=Owner(*owners[0]) if owners else None,
        schools={school.id: school for school in _read(connection, School, Table.SCHOOL, owner_id)},
        persons={p.id: p for p in _read(connection, Person, Table.PERSON, owner_id, "id", ids)},
        employees={e.id: e for e in _read(connection, Employee, Table.EMPLOYEE, owner_id, "person_id", ids)},
        groups={},
        enrolments={e.id: e for e in _read(connection, Enrolment, Table.ENROLMENT, owner_id, "person_id", ids)},
        suppressed=suppressions.in_force(connection, owner_id, "suppressed", ids),
        leave_now=suppressions.in_force(connection, owner_id, "leave_now", ids),
    )


def _with_same_id(connection: Connection, target: TargetRow, groups: Collection[int]) -> list[int]:
    """These groups, and those of the owner that would have the same ``sourcedid/id`` as one of them."""
    if not any(field in target.settings.group_id for field in ("{code}", "{school_no}")):
        return list(groups)  # an id that is made of the running number alone is nobody else's
    schools = {school.id: school for school in _read(connection, School, Table.SCHOOL, target.owner_id)}
    ids = {
        group.id: group_id(group, schools.get(group.school_id), target.settings)
        for group in _read(connection, CourseGroup, Table.COURSE_GROUP, target.owner_id)
    }
    wanted = {ids[group] for group in groups if group in ids}
    return list({*groups, *(group for group, id_ in ids.items() if id_ in wanted)})


def _read(
    connection: Connection,
    kind: type[T],
    table: Table,
    owner_id: int,
    column: str | None = None,
    ids: Iterable[int] = (),
) -> list[T]:
    columns = ", ".join(COLUMNS[table])
    query = f"select {columns} from imsfeed.{table.value} where owner_id = %s"  # noqa: S608 - our own names
    parameters: list[Any] = [owner_id]
    if column is not None:
        query += f" and {column} = any (%s::bigint[])"
        parameters.append(array_literal(list(ids)))
    rows = connection.execute(query.encode(), parameters).fetchall()
    if kind is Person:
        at = list(FACT_TYPES[Table.PERSON].__struct_fields__).index("national_id")
        rows = [(*row[:at], None if row[at] is None else NationalId(row[at]), *row[at + 1 :]) for row in rows]
    return [kind(*row) for row in rows]


def _ids(connection: Connection, query: str, parameters: dict[str, Any]) -> list[int]:
    return [row[0] for row in connection.execute(query.encode(), parameters).fetchall()]


# A group comes and goes by its own dates, moved by the target's days of lead and grace. When no day has passed, dates
# bear on nobody, since nothing compares with null. Last: a school's new number may be what a group is already called.
_GROUPS: Final = """
select unnest(%(groups)s::bigint[]) as id
union select id from imsfeed.course_group where owner_id = %(owner)s and school_id = any (%(schools)s::bigint[])
union select id from imsfeed.course_group
       where owner_id = %(owner)s and starts_on > %(told)s::date + %(lead)s::int
         and starts_on <= %(today)s::date + %(lead)s::int
union select id from imsfeed.course_group
       where owner_id = %(owner)s and ends_on >= %(told)s::date - %(grace)s::int
         and ends_on < %(today)s::date - %(grace)s::int
union select id from imsfeed.exclusion where target_id = %(target)s and kind = 2 and reason = 'duplicate_id'
union select group_id from imsfeed.published
       where target_id = %(target)s and kind = 2 and group_id is not null and id like 'school-%%'
         and cardinality(%(schools)s::bigint[]) > 0
"""

# An enrolment's own dates are not moved: on days of lead and grace a group has the members of its first or last day.
# Last: with a school that is no longer told as a group go all its members, even if their employment is not there now.
_PERSONS: Final = """
select unnest(%(persons)s::bigint[]) as id
union select person_id from imsfeed.enrolment where owner_id = %(owner)s and group_id = any (%(groups)s::bigint[])
union select person_id from imsfeed.published where target_id = %(target)s and group_id = any (%(groups)s::bigint[])
         and person_id is not null
union select person_id from imsfeed.employee where owner_id = %(owner)s and school_id = any (%(schools)s::bigint[])
union select person_id from imsfeed.enrolment
       where owner_id = %(owner)s and starts_on > %(told)s::date and starts_on <= %(today)s::date
union select person_id from imsfeed.enrolment
       where owner_id = %(owner)s and ends_on >= %(told)s::date and ends_on < %(today)s::date
union select id from imsfeed.exclusion where target_id = %(target)s and kind = 1 and reason = 'duplicate_id'
union select member.person_id from imsfeed.published school
  join imsfeed.published member on member.target_id = school.target_id and member.kind = 3 and member.id = school.id
 where school.target_id = %(target)s and school.kind = 2 and school.group_id is null and school.id like 'school-%%'
   and cardinality(%(schools)s::bigint[]) > 0
   and not exists (select from imsfeed.school known
                    where known.owner_id = %(owner)s and school.id = 'school-' || btrim(known.school_no))
"""

_SAME_NATIONAL_ID: Final = """
select unnest(%(persons)s::bigint[]) as id
union select twin.id from imsfeed.person one
  join imsfeed.person twin
    on twin.owner_id = one.owner_id
   and regexp_replace(twin.national_id, '\\D', '', 'g') = regexp_replace(one.national_id, '\\D', '', 'g')
 where one.owner_id = %(owner)s and one.id = any (%(persons)s::bigint[]) and one.national_id is not null
   and twin.national_id is not null
"""

_CALLED: Final = """
select id from imsfeed.person
 where owner_id = %(owner)s and national_id is not null
   and regexp_replace(national_id, '\\D', '', 'g') = any (%(ids)s::text[])
"""

_ALL_PERSONS: Final = """
select id from imsfeed.person where owner_id = %(owner)s
union select person_id from imsfeed.published where target_id = %(target)s and person_id is not null
union select id from imsfeed.exclusion where target_id = %(target)s and kind = 1
order by 1
"""

_ALL_GROUPS: Final = """
select id from imsfeed.course_group where owner_id = %(owner)s
union select group_id from imsfeed.published where target_id = %(target)s and group_id is not null
union select id from imsfeed.exclusion where target_id = %(target)s and kind = 2
order by 1
"""
