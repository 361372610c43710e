r"""Builders for messages of pgoutput protocol 1 as PostgreSQL sends them, for tests without a server.

>>> delete(1, b"K", [b"7"])
b'D\x00\x00\x00\x01K\x00\x01t\x00\x00\x00\x017'
"""

from collections.abc import Sequence
from struct import pack

INT4, INT8, BOOL, FLOAT8, TEXT, DATE = 23, 20, 16, 701, 25, 1082
PERSON = 16_390
PERSON_COLUMNS = (
    ("owner_id", INT4, True),
    ("id", INT8, True),
    ("name", TEXT, False),
    ("born", DATE, False),
    ("protected", BOOL, False),
)
NOT_SENT = "not sent"
Values = Sequence[bytes | str | None]


def begin(commit_lsn: int = 1000, committed_us: int = 0, xid: int = 7) -> bytes:
    return b"B" + pack("!QqI", commit_lsn, committed_us, xid)


def commit(end_lsn: int = 1048) -> bytes:
    return b"C" + pack("!BQQq", 0, end_lsn - 48, end_lsn, 0)


def relation(
    relation_id: int = PERSON,
    columns: Sequence[tuple[str, int, bool]] = PERSON_COLUMNS,
    schema: str = "public",
    table: str = "person",
) -> bytes:
    head = b"R" + pack("!I", relation_id) + schema.encode() + b"\0" + table.encode() + b"\0d" + pack("!H", len(columns))
    return head + b"".join(bytes([key]) + name.encode() + b"\0" + pack("!Ii", oid, -1) for name, oid, key in columns)


def insert(relation_id: int, values: Values) -> bytes:
    return b"I" + pack("!I", relation_id) + b"N" + _row(values)


def update(relation_id: int, values: Values, *, old: tuple[bytes, Values] | None = None) -> bytes:
    before = b"" if old is None else old[0] + _row(old[1])
    return b"U" + pack("!I", relation_id) + before + b"N" + _row(values)


def delete(relation_id: int, kind: bytes, values: Values) -> bytes:
    return b"D" + pack("!I", relation_id) + kind + _row(values)


def truncate(*relation_ids: int) -> bytes:
    return b"T" + pack(f"!IB{len(relation_ids)}I", len(relation_ids), 0, *relation_ids)


def a_person(owner: int = 9, id: int = 1, name: bytes | str | None = b"Ada") -> list[bytes | str | None]:  # noqa: A002 - the column's own name
    return [str(owner).encode(), str(id).encode(), name, b"1990-01-08", b"f"]


def _row(values: Values) -> bytes:
    return pack("!H", len(values)) + b"".join(_value(value) for value in values)


def _value(value: bytes | str | None) -> bytes:
    if value is None:
        return b"n"
    return b"u" if isinstance(value, str) else b"t" + pack("!I", len(value)) + value
