"""An event's bytes are those of its whole envelope, although parts of it are reused between events."""

from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ims.source.events import Envelope, Source, Transaction, decode, encode
from producers.events.ordered_events import VERSION, KafkaMessage, OrderedEvents, Origin, RowEvent, TransactionContext
from producers.source.captured_table import CapturedTable, TableName

COUNTS = st.integers(0, 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
ROWS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS, max_size=6)
TABLES = st.builds(
    lambda name, keys: CapturedTable(name, "owner_id", tuple(keys), ()), st.builds(TableName, TEXTS, TEXTS), st.just(())
)
CONTEXTS = st.builds(
    TransactionContext, TEXTS, COUNTS, COUNTS, st.none() | COUNTS, st.booleans(), st.none() | st.integers(-9, 9)
)


class Added(NamedTuple):
    """An event of one of two tables, in one of three partitions, and its LSN."""

    table: int
    op: str
    key: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    partition: int
    lsn: int


ADDED = st.builds(
    Added,
    st.integers(0, 1),
    st.sampled_from("cudrt"),
    ROWS,
    st.none() | ROWS,
    st.none() | ROWS,
    st.integers(0, 2),
    COUNTS,
)


def alone(origin: Origin, context: TransactionContext, tables: list[CapturedTable], added: list[Added]) -> list[Any]:
    """Return partition, key and value of every event, each encoded alone, in the order in which they were added."""
    ends = {event.partition: number for number, event in enumerate(added)}
    found = []
    for number, event in enumerate(added):
        name = tables[event.table].name
        last = ends[event.partition] == number
        of_table = [one for one in added[: number + 1] if tables[one.table].name == name]
        loading = "last" if last else "true"
        source = Source(
            version=VERSION,
            name="imsfeed",
            ts_ms=context.committed_ms,
            snapshot=loading if context.loading else "false",
            db=origin.database,
            sequence=f'["{context.commit_lsn}","{event.lsn}"]',
            schema=name.schema,
            table=name.table,
            txId=context.transaction_id,
            lsn=event.lsn,
            epoch=origin.epoch,
            resync_owner=msgspec.UNSET if context.resync_owner is None else context.resync_owner,
        )
        envelope = Envelope(
            before=event.before,
            after=event.after,
            source=source,
            op=event.op,
            ts_ms=context.committed_ms,
            transaction=Transaction(
                f"{context.prefix}:{context.commit_lsn}", number + 1, len(of_table), last=last or None
            ),
        )
        found.append((event.partition, msgspec.json.encode({"table": name.table, **event.key}), encode(envelope)))
    return found


@given(
    st.builds(Origin, TEXTS, COUNTS), CONTEXTS, st.lists(TABLES, min_size=2, max_size=2), st.lists(ADDED, max_size=8)
)
def test_an_event_has_the_bytes_of_its_envelope_encoded_alone(
    origin: Origin, context: TransactionContext, tables: list[CapturedTable], added: list[Added]
) -> None:
    events = OrderedEvents(origin, context)
    ready: list[KafkaMessage | None] = []
    for table, op, key, before, after, partition, lsn in added:
        ready.append(events.add(RowEvent(tables[table], op, key, before, after, partition), lsn))
    messages = [one for one in [*ready, *events.finish()] if one is not None]
    expected = alone(origin, context, tables, added)
    for partition in range(3):
        found = [(one.partition, one.key, one.value) for one in messages if one.partition == partition]
        assert found == [one for one in expected if one[0] == partition]


def test_an_event_with_quoted_names_is_decoded_unchanged() -> None:
    table = CapturedTable(TableName("public", 'a "quoted" % name'), "owner_id", ("id",), ())
    events = OrderedEvents(Origin('ad"m%d', 3), TransactionContext("7", 1000, 5, 7))
    assert events.add(RowEvent(table, "u", {"id": 1}, {"id": 1}, {"id": 1, "name": "Åse"}, 0), 901) is None
    (message,) = events.finish()
    change = decode(message.value)
    assert change is not None
    assert (change.table, change.op, change.before, change.after) == (
        'a "quoted" % name',
        "u",
        {"id": 1},
        {"id": 1, "name": "Åse"},
    )
    assert change.position == (3, 1000, 1)
    assert change.ends_transaction
