"""School owners for the benchmarks of a whole installation, and changes that an importer can recognise.

Every learner is in three groups. A change is one row of one person: a name, a group left, or a group joined, in turn.
Each person is changed once per round. So no change waits for an approval, and every change is published as one record.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from ims.source.facts import Fact
from tests.chaos.workload.school_owner import orgnr_of
from tests.support.builders import a_duf_number, a_group, a_person, a_school, an_enrolment, an_owner
from tests.support.pipeline import row_of, table_of

_MEMBERSHIPS: Final = 3
_GROUP_SIZE: Final = 25
_NAMES: Final = ("Beate", "Cecilie")
ROUNDS: Final = 3 * len(_NAMES)
"""In three rounds every person gets another name, leaves a group and joins one."""

Source = psycopg.Connection[tuple[Any, ...]]


class Change(NamedTuple):
    """One changed row of the source, and the key of the record that is published for it."""

    statement: str
    values: Sequence[Any]
    key: RecordKey


class School:
    """An owner with a number of learners.

    Args:
        owner: its ``owner_id``.
        persons: learners, with running numbers from 1 on.
    """

    def __init__(self, owner: int, persons: int) -> None:
        self.owner = owner
        self.orgnr = orgnr_of(owner)
        self._persons = persons
        self._groups = max(_MEMBERSHIPS + 1, persons * _MEMBERSHIPS // _GROUP_SIZE)

    def fill(self, source: Source) -> None:
        """Write the owner into an empty source."""
        with source.transaction(), source.cursor() as cursor:
            of = {"owner_id": self.owner}
            _copy(cursor, [an_owner(**of, orgnr=self.orgnr)])
            _copy(cursor, [a_school(1, **of)])
            _copy(cursor, [a_group(number, **of) for number in range(1, self._groups + 1)])
            numbers = range(1, self._persons + 1)
            _copy(cursor, [a_person(one, **of, national_id=a_duf_number(one)) for one in numbers])
            places = [(one, place) for one in numbers for place in range(_MEMBERSHIPS)]
            _copy(cursor, [self._enrolment(one, place) for one, place in places])

    def changes(self, round_: int = 0) -> Iterator[Change]:
        """Yield one change per person; run the :data:`ROUNDS` rounds from 0 on, each once and in order."""
        kinds = (self._renamed, self._left, self._joined)
        for person in range(1, self._persons + 1):
            time, kind = divmod(round_, len(kinds))
            yield kinds[(person + kind) % len(kinds)](person, time)

    def _renamed(self, person: int, time: int) -> Change:
        statement = "update person set given_name = %s where (owner_id, id) = (%s, %s)"
        values = (f"Ada {_NAMES[time]}", self.owner, person)
        return Change(statement, values, RecordKey(RecordKind.PERSON, a_duf_number(person)))

    def _left(self, person: int, time: int) -> Change:
        statement = "update enrolment set status = 'ended' where (owner_id, id) = (%s, %s)"
        return Change(statement, (self.owner, _enrolment_id(person, time)), self._membership(person, time))

    def _joined(self, person: int, time: int) -> Change:
        row = row_of(self._enrolment(person, _MEMBERSHIPS + time))
        statement = f"insert into enrolment ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})"  # noqa: S608 - names of fields
        return Change(statement, list(row.values()), self._membership(person, _MEMBERSHIPS + time))

    def _membership(self, person: int, place: int) -> RecordKey:
        group = f"group-{self._group(person, place)}"
        return RecordKey(RecordKind.MEMBERSHIP, group, a_duf_number(person))

    def _enrolment(self, person: int, place: int) -> Fact:
        number, group = _enrolment_id(person, place), self._group(person, place)
        return an_enrolment(number, person=person, group=group, owner_id=self.owner)

    def _group(self, person: int, place: int) -> int:
        return (person * _MEMBERSHIPS + place) % self._groups + 1


def _enrolment_id(person: int, place: int) -> int:
    return person * (_MEMBERSHIPS + len(_NAMES)) + place


def _copy(cursor: psycopg.Cursor[tuple[Any, ...]], facts: Sequence[Fact]) -> None:
    columns = list(row_of(facts[0]))
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table_of(facts[0])), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(statement) as copy:
        for fact in facts:
            copy.write_row(list(row_of(fact).values()))
