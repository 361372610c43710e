import itertools
from typing import Any

import msgspec
import pytest

from ims.source.events import UNAVAILABLE, Change, Position, decode
from producers.events.change_events import ChangeStream, load_event, partition_of
from producers.events.ordered_events import KafkaMessage, OrderedEvents, Origin, TransactionContext
from producers.source.captured_table import CapturedTable, TableName
from producers.source.pgoutput import Commit, ProtocolError
from tests.unit.producers.source import pgoutput_bytes as pg
from tests.unit.producers.source.pgoutput_bytes import PERSON

PARTITIONS = 4
ORIGIN = Origin("adm", epoch=3)
PERSON_NAME = TableName("public", "person")
TABLE = CapturedTable(PERSON_NAME, "owner_id", ("owner_id", "id"), ("owner_id", "id", "name"))


def a_stream(table: CapturedTable = TABLE) -> ChangeStream:
    stream = ChangeStream(ORIGIN, {PERSON_NAME: table}, PARTITIONS)
    assert list(stream.feed(1, pg.relation())) == []
    return stream


def sent(stream: ChangeStream, *changes: bytes) -> list[KafkaMessage]:
    """Return the messages of one transaction with these changes."""
    whole = (pg.begin(), *changes, pg.commit())
    items = [item for lsn, data in enumerate(whole, 900) for item in stream.feed(lsn, data)]
    return [item for item in items if isinstance(item, KafkaMessage)]


def read(message: KafkaMessage) -> Change:
    change = decode(message.value)
    assert change is not None
    return change


def envelope(message: KafkaMessage) -> Any:
    return msgspec.json.decode(message.value)


def test_a_new_row_goes_to_the_partition_of_its_owner() -> None:
    (message,) = sent(a_stream(), pg.insert(PERSON, pg.a_person(owner=9, id=1)))
    assert message.partition == 9 % PARTITIONS
    assert message.key == b'{"table":"person","owner_id":9,"id":1}'
    assert read(message).op == "c"
    assert read(message).after == {"owner_id": 9, "id": 1, "name": "Ada", "born": "1990-01-08", "protected": False}


def test_the_source_block_says_where_the_change_comes_from() -> None:
    (message,) = sent(a_stream(), pg.insert(PERSON, pg.a_person()))
    source = envelope(message)["source"]
    assert source.pop("version")
    assert source == {
        "ts_ms": 946_684_800_000,
        "db": "adm",
        "name": "imsfeed",
        "sequence": '["1000","901"]',
        "schema": "public",
        "table": "person",
        "connector": "postgresql",
        "snapshot": "false",
        "txId": 7,
        "lsn": 901,
        "epoch": 3,
    }
    assert read(message).position == Position(epoch=3, lsn=1000, ordinal=1)


def test_an_update_contains_the_old_row_if_it_is_known() -> None:
    without, whole = sent(
        a_stream(),
        pg.update(PERSON, pg.a_person(name=b"Eva")),
        pg.update(PERSON, pg.a_person(name=b"Eva"), old=(b"O", pg.a_person(name=b"Ada"))),
    )
    assert (read(without).op, read(without).before) == ("u", None)
    before = read(whole).before
    assert read(whole).op == "u"
    assert before is not None
    assert before["name"] == "Ada"


def test_a_delete_goes_to_the_old_owners_partition() -> None:
    (message,) = sent(a_stream(), pg.delete(PERSON, b"K", [b"6", b"1", None, None, None]))
    assert message.partition == 6 % PARTITIONS
    assert (read(message).op, read(message).before, read(message).after) == ("d", {"owner_id": 6, "id": 1}, None)
    assert message.key == b'{"table":"person","owner_id":6,"id":1}'


@pytest.mark.parametrize("kind", [b"K", b"O"])
def test_a_row_moved_to_another_owner_is_deleted_and_created(kind: bytes) -> None:
    move = pg.update(PERSON, pg.a_person(owner=6), old=(kind, pg.a_person(owner=9)))
    deleted, created = sorted(sent(a_stream(), move), key=lambda message: read(message).position)
    assert (read(deleted).op, deleted.partition) == ("d", 1)
    assert (read(created).op, created.partition) == ("c", 2)
    assert [read(deleted).position.ordinal, read(created).position.ordinal] == [1, 2]
    assert read(deleted).ends_transaction
    assert read(created).ends_transaction


def test_a_changed_owner_moves_a_row_whose_key_lacks_it() -> None:
    table = CapturedTable(PERSON_NAME, "owner_id", ("id",), ())
    move = pg.update(PERSON, pg.a_person(owner=6), old=(b"O", pg.a_person(owner=9)))
    assert {(read(m).op, m.partition, m.key) for m in sent(a_stream(table), move)} == {
        ("d", 1, b'{"table":"person","id":1}'),
        ("c", 2, b'{"table":"person","id":1}'),
    }


def test_a_changed_identity_column_outside_the_key_stays_an_update() -> None:
    columns = [("owner_id", pg.INT4, True), ("id", pg.INT8, False), ("name", pg.TEXT, True)]
    stream = ChangeStream(ORIGIN, {PERSON_NAME: CapturedTable(PERSON_NAME, "owner_id", ("id",), ())}, PARTITIONS)
    list(stream.feed(1, pg.relation(columns=columns)))
    (message,) = sent(stream, pg.update(PERSON, [b"9", b"1", b"Eva"], old=(b"K", [b"9", None, b"Ada"])))
    assert (read(message).op, read(message).before) == ("u", {"owner_id": 9, "name": "Ada"})


def test_the_owner_may_be_in_another_column() -> None:
    table = CapturedTable(PERSON_NAME, "id", ("id",), ())
    (message,) = sent(a_stream(table), pg.insert(PERSON, pg.a_person(owner=9, id=6)))
    assert message.partition == 6 % PARTITIONS


def test_an_unsent_value_is_the_old_rows_or_unavailable() -> None:
    new = pg.a_person(name=pg.NOT_SENT)
    unknown, known = sent(a_stream(), pg.update(PERSON, new), pg.update(PERSON, new, old=(b"O", pg.a_person())))
    assert envelope(unknown)["after"]["name"] == UNAVAILABLE
    assert envelope(known)["after"]["name"] == "Ada"


def test_only_the_last_event_of_each_partition_ends_the_transaction() -> None:
    owners = [1, 2, 1, 2, 2, 3]
    messages = sent(a_stream(), *(pg.insert(PERSON, pg.a_person(owner, row)) for row, owner in enumerate(owners)))
    ends = {(m.partition, read(m).position.ordinal) for m in messages if read(m).ends_transaction}
    assert ends == {(1, 3), (2, 5), (3, 6)}


def test_positions_increase_within_each_partition() -> None:
    owners = [1, 2, 1, 2, 2, 3]
    messages = sent(a_stream(), *(pg.insert(PERSON, pg.a_person(owner, row)) for row, owner in enumerate(owners)))
    assert sorted(read(m).position.ordinal for m in messages) == [1, 2, 3, 4, 5, 6]
    for partition in range(PARTITIONS):
        of_partition = [read(m).position for m in messages if m.partition == partition]
        assert all(one < other for one, other in itertools.pairwise(of_partition))


def test_a_transaction_sent_again_gives_the_same_messages() -> None:
    changes = [pg.insert(PERSON, pg.a_person(owner, 1)) for owner in (1, 2, 1)]
    assert sent(a_stream(), *changes) == sent(a_stream(), *changes)


def test_events_are_numbered_per_table_too() -> None:
    stream = a_stream()
    list(stream.feed(1, pg.relation(5, table="school")))
    messages = sent(stream, *(pg.insert(relation, pg.a_person(owner=4)) for relation in (PERSON, 5, PERSON, PERSON, 5)))
    numbers = [envelope(message)["transaction"]["data_collection_order"] for message in messages]
    assert numbers == [1, 1, 2, 3, 2]


def test_a_truncate_is_one_event() -> None:
    (message,) = sent(a_stream(), pg.truncate(PERSON))
    assert message.partition == 0
    assert (read(message).op, read(message).after, read(message).ends_transaction) == ("t", None, True)


def test_a_row_without_an_owner_is_not_lost() -> None:
    (message,) = sent(a_stream(), pg.insert(PERSON, [None, *pg.a_person()[1:]]))
    assert message.partition == 0
    assert partition_of("a text", PARTITIONS) == 0


def test_an_unknown_table_is_published_by_its_replica_identity() -> None:
    stream = a_stream()
    list(stream.feed(1, pg.relation(5, table="room", columns=[("owner_id", pg.INT4, True), ("n", pg.INT4, False)])))
    (message,) = sent(stream, pg.insert(5, [b"6", b"1"]))
    assert (message.key, message.partition) == (b'{"table":"room","owner_id":6}', 2)


def test_a_commit_comes_after_all_of_its_messages() -> None:
    stream = a_stream()
    list(stream.feed(1, pg.begin()))
    assert stream.in_transaction
    list(stream.feed(2, pg.insert(PERSON, pg.a_person())))
    message, commit = stream.feed(3, pg.commit(end_lsn=1048))
    assert isinstance(message, KafkaMessage)
    assert commit == Commit(1048)
    assert not stream.in_transaction


@pytest.mark.parametrize("data", [pg.insert(PERSON, pg.a_person()), pg.commit()])
def test_a_change_outside_a_transaction_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(a_stream().feed(1, data))


def test_a_transaction_inside_another_one_is_an_error() -> None:
    stream = a_stream()
    list(stream.feed(1, pg.begin()))
    with pytest.raises(ProtocolError):
        list(stream.feed(2, pg.begin()))


def test_loaded_rows_are_one_transaction_that_ends_in_every_partition() -> None:
    events = OrderedEvents(ORIGIN, TransactionContext("load", 500, 0, None, loading=True))
    rows = [{"owner_id": owner, "id": 1} for owner in (1, 2, 1)]
    early = [events.add(load_event(TABLE, row, PARTITIONS), 501) for row in rows]
    messages = [message for message in [*early, *events.finish()] if message is not None]
    assert [(read(m).op, read(m).loading, read(m).ends_transaction) for m in messages] == [
        ("r", True, False),
        ("r", True, True),
        ("r", True, True),
    ]
    assert [envelope(m)["source"]["snapshot"] for m in messages] == ["true", "last", "last"]
    assert read(messages[0]).position == Position(epoch=3, lsn=500, ordinal=1)
