"""Which message of a batch goes to quarantine when the state database refuses a row."""

from collections.abc import Iterable

import psycopg
import pytest

from consumers.materialize.apply import materialize_once
from consumers.materialize.batch import Message, Outcome, Progress, Refused
from ims.source.events import Envelope, Source, Transaction, encode
from ims.source.mapping import REFERENCE_MAPPING
from tests.support.builders import a_person
from tests.support.pipeline import row_of


class RefusingStore:
    """A store that raises *error* for every batch that has one of the *hostile* persons."""

    def __init__(self, error: Exception, *hostile: int) -> None:
        self.error = error
        self.hostile = set(hostile)
        self.applied: list[int] = []
        self.refused: list[int] = []

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        del partition, start
        persons = [key.id for _, key in outcome.rows]
        if self.hostile & set(persons):
            raise self.error
        self.applied += persons
        return []

    def refuse(self, partition: int, start: int, outcome: Outcome, refused: Iterable[Refused]) -> None:
        del partition, start
        assert len(list(refused)) == 1
        self.refused += [key.id for _, key in outcome.rows]


def messages(count: int) -> list[Message]:
    return [
        Message(
            number - 1,
            b"key",
            encode(
                Envelope(
                    source=Source(schema="public", table="person", epoch=1),
                    op="c",
                    after=row_of(a_person(number)),
                    transaction=Transaction(f"7:{number}", 1, 1, last=True),
                )
            ),
        )
        for number in range(1, count + 1)
    ]


def materialize(store: RefusingStore, count: int) -> list[Refused]:
    return materialize_once(store, 0, messages(count), Progress(0), REFERENCE_MAPPING, 0)[1]


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.ProgramLimitExceeded(),
        psycopg.errors.CharacterNotInRepertoire(),
        psycopg.errors.CheckViolation(),
        psycopg.errors.RaiseException(),
        psycopg.errors.InternalError_(),
        psycopg.DataError("PostgreSQL text fields cannot contain NUL"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        OverflowError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_row_that_cannot_be_written_stops_no_other(error: Exception) -> None:
    store = RefusingStore(error, 3, 8)
    refused = materialize(store, 9)
    assert store.applied == [1, 2, 4, 5, 6, 7, 9]
    assert store.refused == [3, 8]
    assert [one.message.offset for one in refused] == [2, 7]
    assert {one.reason for one in refused} == {"impossible_value"}


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DiskFull(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.QueryCanceled(),
        psycopg.errors.ReadOnlySqlTransaction(),
        psycopg.errors.UndefinedTable(),
        psycopg.OperationalError("server closed the connection"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_row_is_put_aside_for_an_outage_or_defect(error: Exception) -> None:
    store = RefusingStore(error, 3)
    with pytest.raises(type(error)):
        materialize(store, 9)
    assert store.refused == []
