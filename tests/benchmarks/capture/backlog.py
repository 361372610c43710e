"""A backlog for capture: rows committed while no process read the slot, in small transactions and one large one.

>>> Backlog(1_000).transactions, Backlog(1_000).large
(120, 400)
"""

from typing import Any, Final

import msgspec
import psycopg

OWNERS: Final = 40
"""Enough for several owners in every partition."""
_ROWS_EACH: Final = 5
"""Rows of a small transaction: a person is inserted, three enrolments, and the person is updated."""

_PREPARE: Final = """
insert into owner select number, null, 'Kommune ' || number from generate_series(1, {owners}) as number;
insert into school select number, 1, null, null, 'Voksenopplæringen' from generate_series(1, {owners}) as number;
insert into course_group
    select owner, number, 1, 'B' || number, 'Norsk B' || number, 'norsk', 'class', null, null, true
    from generate_series(1, {owners}) as owner, generate_series(1, 50) as number;

create procedure small_transactions(first bigint, last bigint) language plpgsql as $$
begin
    for number in first .. last loop
        insert into person values (
            number % {owners} + 1, number, null, 'Ada', 'Testesen ' || number, '1990-01-08',
            'ada' || number || '@example.org', null, 'ada' || number || '@fjordvik.example'
        );
        insert into enrolment
            select number % {owners} + 1, number * 3 + place, number, place + 1, 'learner', '2026-08-01', null
            from generate_series(0, 2) as place;
        update person set mobile = '+47 00 00 00 00' where owner_id = number % {owners} + 1 and id = number;
        commit;
    end loop;
end $$;
"""
_LARGE: Final = """
insert into enrolment
select number %% {owners} + 1, number, number, number %% 50 + 1, 'learner', '2026-08-01', '2027-06-18'
from generate_series(1000000000, 1000000000 + %s - 1) as number
"""
_BY_PARTITION: Final = """
select owner_id %% %s, sum(changes)::bigint
from (
    select owner_id, count(*) * 2 as changes from person group by 1
    union all
    select owner_id, count(*) from enrolment group by 1
)
group by 1
"""


class Backlog(msgspec.Struct, frozen=True):
    """The size of a backlog: six of ten rows in small transactions of five rows, the rest in one transaction between.

    Attributes:
        rows: the total; each is one event.
    """

    rows: int

    @property
    def transactions(self) -> int:
        """The number of small transactions."""
        return max(self.rows * 6 // 10 // _ROWS_EACH, 1)

    @property
    def large(self) -> int:
        """The rows of the large transaction."""
        return max(self.rows - self.transactions * _ROWS_EACH, 1)


def prepare(source: psycopg.Connection[Any]) -> None:
    """Insert what is there before the backlog: owners, with a school and fifty groups each."""
    source.execute(_PREPARE.format(owners=OWNERS).encode())


def commit(source: psycopg.Connection[Any], backlog: Backlog) -> None:
    """Commit the backlog; *source* is in autocommit mode."""
    source.execute("set synchronous_commit = off")  # thousands of waits for the disk would only take time
    half = backlog.transactions // 2
    source.execute("call small_transactions(1, %s)", [half])
    source.execute(_LARGE.format(owners=OWNERS).encode(), [backlog.large])
    source.execute("call small_transactions(%s, %s)", [half + 1, backlog.transactions])
    source.execute("set synchronous_commit = on")
    source.execute(
        "insert into imsfeed.heartbeat values (0, now()) on conflict (owner_id) do update set beat_at = now()"
    )


def events_by_partition(source: psycopg.Connection[Any], partitions: int) -> dict[int, int]:
    """Return how many events the backlog has in each partition that has any."""
    return dict(source.execute(_BY_PARTITION, [partitions]).fetchall())
