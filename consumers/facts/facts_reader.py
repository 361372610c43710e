"""An owner's facts in the state database, and the persons and groups that pending changes and passing days affect."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any, Final, TypeVar

from consumers.database.array_literals import array_literal
from consumers.database.sessions import Connection
from consumers.database.targets_table import Target
from consumers.facts import suppressions
from consumers.facts.pending_changes import Days, Pending, PendingChange
from ims.identifiers.national_id import NationalId
from ims.publication.gathered import Scope
from ims.source.facts import FACT_TYPES, CourseGroup, Employee, Enrolment, Fact, Facts, Owner, Person, School, Table
from ims.source.mapping import COLUMNS

T = TypeVar("T", bound=Fact)


def pending_changes(connection: Connection, owner_id: int, after: int) -> Sequence[PendingChange]:
    """Return the owner's pending changes after change *after*, in order."""
    rows = connection.execute(
        "select change_id, kind, id, committed_at, extract(epoch from clock_timestamp() - noted_at)::float8"
        " from imsfeed.pending_change where owner_id = %s and change_id > %s order by change_id",
        (owner_id, after),
    ).fetchall()
    return [PendingChange(*row) for row in rows]


def affected_groups(connection: Connection, target: Target, changes: Pending, days: Days | None) -> list[int]:
    """Return the groups that *changes* or *days* affect.

    See :meth:`consumers.publication.view.View.affected_groups`.
    """
    return _ids(connection, _GROUPS, _parameters(target, changes, changes.groups, days))


def affected_persons(
    connection: Connection, target: Target, changes: Pending, groups: Collection[int], days: Days | None
) -> list[int]:
    """Return the persons that *changes*, *groups* or *days* affect.

    See :meth:`consumers.publication.view.View.affected_persons`.
    """
    persons = _ids(connection, _PERSONS, _parameters(target, changes, groups, days))
    # Two statements: the planner has to know how many persons there are, or it compares all national ids.
    return with_same_national_id(connection, target.owner_id, persons)


def with_same_national_id(connection: Connection, owner_id: int, persons: Collection[int]) -> list[int]:
    """Return *persons* and all others with their national ids.

    See :meth:`consumers.publication.view.OwnerView.with_same_national_id`.
    """
    return _ids(connection, _SAME_NATIONAL_ID, {"owner": owner_id, "persons": array_literal(list(persons))})


def everything(connection: Connection, target: Target) -> Scope:
    """Return every person and group; see :meth:`consumers.publication.view.View.everything`."""
    parameters = {"target": target.target_id, "owner": target.owner_id}
    return Scope(_ids(connection, _ALL_PERSONS, parameters), _ids(connection, _ALL_GROUPS, parameters))


def read_facts(
    connection: Connection, owner_id: int, persons: Collection[int], groups: Collection[int] | None
) -> Facts:
    """Return the facts about *persons* and *groups*; see :meth:`consumers.publication.view.OwnerView.facts`."""
    ids = list(persons)
    owners = connection.execute(
        "select owner_id, orgnr, name from imsfeed.owner where owner_id = %s", (owner_id,)
    ).fetchall()
    enrolments = {e.id: e for e in _read(connection, Enrolment, Table.ENROLMENT, owner_id, "person_id", ids)}
    found: list[CourseGroup] = []
    if groups is not None:
        wanted = {*groups, *(enrolment.group_id for enrolment in enrolments.values())}
        found = _read(connection, CourseGroup, Table.COURSE_GROUP, owner_id, "id", wanted)
    orders = suppressions.in_force(connection, owner_id, ids)
    return Facts(
        owner=Owner(*owners[0]) if owners else None,
        schools={school.id: school for school in _read(connection, School, Table.SCHOOL, owner_id)},
        persons={p.id: p for p in _read(connection, Person, Table.PERSON, owner_id, "id", ids)},
        employees={e.id: e for e in _read(connection, Employee, Table.EMPLOYEE, owner_id, "person_id", ids)},
        groups={group.id: group for group in found},
        enrolments=enrolments,
        suppressed=orders["suppressed"],
        leave_now=orders["leave_now"],
    )


def course_groups(connection: Connection, owner_id: int) -> Facts:
    """Return all course groups and schools; see :meth:`consumers.publication.view.OwnerView.course_groups`."""
    return Facts(
        owner=None,
        schools={school.id: school for school in _read(connection, School, Table.SCHOOL, owner_id)},
        persons={},
        employees={},
        groups={group.id: group for group in _read(connection, CourseGroup, Table.COURSE_GROUP, owner_id)},
        enrolments={},
    )


def _parameters(target: Target, changes: Pending, groups: Collection[int], days: Days | None) -> dict[str, Any]:
    published: date | None
    today: date | None
    published, today, lead, grace, reserved = (
        (None, None, 0, 0, 0)
        if days is None
        else (days.published, days.today, days.lead, days.grace, days.login_reserved)
    )
    return {
        "target": target.target_id,
        "owner": target.owner_id,
        "persons": array_literal(list(changes.persons)),
        "groups": array_literal(list(groups)),
        "schools": list(changes.schools),
        "published": published,
        "today": today,
        "lead": lead,
        "grace": grace,
        "reserved": reserved,
    }


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
# affect no group, since no comparison with null is true. Last: a school's new number may be a group's published id.
_GROUPS: Final = """
select unnest(%(groups)s::bigint[]) as id
union select id from imsfeed.course_group where owner_id = %(owner)s and school_id = any (%(schools)s::bigint[])
union select id from imsfeed.course_group
       where owner_id = %(owner)s and starts_on > %(published)s::date + %(lead)s::int
         and starts_on <= %(today)s::date + %(lead)s::int
union select id from imsfeed.course_group
       where owner_id = %(owner)s and ends_on >= %(published)s::date - %(grace)s::int
         and ends_on < %(today)s::date - %(grace)s::int
union select id from imsfeed.exclusion where target_id = %(target)s and kind = 2 and reason = 'duplicate_id'
union select group_id from imsfeed.published
       where target_id = %(target)s and kind = 2 and group_id is not null and id like 'school-%%'
         and cardinality(%(schools)s::bigint[]) > 0
"""

# An enrolment's own dates are not moved: on days of lead and grace a group has the members of its first or last day.
# Last: a school that is removed as a group takes all its published members, even those who do not work there now.
_PERSONS: Final = """
select unnest(%(persons)s::bigint[]) as id
union select person_id from imsfeed.enrolment where owner_id = %(owner)s and group_id = any (%(groups)s::bigint[])
union select person_id from imsfeed.published where target_id = %(target)s and group_id = any (%(groups)s::bigint[])
         and person_id is not null
union select person_id from imsfeed.employee where owner_id = %(owner)s and school_id = any (%(schools)s::bigint[])
union select person_id from imsfeed.enrolment
       where owner_id = %(owner)s and starts_on > %(published)s::date and starts_on <= %(today)s::date
union select person_id from imsfeed.enrolment
       where owner_id = %(owner)s and ends_on >= %(published)s::date and ends_on < %(today)s::date
union select id from imsfeed.exclusion where target_id = %(target)s and kind = 1 and reason = 'duplicate_id'
union select denied.person_id from imsfeed.former_login former
  join imsfeed.login_conflict denied on denied.target_id = former.target_id and denied.login = former.login
 where former.target_id = %(target)s and former.left_on + %(reserved)s::int > %(published)s::date
   and former.left_on + %(reserved)s::int <= %(today)s::date
union select member.person_id from imsfeed.published school
  join imsfeed.published member on member.target_id = school.target_id and member.kind = 3 and member.id = school.id
 where school.target_id = %(target)s and school.kind = 2 and school.group_id is null and school.id like 'school-%%'
   and cardinality(%(schools)s::bigint[]) > 0
   and not exists (select from imsfeed.school known
                    where known.owner_id = %(owner)s and school.id = 'school-' || btrim(known.school_no))
"""

_SAME_NATIONAL_ID: Final = """
with asked as (
  select distinct imsfeed.national_number(national_id) as number from imsfeed.person
   where owner_id = %(owner)s and id = any (%(persons)s::bigint[])
     and imsfeed.national_number(national_id) is not null
)
select unnest(%(persons)s::bigint[]) as id
union select same.id from asked join imsfeed.person same
    on same.owner_id = %(owner)s and imsfeed.national_number(same.national_id) = asked.number
union select same.id from asked join imsfeed.person same
    on same.owner_id = %(owner)s and same.id >= 10000000000 and same.id::text = asked.number
union select same.id from unnest(%(persons)s::bigint[]) as long (id) join imsfeed.person same
    on same.owner_id = %(owner)s and imsfeed.national_number(same.national_id) = long.id::text
 where long.id >= 10000000000
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
