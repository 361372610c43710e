"""A state database with an owner of any size, published to its targets: made in the server, in SQL.

One person in twenty is a teacher. Every person is in three groups of some twenty: a class of persons who registered
together, and two subjects whose members are far apart in the tables, as after some years. Every number is of a
synthetic series. The published texts are made from what the product itself writes for one person and one membership, so
that a publication finds only the differences that a benchmark makes.
"""

import contextlib
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from consumers.database import sessions
from consumers.database.sessions import Connection
from consumers.database.targets_table import all_targets, apply_settings
from consumers.feed.snapshots import take_snapshot
from ims.records.model import GroupRecord, MemberRecord, PersonRecord
from ims.records.vocabulary import InstitutionRole, RoleType
from ims.targets.target_settings import TargetSettings
from ims.xml.dialect import Dialect
from ims.xml.writer import fragment
from tests.benchmarks.servers import Servers
from tests.support.builders import ORGNR, a_target

NOW: Final = datetime(2026, 10, 15, 10, tzinfo=UTC)
TODAY: Final = date(2026, 10, 15)
SOURCE: Final = f"imsfeed@{ORGNR}"
MEMBERS: Final = 20
"""Persons per group, including its teacher."""

_OWNER_NAME: Final = "Fjordvik kommune"
_SCHOOL_NAME: Final = "Fjordvik voksenopplæring"
_GIVEN: Final = ("Ada", "Bjørn", "Chidi", "Dagny", "Emeka", "Fatima", "Gülay", "Håkon", "Ingrid", "Jamal")
_FAMILY: Final = ("Testesen", "Prøvestad", "Eksempelsen", "Mønstervik", "Utkastli", "Skissebakken", "Demoen")
_CHUNK: Final = 20_000
_TABLES: Final = ("owner", "school", "person", "employee", "course_group", "enrolment", "published")


class Published(msgspec.Struct, frozen=True):
    """An owner that is published to one target, and a folder for its feed."""

    dsn: str
    connection: Connection
    root: Path
    persons: int

    def records(self) -> int:
        """Return how many records are published."""
        rows = self.connection.execute("select count(*) from imsfeed.published").fetchall()
        return int(rows[0][0])


@contextlib.contextmanager
def published_persons(servers: Servers, persons: int) -> Iterator[Published]:
    """Yield a new state database in which so many persons are published, with a snapshot of it in a folder."""
    with servers.state() as dsn, sessions.connect(dsn, "benchmark") as connection:
        fill(connection, persons)
        folder = servers.empty_folder("feed")
        take_snapshot(connection, folder, all_targets(connection)[0].target_id, NOW)
        yield Published(dsn, connection, folder, persons)


def fill(connection: Connection, persons: int, *targets: TargetSettings) -> None:
    """Insert the facts, and publish them to *targets* (one called ``lms`` unless others are given).

    Args:
        connection: in autocommit mode, to a state database with its schema and no rows.
        persons: at least 20; rounded down to whole groups.
    """
    settings = targets or (a_target(),)
    cohorts = persons // MEMBERS
    connection.execute("set synchronous_commit = off; set maintenance_work_mem = '512MB'; set work_mem = '256MB'")
    indexes = _without_indexes(connection)
    apply_settings(connection, settings, "benchmark")
    _make_facts(connection, cohorts)
    for target in settings:
        _publish(connection, target, cohorts)
    for definition in indexes:
        connection.execute(definition.encode())
    for table in (*_TABLES, "target"):
        connection.execute(f"vacuum analyze imsfeed.{table}".encode())
    connection.execute("reset synchronous_commit; reset maintenance_work_mem; reset work_mem; checkpoint")


def _without_indexes(connection: Connection) -> list[str]:
    """Drop the indexes, and return the statements that make them again: much faster than updating them meanwhile."""
    key, definition = connection.execute(
        "select conname, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'imsfeed.published'::regclass and contype = 'p'"
    ).fetchall()[0]
    connection.execute(f"alter table imsfeed.published drop constraint {key}".encode())
    rows = connection.execute(
        "select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index i"
        " where i.indrelid = any (%s::regclass[]) and not i.indisprimary",
        ([f"imsfeed.{table}" for table in _TABLES],),
    ).fetchall()
    for name, _ in rows:
        connection.execute(f"drop index {name}".encode())
    return [f"alter table imsfeed.published add constraint {key} {definition}", *(made for _, made in rows)]


def _make_facts(connection: Connection, cohorts: int) -> None:
    sizes = {"persons": cohorts * MEMBERS, "cohorts": cohorts, "members": MEMBERS}
    connection.execute(
        "insert into imsfeed.owner (owner_id, orgnr, name, source_epoch) values (1, %s, %s, 1)", (ORGNR, _OWNER_NAME)
    )
    connection.execute(
        "insert into imsfeed.school (owner_id, id, school_no, name, source_epoch)"
        " select 1, n, 'NO' || n, %s, 1 from generate_series(1, 20) n",
        (_SCHOOL_NAME,),
    )
    connection.execute(_GROUPS, sizes)
    connection.execute(_PERSONS, {**sizes, "given": list(_GIVEN), "family": list(_FAMILY)})
    connection.execute(_EMPLOYEES, sizes)
    connection.execute(_ENROLMENTS, sizes)
    connection.execute("analyze")


def _publish(connection: Connection, settings: TargetSettings, cohorts: int) -> None:
    row = connection.execute("select target_id from imsfeed.target where name = %s", (settings.name,)).fetchone()
    assert row is not None
    sizes = {"target": row[0], "cohorts": cohorts, "members": MEMBERS}
    texts = _texts(settings.dialect)
    connection.execute(_TOLD_GROUPS, sizes | texts)
    for first in range(1, cohorts * MEMBERS + 1, _CHUNK):
        chunk = {"first": first, "last": first + _CHUNK - 1}
        connection.execute(_TOLD_PERSONS, sizes | texts | chunk)
        connection.execute(_TOLD_MEMBERS, sizes | texts | chunk)
    connection.execute(
        "update imsfeed.target set recompute = false, published_settings = settings, orgnr = %(orgnr)s, source ="
        " %(source)s,"
        " dialect = %(dialect)s, head_seq = 0, head_sha256 = repeat('0', 64), head_at = %(now)s,"
        " dated_through = %(today)s, snapshot_through = %(today)s where target_id = %(target)s",
        sizes | {"orgnr": ORGNR, "source": SOURCE, "dialect": settings.dialect, "now": NOW, "today": TODAY},
    )


def _texts(dialect: Dialect) -> dict[str, str]:
    """Return formats for PostgreSQL's ``format``, made from records whose texts are its placeholders."""

    def person(*roles: InstitutionRole) -> str:
        return fragment(PersonRecord(SOURCE, "%1$s", "%2$s", "%3$s", "%4$s", "%5$s", roles), dialect=dialect)

    def member(role: RoleType) -> str:
        return fragment(MemberRecord(SOURCE, "", "%1$s", role), dialect=dialect)

    group = GroupRecord(
        SOURCE, "%1$s", "class", "%2$s", "%3$s", _OWNER_NAME, _SCHOOL_NAME, begin="2026-08-10", end="2027-06-18"
    )
    return {
        "learner": person(InstitutionRole.STUDENT),
        "teacher": person(InstitutionRole.STAFF),
        "learns": member(RoleType.LEARNER),
        "teaches": member(RoleType.INSTRUCTOR),
        "group": fragment(group, dialect=dialect),
    }


def change(connection: Connection, kind: str, ids: Collection[int]) -> None:
    """Store pending changes of these persons or groups, as materialize does."""
    connection.execute(
        "insert into imsfeed.pending_change (owner_id, kind, id, committed_at) select 1, %s, unnest(%s::bigint[]),"
        " now()",
        (kind, list(ids)),
    )


_GROUPS: Final = """
insert into imsfeed.course_group
    (owner_id, id, school_id, code, name, programme, kind, starts_on, ends_on, active, source_epoch)
select 1, n, n %% 20 + 1, 'B' || n, 'Norsk for nybegynnere ' || n, 'norsk', 'class', '2026-08-10', '2027-06-18', true, 1
  from generate_series(1, 3 * %(cohorts)s) n
"""

# Fødselsnummer of the synthetic series (month + 80): date of birth, three digits, and the two control digits as in
# ims.identifiers.birth_number. One in six would have a control digit of 10 and is skipped, hence more than needed.
_PERSONS: Final = """
with made as (
    select n, date '1940-01-01' + n %% 20000 as born, 100 + n / 20000 as individual
      from generate_series(0, %(persons)s + %(persons)s / 3 + 20) n),
digits as materialized (
    select n, born, individual, extract(day from born)::int as d, extract(month from born)::int + 80 as m,
           extract(year from born)::int %% 100 as y
      from made),
first as materialized (
    select *, (11 - (3 * (d / 10) + 7 * (d %% 10) + 6 * (m / 10) + 1 * (m %% 10) + 8 * (y / 10) + 9 * (y %% 10)
           + 4 * (individual / 100) + 5 * (individual / 10 %% 10) + 2 * (individual %% 10)) %% 11) %% 11 as k1
      from digits),
second as materialized (
    select *, (11 - (5 * (d / 10) + 4 * (d %% 10) + 3 * (m / 10) + 2 * (m %% 10) + 7 * (y / 10) + 6 * (y %% 10)
           + 5 * (individual / 100) + 4 * (individual / 10 %% 10) + 3 * (individual %% 10) + 2 * k1) %% 11) %% 11 as k2
      from first),
numbered as (
    select row_number() over (order by n) as id, born,
           lpad(d::text, 2, '0') || m || lpad(y::text, 2, '0') || individual || k1 || k2 as national_id
      from second where k1 < 10 and k2 < 10 limit %(persons)s)
insert into imsfeed.person
    (owner_id, id, national_id, given_name, family_name, birth_date, email, feide_name, protected, source_epoch)
select 1, id, national_id, (%(given)s::text[])[id %% cardinality(%(given)s::text[]) + 1],
       (%(family)s::text[])[id %% cardinality(%(family)s::text[]) + 1] || ' ' || id, born,
       'p' || id || '@example.org', 'p' || id || '@fjordvik.example', false, 1
  from numbered order by id
"""

_EMPLOYEES: Final = """
insert into imsfeed.employee (owner_id, id, person_id, school_id, kind, active, source_epoch)
select 1, n, n * %(members)s, n %% 20 + 1, 'teacher', true, 1 from generate_series(1, %(cohorts)s) n
"""

# Learners are spread over the subjects by multiplication with a prime number, so that neighbours are in different ones.
_ENROLMENTS: Final = """
insert into imsfeed.enrolment (owner_id, id, person_id, group_id, role, starts_on, status, source_epoch)
select 1, 3 * (p.id - 1) + k + 1, p.id,
       1 + k * %(cohorts)s + case when teaches or k = 0 then p.id - 1 when k = 1 then (p.id - 1) * 7919 %% %(persons)s
                                  else (p.id - 1) * 104729 %% %(persons)s end / %(members)s,
       case when teaches then 'teacher' else 'learner' end, '2026-08-10', 'active', 1
  from imsfeed.person p, generate_series(0, 2) k, lateral (select p.id %% %(members)s = 0 as teaches)
 order by p.id, k
"""

_TOLD_GROUPS: Final = """
insert into imsfeed.published (target_id, kind, id, group_id, xml)
select %(target)s, 2, 'group-' || g.id, g.id,
       format(%(group)s, 'group-' || g.id, g.code || ' (' || s.school_no || '-' || g.id || ')', g.name)
  from imsfeed.course_group g join imsfeed.school s on s.id = g.school_id order by g.id
"""

# A first publication evaluates some thousand persons at a time: the records of one person are together in the table.
_TOLD_PERSONS: Final = """
insert into imsfeed.published (target_id, kind, id, member, person_id, xml)
select %(target)s, 1, national_id, '', id,
       format(case when id %% %(members)s = 0 then %(teacher)s else %(learner)s end,
              national_id, feide_name, given_name, family_name, email)
  from imsfeed.person where id between %(first)s and %(last)s
"""
_TOLD_MEMBERS: Final = """
insert into imsfeed.published (target_id, kind, id, member, person_id, group_id, xml)
select %(target)s, 3, 'group-' || e.group_id, p.national_id, p.id, e.group_id,
       format(case when e.role = 'teacher' then %(teaches)s else %(learns)s end, p.national_id)
  from imsfeed.enrolment e join imsfeed.person p on p.id = e.person_id where p.id between %(first)s and %(last)s
   and e.id between 3 * %(first)s - 2 and 3 * %(last)s
"""
