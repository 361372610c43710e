"""The decoder and the replication connection, against a real PostgreSQL."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from ims.runtime.lifecycle import Stop
from producers.source import sessions
from producers.source.catalog import Connection
from producers.source.pgoutput import (
    UNCHANGED,
    Begin,
    Commit,
    Decoder,
    Delete,
    Insert,
    Message,
    Relation,
    Truncate,
    Update,
)
from producers.source.replication import Data, StoppedError, Walsender, lsn_of, lsn_text


@pytest.fixture
def source(source_dsn: str) -> Iterator[Connection]:
    with sessions.connect(source_dsn, "test") as connection:
        connection.execute("create publication changes for all tables")
        yield connection


class Stream:
    """A slot, and the decoded messages of its stream."""

    def __init__(self, dsn: str) -> None:
        self.stop = Stop()
        self.slot = f"test_{uuid.uuid4().hex[:12]}"
        self.walsender = Walsender(dsn, self.stop, lambda: None)
        self.decoder = Decoder()
        self.snapshot = self.walsender.create_slot(self.slot)

    def start(self) -> None:
        self.walsender.start(self.slot, "changes")

    def transaction(self) -> list[Message]:
        """Return the messages of the next transaction, from its Begin to its Commit."""
        deadline = time.monotonic() + 20
        messages: list[Message] = []
        while time.monotonic() < deadline:
            for received in self.walsender.read(1):
                if isinstance(received, Data) and (message := self.decoder.decode(received.payload)) is not None:
                    messages.append(message)
                if messages and isinstance(messages[-1], Commit):
                    return messages
            self.walsender.wait(0.1)
        raise AssertionError(f"no whole transaction within 20 s, only {messages}")

    def changes(self) -> list[Any]:
        return [m for m in self.transaction() if isinstance(m, Insert | Update | Delete | Truncate)]


@pytest.fixture
def stream(source_dsn: str, source: Connection) -> Iterator[Stream]:
    assert not source.closed
    stream = Stream(source_dsn)
    stream.start()
    with stream.walsender:
        yield stream


def test_a_row_is_streamed_from_insert_to_delete(source: Connection, stream: Stream) -> None:
    source.execute("insert into owner values (1, null, 'Fjordvik'), (2, '100000008', 'Ås')")
    source.execute("update owner set name = 'Ny' where owner_id = 1")
    source.execute("update owner set owner_id = 3 where owner_id = 2")
    source.execute("delete from owner where owner_id = 3")
    first, second = stream.changes()
    assert first.after == {"owner_id": 1, "orgnr": None, "name": "Fjordvik"}
    assert second.after == {"owner_id": 2, "orgnr": "100000008", "name": "Ås"}
    (renamed,), (moved,), (deleted,) = stream.changes(), stream.changes(), stream.changes()
    assert (renamed.before, renamed.after["name"]) == (None, "Ny")
    assert (moved.before, moved.after["owner_id"]) == ({"owner_id": 2}, 3)
    assert deleted.before == {"owner_id": 3}


def test_whole_old_rows_come_with_replica_identity_full(source: Connection, stream: Stream) -> None:
    source.execute("alter table owner replica identity full")
    source.execute("insert into owner values (1, null, 'Fjordvik')")
    source.execute("update owner set name = 'Ny'")
    stream.changes()
    (update,) = stream.changes()
    assert update.before == {"owner_id": 1, "orgnr": None, "name": "Fjordvik"}


def test_every_type_is_streamed_in_its_json_form(source: Connection, stream: Stream) -> None:
    source.execute(
        "create table kinds (a int2, b int4, c int8, d bool, e float8, f float8, g numeric, h date, i timestamptz,"
        " j json, k uuid, l int[], m date)"
    )
    source.execute(
        "insert into kinds values (-1, 2, 9007199254740993, true, 0.1, 'NaN', 12.50, '2026-08-17',"
        " '2026-08-17 12:00:00+02', '{\"a\": 1}', '00000000-0000-0000-0000-000000000001', '{1,2}', 'infinity')"
    )
    (row,) = stream.changes()
    assert list(row.after.values()) == [
        *(-1, 2, 9_007_199_254_740_993, True, 0.1, "NaN", "12.50", "2026-08-17", "2026-08-17 10:00:00+00"),
        *('{"a": 1}', "00000000-0000-0000-0000-000000000001", "{1,2}", "infinity"),
    ]


@pytest.mark.parametrize(("identity", "sent_with_the_old_row"), [("default", False), ("full", True)])
def test_a_long_value_that_did_not_change_is_not_sent(
    source: Connection, stream: Stream, identity: str, sent_with_the_old_row: bool
) -> None:
    source.execute(f"alter table owner replica identity {identity}".encode())
    source.execute("alter table owner alter name set storage external")
    source.execute("insert into owner values (1, null, repeat('long', 1000))")
    source.execute("update owner set orgnr = '100000008'")
    (_new,), (update,) = stream.changes(), stream.changes()
    assert update.after["name"] is UNCHANGED
    assert (update.before is not None and update.before["name"] == "long" * 1000) is sent_with_the_old_row


def test_columns_may_change_in_the_middle_of_the_stream(source: Connection, stream: Stream) -> None:
    source.execute("insert into owner values (1, null, 'Fjordvik')")
    source.execute("alter table owner add column county text default 'Vest', drop column orgnr")
    source.execute("insert into owner values (2, 'Ås', 'Øst')")
    (_before,), (after,) = stream.changes(), stream.changes()
    assert after.after == {"owner_id": 2, "name": "Ås", "county": "Øst"}


def test_a_truncate_of_several_tables_is_one_change(source: Connection, stream: Stream) -> None:
    source.execute("truncate owner, school")
    (truncate,) = stream.changes()
    assert sorted(relation.table for relation in truncate.relations) == ["owner", "school"]


def test_a_transaction_has_its_time_and_positions(source: Connection, stream: Stream) -> None:
    with source.transaction():
        source.execute("insert into owner values (1, null, 'Fjordvik')")
        xid = source.execute("select txid_current()").fetchone()
        source.execute("update owner set name = 'Ny'")
    begin, relation, insert, update, commit = stream.transaction()
    assert isinstance(begin, Begin)
    assert xid == (begin.transaction_id,)
    assert abs(begin.committed_ms / 1000 - time.time()) < 3600
    assert isinstance(relation, Relation)
    assert (type(insert), type(update)) == (Insert, Update)
    assert isinstance(commit, Commit)
    assert begin.commit_lsn < commit.end_lsn


def test_a_slots_snapshot_has_the_rows_the_stream_lacks(source_dsn: str, source: Connection) -> None:
    source.execute("insert into owner values (1, null, 'before')")
    stream = Stream(source_dsn)
    source.execute("insert into owner values (2, null, 'after')")
    with stream.walsender, psycopg.connect(source_dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute(f"set transaction snapshot '{stream.snapshot.name}'".encode())
        assert reader.execute("select name from owner").fetchall() == [("before",)]
        stream.start()
        (streamed,) = stream.changes()
    assert streamed.after["name"] == "after"


def test_a_second_reader_of_a_slot_is_refused(source_dsn: str, stream: Stream) -> None:
    with Walsender(source_dsn, Stop(), lambda: None) as other, pytest.raises(psycopg.errors.ObjectInUse):
        other.start(stream.slot, "changes")


def test_the_shutdown_handshake_frees_the_slot_immediately(source: Connection, stream: Stream) -> None:
    for _ in range(10):
        source.execute("truncate owner")
    stream.changes()
    assert stream.walsender.end(5)
    stream.walsender.close()
    source.execute("select pg_drop_replication_slot(%s)", [stream.slot])


def test_an_unknown_slot_is_an_error_by_its_sqlstate(source_dsn: str) -> None:
    with Walsender(source_dsn, Stop(), lambda: None) as walsender, pytest.raises(psycopg.errors.UndefinedObject):
        walsender.drop_slot("imsfeed_no_such_slot")


def test_a_broken_connection_is_a_transient_error(source: Connection, stream: Stream) -> None:
    source.execute(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s", [stream.slot]
    )
    with pytest.raises(psycopg.OperationalError):
        stream.transaction()


def test_an_unreachable_server_is_a_transient_error() -> None:
    with pytest.raises(psycopg.OperationalError, match="cannot connect for replication"):
        Walsender("host=127.0.0.1 port=1 dbname=none", Stop(), lambda: None)


def test_a_stop_ends_the_wait_for_a_slot(source_dsn: str, source: Connection) -> None:
    stop, waiting = Stop(), threading.Event()

    def alive() -> None:
        if waiting.is_set():
            stop.set()

    with Walsender(source_dsn, stop, alive) as walsender, source.transaction():
        # A new slot waits for this transaction.
        source.execute("insert into owner values (1, null, 'Fjordvik')")
        waiting.set()
        with pytest.raises(StoppedError):
            walsender.create_slot(f"test_{uuid.uuid4().hex[:12]}")


@pytest.mark.parametrize("text", ["0/0", "1/10", "16/B374D848"])
def test_a_position_keeps_its_text(text: str) -> None:
    assert lsn_text(lsn_of(text)) == text
