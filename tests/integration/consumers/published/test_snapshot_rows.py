import itertools
from collections.abc import Iterator

import pytest

from consumers.database import sessions, targets_table
from consumers.database.sessions import Connection, repeatable_read
from consumers.published import snapshot_rows
from ims.records.model import RecordKey
from ims.records.vocabulary import RecordKind
from tests.support.builders import a_target

IDS = ["", "1", "10", "2", "A", "a", "aB", "ab", "group-1", "z", "Å", "å", "\U0001f600"]
"""In the order of code points, which no language has."""

KEYS = [
    *(RecordKey(kind, id_) for kind in (RecordKind.PERSON, RecordKind.GROUP) for id_ in IDS),
    *(RecordKey(RecordKind.MEMBERSHIP, group, member) for group in IDS for member in IDS[: IDS.index(group) + 1]),
]


@pytest.fixture
def connection(state_dsn: str) -> Iterator[Connection]:
    with sessions.connect(state_dsn, "test") as connection:
        targets_table.apply_settings(connection, [a_target(), a_target(name="idm")], "test")
        for number, key in enumerate(reversed(KEYS)):
            for target in (1, 2):
                connection.execute(
                    "insert into imsfeed.published (target_id, kind, id, member, xml) values (%s, %s, %s, %s, %s)",
                    (target, int(key.kind), key.id, key.member, f"<{target} {len(KEYS) - 1 - number}>"),
                )
        yield connection


@pytest.mark.parametrize("records", [1, 2, 3, 7, 12, 13, 14, 1000])
def test_every_record_comes_once_and_in_order(
    connection: Connection, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_rows, "_RECORDS", records)
    with repeatable_read(connection):
        runs = list(snapshot_rows.runs(connection, 1))
    assert [run._key(id_) for run in runs for id_ in run.ids] == KEYS == sorted(KEYS)
    assert "".join(run.text for run in runs) == "".join(f"<1 {number}>" for number in range(len(KEYS)))
    assert max(len(run.ids) for run in runs) <= records


def test_an_unpublished_target_has_no_rows(connection: Connection) -> None:
    connection.execute("delete from imsfeed.published where target_id = 1")
    with repeatable_read(connection):
        assert list(snapshot_rows.runs(connection, 1)) == []


def test_the_session_is_free_after_stopping_in_the_middle(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_rows, "_RECORDS", 1)

    def stop_after(taken: int) -> None:
        with repeatable_read(connection):
            for _ in itertools.islice(snapshot_rows.runs(connection, 1), taken, None):
                raise OSError("the disk is full")

    for taken in range(4):
        with pytest.raises(OSError, match="full"):
            stop_after(taken)
        assert connection.execute("select 1").fetchone() == (1,)
