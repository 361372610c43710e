"""A source that capture has loaded, with a backlog that several readers can take, each from the same position."""

import uuid
from typing import Final, LiteralString

from psycopg import sql

from tests.builders import a_birth_number, a_group, a_school, an_owner
from tests.installation import Installation, insert
from tests.waiting import until

TABLES: Final = ("owner", "school", "person", "employee", "course_group", "enrolment")
_OWNERS: Final = 15
_ROWS_EACH: Final = 4
"""Rows of a small transaction."""

_SMALL: Final = """
do $$
begin
    for n in {first}..{last} loop
        if n % 4 = 0 then
            update person set email = 'changed@example.org' where owner_id = (n - 1) % {owners} + 1 and id = n - 1;
            update enrolment set status = 'ended', ends_on = date '2026-10-01'
             where owner_id = (n - 1) % {owners} + 1 and id between n * 3 - 3 and n * 3 - 1;
        else
            insert into person (owner_id, id, national_id, given_name, family_name, birth_date, email)
            values (n % {owners} + 1, n, {national_id}, 'Ada', 'Testesen ' || n, date '1970-01-01' + n % 9000,
                    'ada.' || n || '@example.org');
            insert into enrolment (owner_id, id, person_id, group_id, role, starts_on)
            select n % {owners} + 1, n * 3 + k, n, 1, 'learner', date '2026-08-17' from generate_series(0, 2) as k;
        end if;
        commit;
    end loop;
end $$
"""
_LARGE: Final = """
with new as (
    insert into person (owner_id, id, national_id, given_name, family_name, birth_date, email)
    select n % {owners} + 1, n, {national_id}, 'Ada', 'Testesen ' || n, date '1970-01-01' + n % 9000,
           'ada.' || n || '@example.org'
      from generate_series({first}, {last}) as n
    returning owner_id, id
)
insert into enrolment (owner_id, id, person_id, group_id, role, starts_on)
select owner_id, id * 3 + k, id, 1, 'learner', date '2026-08-17' from new, generate_series(0, 2) as k
"""


class CapturedSource:
    """The source of an installation, from the end of its initial load on.

    Args:
        installation: whose source has the reference schema, and nothing else.
    """

    def __init__(self, installation: Installation) -> None:
        self._source = installation.source
        self._slot = installation.environment["SOURCE_SLOT"]
        self._base = f"{self._slot}_base"
        insert(self._source, *(an_owner(owner_id=number + 1, orgnr=None) for number in range(_OWNERS)))
        insert(self._source, a_school(), a_group())
        installation.imsfeed("setup", "source")
        installation.start("capture")
        until(self._is_loaded, within=60, what=f"the source is loaded; {installation.last_lines()}")
        installation.stop("capture")
        self._source.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [self._base])

    def _is_loaded(self) -> bool:
        query = "select loaded_at is not null from imsfeed.capture where slot_name = %s"
        return self._source.execute(query, [self._slot]).fetchone() == (True,)

    def write_backlog(self, rows: int) -> int:
        """Commit about *rows* changes, and return how many they are.

        A third of them are one transaction, in the middle; the others are transactions of four rows, a person with
        three enrolments each, every fourth of which changes those of the transaction before.
        """
        transactions = max(rows // _ROWS_EACH, 3)
        large = transactions // 3
        before = (transactions - large) // 2
        # Only the writer is in a hurry; what is read from the log is the same.
        self._source.execute("set synchronous_commit = off")
        self._write(_SMALL, 1, before)
        self._write(_LARGE, before + 1, before + large)
        # The first of these must not change the person of a transaction that was none of the small ones.
        first = (before + large + 4) // 4 * 4 + 1
        self._write(_SMALL, first, first + transactions - before - large - 1)
        self._source.execute("set synchronous_commit = on")
        self._source.execute("vacuum (analyze) person, enrolment")  # now, and not while somebody is measured
        self._source.execute("checkpoint")
        return transactions * _ROWS_EACH

    def _write(self, statement: LiteralString, first: int, last: int) -> None:
        self._source.execute(
            sql.SQL(statement).format(first=first, last=last, owners=_OWNERS, national_id=a_birth_number())
        )

    def slot_of_its_own(self) -> str:
        """Another slot that stands before the backlog, as if capture had confirmed all until then."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        self._source.execute("select pg_copy_logical_replication_slot(%s, %s)", [self._base, name])
        self._source.execute(
            "insert into imsfeed.capture (slot_name, epoch, loaded_at, loaded_lsn, loaded_rows, confirmable_lsn)"
            " select s.slot_name, c.epoch, c.loaded_at, c.loaded_lsn, c.loaded_rows, s.confirmed_flush_lsn"
            " from imsfeed.capture c, pg_replication_slots s where c.slot_name = %s and s.slot_name = %s",
            [self._slot, name],
        )
        return name
