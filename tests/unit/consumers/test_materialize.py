"""What materialize does when things are not as they should be."""

from collections.abc import Iterable

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from consumers.batch import Message, Outcome, Progress, Refused
from consumers.materialize import ConsumerStalledError, _Session, materialize_once
from ims.events import Envelope, Source, Transaction, encode
from ims.facts import Table
from ims.mapping import REFERENCE_MAPPING
from ims.runtime.metrics import MaterializeMetrics
from ims.runtime.settings import Settings
from tests.doubles import MemoryFacts


class Choosy(MemoryFacts):
    """A state database that finds the name "bad" impossible, as PostgreSQL may find what our own checks let through."""

    def apply(self, partition: int, start: int, outcome: Outcome) -> list[Refused]:
        if any((row.values or {}).get("name") == "bad" for row in outcome.rows.values()):
            raise psycopg.DataError
        return super().apply(partition, start, outcome)


def a_school(lsn: int, name: str) -> bytes:
    return encode(
        Envelope(
            source=Source(schema="public", table="school", epoch=1),
            op="c",
            after={"owner_id": 1, "id": lsn, "school_no": None, "orgnr": None, "name": name},
            transaction=Transaction(f"7:{lsn}", 1, 1, last=True),
        )
    )


def deliver(store: MemoryFacts, names: Iterable[str]) -> tuple[Outcome, list[Refused]]:
    messages = [Message(n, None, a_school(n + 1, name)) for n, name in enumerate(names)]
    return materialize_once(store, 0, messages, store.begin(0, 0), REFERENCE_MAPPING, 0)


@pytest.mark.parametrize("place", range(7))
def test_a_value_that_only_postgresql_refuses_costs_its_own_message_alone(place: int) -> None:
    names = ["good"] * 7
    names[place] = "bad"
    store = Choosy()
    outcome, refused = deliver(store, names)
    assert [(one.message.offset, one.reason) for one in refused] == [(place, "impossible_value")]
    assert outcome.progress.next_offset == 7
    assert len(store.rows(Table.SCHOOL)) == 6
    assert store.quarantine_size() == 1


def a_session() -> _Session:
    session = _Session(Settings.model_validate({}), MaterializeMetrics(CollectorRegistry()), REFERENCE_MAPPING)
    session._progress = {0: Progress(5)}
    return session


def test_a_partition_that_lies_still_while_messages_wait_is_a_stall() -> None:
    session = a_session()
    session._see_that_it_moves(0, lag=3, now=100)
    session._see_that_it_moves(0, lag=3, now=129)
    with pytest.raises(ConsumerStalledError, match="stands at 5 with 3 messages after it"):
        session._see_that_it_moves(0, lag=3, now=130)
    assert session._metrics.consumer_stalls._value.get() == 1


def test_a_partition_that_moves_or_has_nothing_to_do_is_none() -> None:
    session = a_session()
    session._see_that_it_moves(0, lag=3, now=100)
    session._progress = {0: Progress(6)}
    session._see_that_it_moves(0, lag=3, now=129)
    session._see_that_it_moves(0, lag=3, now=150)
    session._see_that_it_moves(0, lag=0, now=200)
    session._see_that_it_moves(0, lag=3, now=210)
